import { mostStrings } from '../graph/onnx';
import { sizeOf } from '../values/tensor';
import {
  acrossRows,
  alongAxes,
  broadcast,
  type Call,
  dropAxes,
  type Known,
  Mixes,
  notRowAxis,
  ofOne,
  orderAxes,
  type Rule,
  required,
  unpadded,
} from './known';

const axesFrom = (x: Known, axis: number) => [...x.shape.keys()].slice(axis);

/** Below opset 13, it goes over all axes from one on. */
const softmax = ofOne((x, call) =>
  alongAxes(x, call.opset < 13 ? axesFrom(x, call.int('axis', 1)) : [call.int('axis', -1)]),
);

/** Scale and bias, which may have the shape of the operand, are aligned with it. */
const layerNormalization = ofOne((x, call) => {
  alongAxes(x, axesFrom(x, call.int('axis', -1)));
  return broadcast(call.operands.flatMap((operand) => operand ?? []));
});

/** A length that must be known, since what is cut may be empty. */
function knownLength(length = Number.NaN): number {
  if (Number.isNaN(length)) throw new Mixes('cuts to a length that is not known');
  return length;
}

/** As many entries of an axis as an operand says, or an attribute; and their places. */
const topK = ofOne((x, call) => {
  const count = call.opset < 10 ? call.int('k', Number.NaN) : call.operands[1]?.integers?.[0];
  const best = alongAxes(x, [call.int('axis', -1)], knownLength(count));
  return [best, best];
});

/** Parts of given lengths, or else all of one length but the last, which may be shorter. */
const split = ofOne((x, call) => {
  const axis = call.int('axis', 0);
  const length = knownLength(x.shape[notRowAxis(x, axis)]);
  const lengths = call.integers('split', 13);
  const { outputs } = call.node;
  const most = Math.ceil(length / outputs.length);
  return outputs.map((_, i) => {
    const part = lengths ? knownLength(lengths[i]) : Math.min(most, Math.max(0, length - i * most));
    return alongAxes(x, [axis], part);
  });
});

function reduced(x: Known, axes: readonly number[], call: Call): Known {
  return call.int('keepdims', 1) === 1 ? alongAxes(x, axes, 1) : dropAxes(x, axes);
}

/** The runtime takes a flag as set only where it is 1. */
const reduce = ofOne((x, call) => {
  const since = call.node.op === 'ReduceSum' ? 13 : 18;
  const axes = call.integers('axes', since) ?? [];
  const takesNone = call.opset >= since && call.int('noop_with_empty_axes', 0) === 1;
  return reduced(x, axes.length > 0 || takesNone ? axes : axesFrom(x, 0), call);
});

const squeeze = ofOne((x, call) => {
  const axes = call.integers('axes', 13);
  if (!axes?.length) throw new Mixes('drops all axes of length 1, that of a single row too');
  return dropAxes(x, axes);
});

const unsqueeze = ofOne(({ shape, axis }, call) => {
  const axes = call.integers('axes', 13) ?? [];
  const all = Array.from({ length: shape.length + axes.length }, (_, place) => place);
  const old = all.filter((place) => !axes.includes(place) && !axes.includes(place - all.length));
  return {
    shape: all.map((place) => shape[old.indexOf(place)] ?? 1),
    axis: axis === undefined ? undefined : old[axis],
  };
});

const transpose = ofOne((x, { node }) =>
  orderAxes(x, node.attributes.get('perm')?.ints.map(Number) ?? [...x.shape.keys()].reverse()),
);

/** "To the end" is written as this or more; no run has so many rows. */
const endless = 1e9;

const slice = ofOne((x, call) => {
  const places = ['starts', 'ends', 'axes', 'steps'].map((name, i) => call.integers(name, 10, i + 1));
  const [starts = [], ends = [], axes = [...starts.keys()], steps = []] = places;
  if (steps.some((step) => step !== 1)) throw new Mixes('leaves entries out, or turns them round');
  const cut = (part: Known, axis: number, i: number): Known => {
    const [start, end] = [starts[i], ends[i]];
    if (start === 0 && end >= endless) return part;
    const length = knownLength(part.shape[notRowAxis(part, axis)]);
    const within = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
    return alongAxes(part, [axis], Math.max(0, within(end) - within(start)));
  };
  return axes.reduce(cut, alongAxes(x, []));
});

