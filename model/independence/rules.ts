import { mostStrings } from '../graph/onnx';
import { sizeOf } from '../values/tensor';
import {
  acrossRows,
  broadcast,
  type Call,
  countOf,
  inner,
  inOrder,
  int,
  integersBy,
  type Known,
  Mixes,
  onlyRows,
  present,
  type Rule,
  required,
  resized,
  without,
} from './known';

const elementwise: Rule = ({ operands }) => broadcast(operands.map(required));

const axesFrom = (x: Known, axis: number) => [...x.shape.keys()].slice(axis);

/** What goes along some axes, and gives as many entries. */
const along =
  (axesOf: (call: Call, x: Known) => readonly number[]): Rule =>
  (call) => {
    const x = onlyRows(call);
    for (const axis of axesOf(call, x)) inner(x, axis);
    return resized(x, []);
  };

/** Below opset 13, it goes over all axes from one on. */
const softmax = along((call, x) =>
  call.opset < 13 ? axesFrom(x, int(call, 'axis', 1)) : [int(call, 'axis', -1)],
);

const layerNormalization: Rule = (call) => {
  const x = onlyRows(call);
  for (const axis of axesFrom(x, int(call, 'axis', -1))) inner(x, axis);
  // Scale and bias, which may have the shape of the operand, are aligned with it.
  return broadcast(call.operands.flatMap((operand) => operand ?? []));
};

/** A length that must be known, since what is cut may be empty. */
function numberOf(length = Number.NaN): number {
  if (Number.isNaN(length)) throw new Mixes('cuts to a length that is not known');
  return length;
}

/** As many entries of an axis as an operand says, or an attribute; and their places. */
const topK: Rule = (call) => {
  const count = call.opset < 10 ? int(call, 'k', Number.NaN) : call.operands[1]?.integers?.[0];
  const best = resized(onlyRows(call), [int(call, 'axis', -1)], numberOf(count));
  return [best, best];
};

/** Parts of given lengths, or else all of one length but the last, which may be shorter. */
const split: Rule = (call) => {
  const x = onlyRows(call);
  const axis = int(call, 'axis', 0);
  const length = numberOf(x.shape[inner(x, axis)]);
  const sizes = integersBy(call, 13, 1, 'split');
  const size = Math.ceil(length / call.node.outputs.length);
  return call.node.outputs.map((_, i) => {
    const own = sizes ? numberOf(sizes[i]) : Math.min(size, Math.max(0, length - i * size));
    return resized(x, [axis], own);
  });
};

/** Of images and the like, which the first axis counts. */
const imageByImage: Rule = (call) => {
  const x = onlyRows(call);
  return resized(x, axesFrom(x, 1));
};

function reduced(call: Call, x: Known, axes: readonly number[]): Known {
  return int(call, 'keepdims', 1) === 1 ? resized(x, axes, 1) : without(x, axes);
}

/** The runtime takes a flag as set only where it is 1. */
const reduce: Rule = (call) => {
  const x = onlyRows(call);
  const since = call.node.op === 'ReduceSum' ? 13 : 18;
  const axes = integersBy(call, since, 1, 'axes') ?? [];
  const takesNone = call.opset >= since && int(call, 'noop_with_empty_axes', 0) === 1;
  return reduced(call, x, axes.length > 0 || takesNone ? axes : axesFrom(x, 0));
};

const findExtreme: Rule = (call) => reduced(call, onlyRows(call), [int(call, 'axis', 0)]);

const squeeze: Rule = (call) => {
  const axes = integersBy(call, 13, 1, 'axes');
  if (!axes?.length) throw new Mixes('drops all axes of length 1, that of a single row too');
  return without(onlyRows(call), axes);
};

/** A list or a matrix of rows, and no other tensor: operators make one row of a list, say. */
function ofRank(rank: 1 | 2, x: Known): Known {
  if (x.shape.length !== rank) throw new Mixes(`is given a tensor of another rank than ${rank}`);
  if (x.axis === 1) throw acrossRows();
  return x;
}

/** Labels, and scores: of two classes, some operators give one; linear ones one for each intercept, support vectors for each pair. */
const classify: Rule = (call) => {
  const x = ofRank(2, onlyRows(call));
  const labels = countOf(call, 'classlabels_strings', 'classlabels_ints', 'classlabels_int64s');
  const { op, attributes } = call.node;
  const isLinear = op === 'LinearClassifier' && attributes.get('intercepts')?.floats === labels;
  const isOneEach = labels > 2 && (isLinear || op === 'TreeEnsembleClassifier');
  return [without(x, [1]), resized(x, [1], isOneEach ? labels : Number.NaN)];
};

const regress: Rule = (call) => {
  const width = int(call, call.node.op === 'LinearRegressor' ? 'targets' : 'n_targets', 1);
  return resized(ofRank(2, onlyRows(call)), [1], width);
};

/** It may cut its operands, or fill them up. */
const joinFeatures: Rule = ({ operands }) => resized(ofRank(2, join(operands.map(required), 1)), [1]);

