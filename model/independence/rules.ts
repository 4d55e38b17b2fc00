import { mostIntegers, mostStrings } from '../graph/onnx';
import { sizeOf } from '../values/tensor';
import {
  alongAxes,
  broadcast,
  type Call,
  hasRows,
  type Known,
  Mixes,
  notRowAxis,
  ofOne,
  type Rule,
  rowAxis,
} from './known';

const axesFrom = (x: Known, axis: number) => [...x.shape.keys()].slice(axis);

/** Below opset 13, it goes over all axes from one on. */
const softmax = ofOne((x, call) =>
  alongAxes(x, call.opset < 13 ? axesFrom(x, call.int('axis', 1)) : [call.int('axis', -1)]),
);

/** Scale and bias, which may have the shape of the operand, are aligned with it. */
const layerNormalization = ofOne((x, call) => {
  alongAxes(x, axesFrom(x, call.int('axis', -1)));
  return broadcast(call.operands);
});

/** A length that must be known, since what is cut may be empty. */
function knownLength(length = Number.NaN): number {
  if (!Number.isInteger(length)) throw new Mixes('cuts to a length that is not known');
  return length;
}

function reduced(x: Known, axes: readonly number[], call: Call): Known {
  return alongAxes(x, axes, call.int('keepdims', 1) === 1 ? [1] : []);
}

/** Without axes it goes over all, or over none. */
const reduce = ofOne((x, call) => {
  const axes = call.integers('axes');
  if (axes.length === 0) throw new Mixes();
  return reduced(x, axes, call);
});

const squeeze = ofOne((x, call) => {
  const axes = call.integers('axes');
  if (axes.length === 0) throw new Mixes('drops all axes of length 1, that of a single row too');
  return alongAxes(x, axes, []);
});

const unsqueeze = ofOne(({ shape }, call) => {
  const axes = call.integers('axes');
  const places = Array.from({ length: shape.length + axes.length }, (_, place) => place);
  const old = places.filter((place) => !axes.includes(place) && !axes.includes(place - places.length));
  return { shape: places.map((place) => shape[old.indexOf(place)] ?? 1) };
});

const transpose = ofOne(({ shape }, { node }) => {
  const order = node.attributes.get('perm')?.ints.map(Number) ?? [...shape.keys()].reverse();
  return { shape: order.map((place) => shape[place]) };
});

/** "To the end" is written as this or more; no run has so many rows. */
const endless = 1e9;

const slice = ofOne((x, call) => {
  const [starts, ends, given, steps] = ['starts', 'ends', 'axes', 'steps'].map((name, i) =>
    call.integers(name, i + 1),
  );
  const axes = given.length > 0 ? given : [...starts.keys()];
  if (steps.some((step) => step !== 1)) throw new Mixes('leaves entries out, or turns them round');
  const cut = (part: Known, axis: number, i: number): Known => {
    const [start, end] = [starts[i], ends[i]];
    if (start === 0 && end >= endless) return part;
    const length = knownLength(part.shape[notRowAxis(part, axis)]);
    const within = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
    return alongAxes(part, [axis], [Math.max(0, within(end) - within(start))]);
  };
  return axes.reduce(cut, alongAxes(x, []));
});

/** What stands before the rows, and what is in each, is regrouped by itself. */
function regroup(x: Known, target: readonly number[]): Known {
  const copied = target.map((length, place) => (length === 0 ? x.shape[place] : length));
  const open = sizeOf(x.shape) / sizeOf(copied.filter((_, place) => target[place] !== -1));
  const shape = copied.map((length, place) => (target[place] === -1 ? open : length));
  if (!hasRows(x)) return { shape };
  const rows = rowAxis({ shape });
  if (rows < 0)
    throw new Mixes(`makes ${shape.includes(Number.NaN) ? 'an unknown' : 'a fixed'} number of rows`);
  const isApart = sizeOf(shape.slice(0, rows)) === sizeOf(x.shape.slice(0, rowAxis(x)));
  if (!isApart || !Number.isInteger(shape[rows])) throw new Mixes();
  return { shape };
}

const reshape = ofOne((x, call) => {
  const target = call.integers('shape');
  if (target.includes(0) && call.int('allowzero', 0) !== 0) throw new Mixes('makes an empty tensor');
  return regroup(x, target);
});

const flatten = ofOne((x, call) => {
  if (call.int('axis', 1) !== 1) throw new Mixes();
  return regroup(x, [0, -1]);
});

/** A list or a matrix of rows, and no other tensor: operators make one row of a list, say. */
function ofRank(rank: 1 | 2, x: Known): Known {
  if (x.shape.length !== rank) throw new Mixes(`is given a tensor of another rank than ${rank}`);
  if (rowAxis(x) === 1) throw new Mixes();
  return x;
}