/** What stands before the rows, and what is in each, is regrouped by itself. */
const reshape = ofOne(({ shape, axis }, call) => {
  const target = call.integers('shape', 0) ?? [];
  if (target.includes(0) && call.int('allowzero', 0) !== 0) throw new Mixes('makes an empty tensor');
  const asked = target.map((length, place) => (length === 0 ? shape[place] : length));
  const open = sizeOf(shape) / sizeOf(asked.filter((length) => length !== -1));
  const lengths = asked.map((length) => (length === -1 ? open : length));
  if (axis === undefined) return { shape: lengths };
  const place = target[axis] === 0 ? axis : target.indexOf(-1);
  if (place < 0) throw new Mixes('makes a fixed number of rows');
  const isApart = sizeOf(lengths.slice(0, place)) === sizeOf(shape.slice(0, axis));
  if (!isApart || !Number.isInteger(lengths[place])) throw acrossRows();
  return { shape: lengths, axis: place };
});

/** Each entry of the first axis by itself. */
const flatten: Rule = (call) => {
  const x = required(call.operands[0]);
  if (x.axis || call.int('axis', 1) !== 1) throw acrossRows();
  return { ...x, shape: [x.shape[0], sizeOf(x.shape.slice(1))] };
};

/** A list or a matrix of rows, and no other tensor: operators make one row of a list, say. */
function ofRank(rank: 1 | 2, x: Known): Known {
  if (x.shape.length !== rank) throw new Mixes(`is given a tensor of another rank than ${rank}`);
  if (x.axis === 1) throw acrossRows();
  return x;
}

/** Labels, and scores: of two classes, some operators give one; linear ones one for each intercept, support vectors for each pair. */
const classify = ofOne((x, call) => {
  const labels = call.listLength('classlabels_strings', 'classlabels_ints', 'classlabels_int64s');
  const { op, attributes } = call.node;
  const isLinear = op === 'LinearClassifier' && attributes.get('intercepts')?.floats === labels;
  const isOneEach = labels > 2 && (isLinear || op === 'TreeEnsembleClassifier');
  return [dropAxes(ofRank(2, x), [1]), alongAxes(x, [1], isOneEach ? labels : Number.NaN)];
});

const regress = ofOne((x, call) => {
  const width = call.node.op === 'LinearRegressor' ? 'targets' : 'n_targets';
  return alongAxes(ofRank(2, x), [1], call.int(width, 1));
});

const encode = ofOne(({ shape, axis }, call) => {
  return { shape: [...shape, call.listLength('cats_strings', 'cats_int64s')], axis };
});

const tokenize = ofOne((x, { node }) => {
  const { shape, axis } = ofRank(1, x);
  return { shape: [...shape, Number.NaN], axis, padding: node.attributes.get('pad_value')?.s ?? '' };
});

const countWords: Rule = ({ node, operands: [operand] }) => {
  const x = ofRank(2, required(operand));
  const { strings = [] } = node.attributes.get('pool_strings') ?? {};
  const counts = (word: string) => strings.length >= mostStrings || strings.includes(word);
  if (x.padding !== undefined && counts(x.padding))
    throw new Mixes('counts what fills texts up to the longest of a run');
  return alongAxes(x, [1], Number.NaN);
};

function join(operands: Call['operands'], axis: number): Known {
  const parts = operands.map(unpadded);
  const [first] = parts;
  const isAlike = ({ shape, axis }: Known) =>
    shape.length === first.shape.length &&
    axis === first.axis &&
    (axis === undefined || shape[axis] === first.shape[axis]);
  if (!parts.every(isAlike)) throw new Mixes('sets rows beside other entries');
  const length = parts.reduce((sum, { shape }) => sum + (shape.at(axis) ?? 0), 0);
  return alongAxes(first, [axis], length);
}

/** The product of the last two axes; those before are aligned as elements are. */
function multiply(a: Known, b: Known): Known {
  if (a.axis !== undefined && b.axis !== undefined) throw new Mixes('multiplies rows by rows');
  if (b.shape.length === 1 && b.axis === undefined) return dropAxes(a, [-1]);
  if (a.shape.length < 2 || b.shape.length < 2) throw new Mixes('multiplies vectors');
  return broadcast([alongAxes(a, [-1], 1), alongAxes(b, [-2], 1)]);
}