const encode: Rule = (call) => {
  const { shape, axis } = onlyRows(call);
  return { shape: [...shape, countOf(call, 'cats_strings', 'cats_int64s')], axis };
};

const tokenize: Rule = (call) => {
  const { shape, axis } = ofRank(1, onlyRows(call));
  const padding = call.node.attributes.get('pad_value')?.s ?? '';
  return { shape: [...shape, Number.NaN], axis, padding };
};

const countWords: Rule = ({ node, operands: [operand] }) => {
  const x = ofRank(2, present(operand));
  const { strings = [] } = node.attributes.get('pool_strings') ?? {};
  const counts = (word: string) => strings.length >= mostStrings || strings.includes(word);
  if (x.padding !== undefined && counts(x.padding))
    throw new Mixes('counts what fills texts up to the longest of a run');
  return resized(x, [1]);
};

function join(parts: readonly Known[], axis: number): Known {
  const [first] = parts;
  const isAlike = ({ shape, axis }: Known) =>
    shape.length === first.shape.length &&
    axis === first.axis &&
    (axis === undefined || shape[axis] === first.shape[axis]);
  if (!parts.every(isAlike)) throw new Mixes('sets rows beside other entries');
  const length = parts.reduce((sum, { shape }) => sum + (shape.at(axis) ?? 0), 0);
  return resized(first, [axis], length);
}

/** "To the end" is written as this or more; no run has so many rows. */
const endless = 1e9;

const slice: Rule = (call) => {
  const places = ['starts', 'ends', 'axes', 'steps'].map((name, i) => integersBy(call, 10, i + 1, name));
  const [starts = [], ends = [], axes = [...starts.keys()], steps = []] = places;
  if (steps.some((step) => step !== 1)) throw new Mixes('leaves entries out, or turns them round');
  const cut = (x: Known, axis: number, i: number): Known => {
    const [start, end] = [starts[i], ends[i]];
    if (start === 0 && end >= endless) return x;
    const length = numberOf(x.shape[inner(x, axis)]);
    const within = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
    return resized(x, [axis], Math.max(0, within(end) - within(start)));
  };
  return axes.reduce(cut, resized(onlyRows(call), []));
};

const transpose: Rule = (call) => {
  const x = onlyRows(call);
  return inOrder(x, call.node.attributes.get('perm')?.ints.map(Number) ?? [...x.shape.keys()].reverse());
};

const unsqueeze: Rule = (call) => {
  const { shape, axis } = onlyRows(call);
  const axes = integersBy(call, 13, 1, 'axes') ?? [];
  const all = Array.from({ length: shape.length + axes.length }, (_, place) => place);
  const own = all.filter((place) => !axes.includes(place) && !axes.includes(place - all.length));
  return {
    shape: all.map((place) => shape[own.indexOf(place)] ?? 1),
    axis: axis === undefined ? undefined : own[axis],
  };
};

/** What stands before the rows, and what is in each, is regrouped by itself. */
const reshape: Rule = (call) => {
  const { shape, axis } = onlyRows(call);
  const target = integersBy(call, 0, 1, 'shape') ?? [];
  if (target.includes(0) && int(call, 'allowzero', 0) !== 0) throw new Mixes('makes an empty tensor');
  const given = target.map((length, place) => (length === 0 ? shape[place] : length));
  const open = sizeOf(shape) / sizeOf(given.filter((length) => length !== -1));
  const lengths = given.map((length) => (length === -1 ? open : length));
  if (axis === undefined) return { shape: lengths };
  const place = target[axis] === 0 ? axis : target.indexOf(-1);
  if (place < 0) throw new Mixes('makes a fixed number of rows');
  const isApart = sizeOf(lengths.slice(0, place)) === sizeOf(shape.slice(0, axis));
  if (!isApart || !Number.isInteger(lengths[place])) throw acrossRows();
  return { shape: lengths, axis: place };
};

/** Each entry of the first axis by itself. */
const flatten: Rule = (call) => {
  const x = present(call.operands[0]);
  if (x.axis || int(call, 'axis', 1) !== 1) throw acrossRows();
  return { ...x, shape: [x.shape[0], sizeOf(x.shape.slice(1))] };
};

/** The product of the last two axes; those before are aligned as elements are. */
function multiply(a: Known, b: Known): Known {
  if (a.axis !== undefined && b.axis !== undefined) throw new Mixes('multiplies rows by rows');
  if (b.shape.length === 1 && b.axis === undefined) return without(a, [-1]);
  if (a.shape.length < 2 || b.shape.length < 2) throw new Mixes('multiplies vectors');
  return broadcast([resized(a, [-1], 1), resized(b, [-2], 1)]);
}

const matMul: Rule = ({ operands: [a, b] }) => multiply(required(a), required(b));

const gemm: Rule = (call) => {
  const [a, b] = ['transA', 'transB'].map((name, i) => {
    const x = required(call.operands[i]);
    if (x.shape.length !== 2) throw new Mixes('takes no matrix');
    return inOrder(x, int(call, name, 0) === 0 ? [0, 1] : [1, 0]);
  });
  return broadcast([multiply(a, b), ...call.operands.slice(2).flatMap((c) => c ?? [])]);
};