const classify = ofOne((x) => [alongAxes(ofRank(2, x), [1], []), alongAxes(x, [1], [Number.NaN])]);

const regress = ofOne((x, call) => {
  const width = call.node.op === 'LinearRegressor' ? 'targets' : 'n_targets';
  return alongAxes(ofRank(2, x), [1], [call.int(width, 1)]);
});

const encode = ofOne(({ shape }, { node: { attributes } }) => {
  const [list] = ['cats_strings', 'cats_int64s'].flatMap((name) => attributes.get(name) ?? []);
  const isWhole = list && list.ints.length < mostIntegers && list.strings.length < mostStrings;
  return { shape: [...shape, isWhole ? list.ints.length + list.strings.length : Number.NaN] };
});

/** One behind another, and aligned in all other axes. */
function join(parts: readonly Known[], axis: number): Known {
  const entries = broadcast(parts.map((part) => alongAxes(part, [axis], [1])));
  const length = parts.reduce((sum, { shape }) => sum + (shape.at(axis) ?? 0), 0);
  return alongAxes(entries, [axis], [length]);
}

/** The product of the last two axes; those before are aligned as elements are. */
function multiply(a: Known, b: Known): Known {
  if (b.shape.length === 1 && !hasRows(b)) return alongAxes(a, [-1], []);
  if (a.shape.length < 2 || b.shape.length < 2) throw new Mixes('multiplies vectors');
  return broadcast([alongAxes(a, [-1], [1]), alongAxes(b, [-2], [1])]);
}

const gemm: Rule = (call) => {
  const [a, b, ...c] = call.operands;
  if (a.shape.length !== 2 || b.shape.length !== 2) throw new Mixes('takes no matrix');
  const turned = (x: Known, flag: string) => (call.int(flag, 0) === 0 ? x : { shape: x.shape.toReversed() });
  return broadcast([multiply(turned(a, 'transA'), turned(b, 'transB')), ...c]);
};

/** Entries along an axis: of a constant table by rows, or of rows by constants. */
function pick(data: Known, indices: Known, axis: number): Known {
  // Of texts behind the axis, the runtime (1.30 to 1.32) copies the first only.
  if (rowAxis(data) > notRowAxis(data, axis)) throw new Mixes('picks along an axis before the rows');
  return alongAxes(data, [axis], indices.shape);
}

/** Picks by all indices in one list, from the last axis of a matrix: a list is one row of it. */
const arrayFeatureExtractor: Rule = ({ operands: [x, indices] }) => {
  const isList = x.shape.length === 1;
  const isApart = !hasRows(indices) || sizeOf(indices.shape.slice(0, rowAxis(indices))) === 1;
  if (!isApart || (isList && hasRows(x))) throw new Mixes();
  return pick(isList ? { shape: [1, ...x.shape] } : x, { shape: [sizeOf(indices.shape)] }, -1);
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
    ({ operands }) => broadcast(operands),
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
  [ofOne((x, call) => alongAxes(x, [call.integers('axis')[0]])), 'CumSum'],
  [layerNormalization, 'LayerNormalization RMSNormalization'],
  // Of images and the like, which the first axis counts. MaxPool's second output, which counts over all, is not given.
  [
    ofOne((x) => alongAxes(x, axesFrom(x, 1), [Number.NaN])),
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
  [({ operands: [a, b] }) => multiply(a, b), 'MatMul'],
  [gemm, 'Gemm'],
  [(call) => pick(call.operands[0], call.operands[1], call.int('axis', 0)), 'Gather'],
  [({ operands: [x] }) => x, 'Identity'],
  [constant, 'Constant'],
  [(call) => ({ shape: call.integers('shape', 0) }), 'ConstantOfShape'],
  [ofOne((x) => alongAxes(ofRank(2, x), [])), 'ml.Binarizer ml.Imputer ml.Normalizer ml.Scaler'],
  [classify, 'ml.LinearClassifier ml.SVMClassifier ml.TreeEnsembleClassifier'],
  [regress, 'ml.LinearRegressor ml.SVMRegressor ml.TreeEnsemble ml.TreeEnsembleRegressor'],
  [arrayFeatureExtractor, 'ml.ArrayFeatureExtractor'],
  [encode, 'ml.OneHotEncoder'],
  // It may cut its operands, or fill them up.
  [({ operands }) => alongAxes(ofRank(2, join(operands, 1)), [1], [Number.NaN]), 'ml.FeatureVectorizer'],
  [ofOne((x) => alongAxes(ofRank(1, x), [])), 'StringNormalizer'],
  [ofOne((x) => ({ shape: [...ofRank(1, x).shape, Number.NaN] })), 'ms.Tokenizer'],
  [ofOne((x) => alongAxes(ofRank(2, x), [1], [Number.NaN])), 'TfIdfVectorizer'],
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