const gemm: Rule = (call) => {
  const [a, b] = ['transA', 'transB'].map((name, i) => {
    const x = unpadded(call.operands[i]);
    if (x.shape.length !== 2) throw new Mixes('takes no matrix');
    return orderAxes(x, call.int(name, 0) === 0 ? [0, 1] : [1, 0]);
  });
  return broadcast([multiply(a, b), ...call.operands.slice(2).flatMap((c) => c ?? [])]);
};

/** Entries along an axis: of a constant table by rows, or of rows by constants. */
function pick(data: Known, indices: Known, axis: number): Known {
  if (data.axis !== undefined && indices.axis !== undefined) throw new Mixes('picks rows by rows');
  const place = notRowAxis(data, axis);
  const shape = data.shape.toSpliced(place, 1, ...indices.shape);
  if (indices.axis !== undefined) return { shape, axis: place + indices.axis };
  // Of texts behind the axis, the runtime (1.30 to 1.32) copies the first only.
  if (data.axis !== undefined && data.axis > place) throw new Mixes('picks along an axis before the rows');
  return { shape, axis: data.axis };
}

const gather: Rule = (call) => {
  const [data, indices] = call.operands.map(unpadded);
  return pick(data, indices, call.int('axis', 0));
};

/** Picks by all indices in one list, from the last axis of a matrix: a list is one row of it. */
const arrayFeatureExtractor: Rule = ({ operands }) => {
  const [x, { shape, axis }] = operands.map(unpadded);
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
    ({ operands }) => broadcast(operands.map(unpadded)),
    `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu Cos Cosh Div
    Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
    Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    StringConcat Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`,
  ],
  [
    ofOne((x) => alongAxes(x, [])),
    'Cast CastLike Clip Dropout RegexFullMatch ml.CategoryMapper ml.LabelEncoder',
  ],
  [softmax, 'Softmax LogSoftmax Hardmax'],
  [ofOne((x, call) => alongAxes(x, [call.int('axis', -1)])), 'LpNormalization'],
  [ofOne((x, call) => alongAxes(x, call.integers('axis', 0) ?? [Number.NaN])), 'CumSum'],
  [layerNormalization, 'LayerNormalization RMSNormalization'],
  [topK, 'TopK'],
  [split, 'Split'],
  // Of images and the like, which the first axis counts. MaxPool's second output, which counts over all, is not given.
  [
    ofOne((x) => alongAxes(x, axesFrom(x, 1), Number.NaN)),
    `AveragePool BatchNormalization Conv GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN
    LpPool MaxPool`,
  ],
  [
    reduce,
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ],
  [ofOne((x, call) => reduced(x, [call.int('axis', 0)], call)), 'ArgMax ArgMin'],
  [squeeze, 'Squeeze'],
  [unsqueeze, 'Unsqueeze'],
  [transpose, 'Transpose'],
  [slice, 'Slice'],
  [reshape, 'Reshape'],
  [flatten, 'Flatten'],
  [(call) => join(call.operands, call.int('axis', 1)), 'Concat'],
  [({ operands: [a, b] }) => multiply(unpadded(a), unpadded(b)), 'MatMul'],
  [gemm, 'Gemm'],
  [gather, 'Gather'],
  [({ operands: [x] }) => unpadded(x), 'Identity'],
  [constant, 'Constant'],
  [(call) => ({ shape: call.integers('shape', 0, 0) ?? [] }), 'ConstantOfShape'],
  [ofOne((x) => alongAxes(ofRank(2, x), [])), 'ml.Binarizer ml.Imputer ml.Normalizer ml.Scaler'],
  [classify, 'ml.LinearClassifier ml.SVMClassifier ml.TreeEnsembleClassifier'],
  [regress, 'ml.LinearRegressor ml.SVMRegressor ml.TreeEnsemble ml.TreeEnsembleRegressor'],
  [arrayFeatureExtractor, 'ml.ArrayFeatureExtractor'],
  [encode, 'ml.OneHotEncoder'],
  // It may cut its operands, or fill them up.
  [({ operands }) => alongAxes(ofRank(2, join(operands, 1)), [1], Number.NaN), 'ml.FeatureVectorizer'],
  [ofOne((x) => alongAxes(ofRank(1, x), [])), 'StringNormalizer'],
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
