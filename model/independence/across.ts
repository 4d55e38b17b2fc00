import { mostStrings } from '../graph/onnx';
import {
  broadcast,
  type Call,
  countOf,
  type Group,
  inner,
  int,
  integersBy,
  type Known,
  Mixes,
  numberOf,
  onlyRows,
  type Rule,
  withLength,
  without,
} from './known';

// Operators that go across axes of their first operand, beside constants.

type Axes = (call: Call, x: Known) => readonly number[];
type Give = (x: Known, places: readonly number[], call: Call) => Known | readonly Known[];

const same: Give = (x) => withLength(x, []);
const opened: Give = (x, places, { node }) => node.outputs.map(() => withLength(x, places));

const across =
  (axes: Axes, give: Give = same): Rule =>
  (call) => {
    const x = onlyRows(call);
    const places = axes(call, x).map((axis) => inner(x, axis));
    return [give(x, places, call)].flat();
  };

const none: Axes = () => [];
const axisOr =
  (otherwise: number): Axes =>
  (call) => [int(call, 'axis', otherwise)];
const allFrom = (x: Known, axis: number) => [...x.shape.keys()].slice(axis);
/** Of images and the like, which the first axis counts. */
const allButFirst: Axes = (_, x) => allFrom(x, 1);
/** Of a list or a matrix, but of no other tensor: operators make one row of a list, say. */
const ofRank =
  (rank: number): Axes =>
  (_, x) => {
    if (x.shape.length !== rank) throw new Mixes(`is given a tensor of another rank than ${rank}`);
    return allFrom(x, 1);
  };
const list = ofRank(1);
const matrix = ofRank(2);
/** Below opset 13, Softmax goes over all axes from one on. */
const softmaxAxes: Axes = (call, x) =>
  call.opset < 13 ? allFrom(x, int(call, 'axis', 1)) : [int(call, 'axis', -1)];

/** The runtime takes a flag as set only where it is 1. */
const reducedAxes: Axes = (call, x) => {
  const since = call.node.op === 'ReduceSum' ? 13 : 18;
  const axes = integersBy(call, since, 1, 'axes') ?? [];
  const takesNone = call.opset >= since && int(call, 'noop_with_empty_axes', 0) === 1;
  return axes.length > 0 || takesNone ? axes : allFrom(x, 0);
};

const reduced: Give = (x, places, call) =>
  int(call, 'keepdims', 1) === 1 ? withLength(x, places, 1) : without(x, places);

/** Scale and bias, which may have the shape of the operand, are aligned with it. */
const normalized: Give = (_x, _places, { operands }) =>
  broadcast(operands.flatMap((operand) => operand ?? []));

/** Parts of given lengths, or else all of one length but the last, which may be shorter. */
const split: Give = (x, [place], call) => {
  const sizes = integersBy(call, 13, 1, 'split');
  const size = Math.ceil(x.shape[place] / call.node.outputs.length);
  return call.node.outputs.map((_, i) => {
    const rest = Math.max(0, x.shape[place] - i * size);
    return withLength(x, [place], numberOf(sizes ? sizes[i] : Math.min(size, rest)));
  });
};

/** As many entries of an axis as an operand says, or an attribute. */
const best: Give = (x, places, call) => {
  const count = call.opset < 10 ? int(call, 'k', Number.NaN) : call.operands[1]?.integers?.[0];
  return call.node.outputs.map(() => withLength(x, places, numberOf(count)));
};

const squeezedAxes: Axes = (call) => {
  const axes = integersBy(call, 13, 1, 'axes');
  if (!axes?.length) throw new Mixes('drops all axes of length 1, that of a single row too');
  return axes;
};

const classified: Give = (x, _, call) => {
  const labels = countOf(call, 'classlabels_strings', 'classlabels_ints', 'classlabels_int64s');
  // Of two classes, some give one score; linear ones give one for each intercept, support vectors may for each pair.
  const { op, attributes } = call.node;
  const isLinear = op === 'LinearClassifier' && attributes.get('intercepts')?.floats === labels;
  const isOneEach = labels > 2 && (isLinear || op === 'TreeEnsembleClassifier');
  return [without(x, [1]), withLength(x, [1], isOneEach ? labels : Number.NaN)];
};

const regressed: Give = (x, _, call) =>
  withLength(x, [1], int(call, call.node.op === 'LinearRegressor' ? 'targets' : 'n_targets', 1));

const encoded: Give = ({ shape, axis }, _, call) => {
  return { shape: [...shape, countOf(call, 'cats_strings', 'cats_int64s')], axis };
};

/** A constant list may lose entries; others that may are not followed. */
const kept: Give = (x, _, { node }) => withLength(x, node.attributes.has('stopwords') ? [0] : []);

const tokens: Give = ({ shape, axis }, _, { node }) => {
  return { shape: [...shape, Number.NaN], axis, padding: node.attributes.get('pad_value')?.s ?? '' };
};

const counted: Give = (x, _, { node }) => {
  const { strings = [] } = node.attributes.get('pool_strings') ?? {};
  const counts = (word: string) => strings.length >= mostStrings || strings.includes(word);
  if (x.padding !== undefined && counts(x.padding))
    throw new Mixes('counts what fills texts up to the longest of a run');
  return withLength(x, [1]);
};

export const groupsAcrossAxes: readonly Group[] = [
  [across(none), 'CastLike Clip RegexFullMatch ml.CategoryMapper ml.LabelEncoder'],
  [across(none, opened), 'Dropout'],
  [across(softmaxAxes), 'Softmax LogSoftmax Hardmax'],
  [across(axisOr(-1)), 'LpNormalization'],
  [across((call) => integersBy(call, 0, 1, 'axis') ?? [Number.NaN]), 'CumSum'],
  [across(axisOr(-1), best), 'TopK'],
  [across(axisOr(0), split), 'Split'],
  [across(axisOr(0), reduced), 'ArgMax ArgMin'],
  [
    across(reducedAxes, reduced),
    `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare`,
  ],
  [across(squeezedAxes, without), 'Squeeze'],
  [across((call, x) => allFrom(x, int(call, 'axis', -1)), normalized), 'LayerNormalization RMSNormalization'],
  [across(allButFirst), 'BatchNormalization GroupNormalization InstanceNormalization LRN'],
  // MaxPool's second output, which counts over all images, is not given.
  [
    across(allButFirst, (x, places) => withLength(x, places)),
    'AveragePool Conv GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool',
  ],
  [across(matrix), 'ml.Binarizer ml.Imputer ml.Normalizer ml.Scaler'],
  [across(matrix, classified), 'ml.LinearClassifier ml.SVMClassifier ml.TreeEnsembleClassifier'],
  [across(matrix, regressed), 'ml.LinearRegressor ml.SVMRegressor ml.TreeEnsemble ml.TreeEnsembleRegressor'],
  [across(none, encoded), 'ml.OneHotEncoder'],
  [across(list, kept), 'StringNormalizer'],
  [across(list, tokens), 'ms.Tokenizer'],
  [across(matrix, counted), 'TfIdfVectorizer'],
];