/** Entries along an axis: of a constant table by rows, or of rows by constants. */
function pick(data: Known, indices: Known, axis: number): Known {
  if (data.axis !== undefined && indices.axis !== undefined) throw new Mixes('picks rows by rows');
  const place = inner(data, axis);
  const shape = data.shape.toSpliced(place, 1, ...indices.shape);
  if (indices.axis !== undefined) return { shape, axis: place + indices.axis };
  // Of texts behind the axis, the runtime (1.30 to 1.32) copies the first only.
  if (data.axis !== undefined && data.axis > place) throw new Mixes('picks along an axis before the rows');
  return { shape, axis: data.axis };
}

const gather: Rule = (call) => {
  const [data, indices] = call.operands.map(required);
  return pick(data, indices, int(call, 'axis', 0));
};

/** Picks by all indices in one list, from the last axis of a matrix: a list is one row of it. */
const arrayFeatureExtractor: Rule = ({ operands }) => {
  const [x, { shape, axis }] = operands.map(required);
  if (axis !== undefined && sizeOf(shape.slice(0, axis)) !== 1) throw acrossRows();
  const isList = x.shape.length === 1;
  if (isList && x.axis !== undefined) throw acrossRows();
  const matrix = isList ? { shape: [1, ...x.shape] } : x;
  return pick(matrix, { shape: [sizeOf(shape)], axis: axis === undefined ? undefined : 0 }, -1);
};

const constant: Rule = ({ node: { attributes } }) => {
  const [[name, { i, ints, tensor }]] = attributes;
  if (tensor) return { shape: tensor.dims, integers: tensor.integers };
  if (name === 'value_ints') return { shape: [ints.length], integers: ints.map(Number) };
  if (name === 'value_int') return { shape: [], integers: [i] };
  if (!/^value_(float|string)/.test(name)) throw new Mixes('is not followed');
  return { shape: name.endsWith('s') ? [Number.NaN] : [] };
};

const groups: readonly [rule: Rule, operators: string][] = [
  [
    elementwise,
    `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu Cos Cosh Div
    Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
    Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    StringConcat Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`,
  ],
  [
    (call) => resized(onlyRows(call), []),
    'Cast CastLike Clip Dropout RegexFullMatch ml.CategoryMapper ml.LabelEncoder',
  ],
  [softmax, 'Softmax LogSoftmax Hardmax'],
  [along((call) => [int(call, 'axis', -1)]), 'LpNormalization'],
  [along((call) => integersBy(call, 0, 1, 'axis') ?? [Number.NaN]), 'CumSum'],
  [layerNormalization, 'LayerNormalization RMSNormalization'],
  [topK, 'TopK'],
  [split, 'Split'],
  // MaxPool's second output, which counts over all images, is not given.
  [
    imageByImage,
    `AveragePool BatchNormalization Conv GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN
    LpPool MaxPool`,
  ],
  [
    reduce,
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ],
  [findExtreme, 'ArgMax ArgMin'],
  [squeeze, 'Squeeze'],
  [unsqueeze, 'Unsqueeze'],
  [(call) => join(call.operands.map(required), int(call, 'axis', 1)), 'Concat'],
  [slice, 'Slice'],
  [transpose, 'Transpose'],
  [reshape, 'Reshape'],
  [flatten, 'Flatten'],
  [matMul, 'MatMul'],
  [gemm, 'Gemm'],
  [gather, 'Gather'],
  [arrayFeatureExtractor, 'ml.ArrayFeatureExtractor'],
  [({ operands: [x] }) => required(x), 'Identity'],
  [constant, 'Constant'],
  [(call) => ({ shape: integersBy(call, 0, 0, 'shape') ?? [] }), 'ConstantOfShape'],
  [(call) => resized(ofRank(2, onlyRows(call)), []), 'ml.Binarizer ml.Imputer ml.Normalizer ml.Scaler'],
  [classify, 'ml.LinearClassifier ml.SVMClassifier ml.TreeEnsembleClassifier'],
  [regress, 'ml.LinearRegressor ml.SVMRegressor ml.TreeEnsemble ml.TreeEnsembleRegressor'],
  [joinFeatures, 'ml.FeatureVectorizer'],
  [encode, 'ml.OneHotEncoder'],
  [(call) => resized(ofRank(1, onlyRows(call)), []), 'StringNormalizer'],
  [tokenize, 'ms.Tokenizer'],
  [countWords, 'TfIdfVectorizer'],
];

/**
 * What operators do with the rows of a batch: https://onnx.ai/onnx/operators/. Whatever has no rule may mix them. Names of
 * ai.onnx.ml begin with `ml.`, those of com.microsoft with `ms.`. One that counts or drops entries is named in walk.ts, too.
 */
export const rules: ReadonlyMap<string, Rule> = new Map(
  groups.flatMap(([rule, operators]) =>
    operators.split(/\s+/).map((operator): [string, Rule] => [operator, rule]),
  ),
);
