import { mostIntegers, mostStrings, type Node } from '../graph/onnx';
import { type Shape, sizeOf } from '../values/tensor';

/** What is known of a tensor: without rows, it is the same in every run. */
export interface Known {
  /** The lengths of its axes, NaN where unknown. Of one that is -k, entries `n·k` to `n·k + k - 1` depend on row n alone. */
  readonly shape: Shape;
  /** The values of a small constant of int32 or int64. */
  readonly integers?: readonly number[];
}

/** The axis of the rows; -1 where there is none. */
export const rowAxis = ({ shape }: Known) => shape.findIndex((length) => length < 0);
export const hasRows = (x: Known) => rowAxis(x) >= 0;

/** What a node does that keeps rows from being told apart; by default, it goes across them. */
export class Mixes extends Error {}

/** An operand that is left out. */
export const omitted: Known = { shape: [], integers: [] };

type Call = { readonly node: Node; readonly operands: readonly Known[] };

function int({ node }: Call, name: string, otherwise: number): number {
  return node.attributes.get(name)?.i ?? otherwise;
}

/** The integers of an attribute or, in later opsets, where the runtime refuses that, of an operand; none if left out. */
function integersOf({ node, operands }: Call, name: string, place = 1): readonly number[] {
  const attribute = node.attributes.get(name);
  if (attribute) return attribute.ints.map(Number);
  const { integers } = operands[place] ?? omitted;
  if (!integers) throw new Mixes('takes its places from what is computed');
  return integers;
}

/** What is made along some axes, none of which may be the rows': their lengths stay, or `lengths` stand in place of each. */
function alongAxes({ shape }: Known, axes: readonly number[], lengths?: Shape): Known {
  const places = axes.map((axis) => (axis < 0 ? axis + shape.length : axis));
  if (places.some((place) => shape[place] === undefined || shape[place] < 0)) throw new Mixes();
  return { shape: shape.flatMap((length, place) => (places.includes(place) ? (lengths ?? length) : length)) };
}

/** Operands aligned from the right: https://onnx.ai/onnx/repo-docs/Broadcasting.html */
function broadcast(operands: readonly Known[]): Known {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, place) => {
    const lengths = operands.map(({ shape }) => shape.at(place - rank) ?? 1).filter((length) => length !== 1);
    const length = lengths.find((length) => !Number.isNaN(length)) ?? lengths[0] ?? 1;
    if (lengths.some((other) => other < 0) && lengths.some((other) => other !== length))
      throw new Mixes('sets rows beside other entries');
    return length;
  });
  return { shape };
}

/** What a node gives as its first output, or its first ones, given its first operand. Throws Mixes where it goes across rows, or may. */
type Rule = (x: Known, call: Call) => Known | readonly Known[];

const axesFrom = (x: Known, axis: number) => [...x.shape.keys()].slice(axis);

/** Goes over the axes from one on, or over that alone; scale and bias, which may be as large as `x`, are aligned with it. */
const normalize: Rule = (x, call) => {
  const axis = int(call, 'axis', x.shape.length > 1 ? 1 : -1);
  return broadcast([alongAxes(x, axesFrom(x, axis)), ...call.operands.slice(1)]);
};

/** Goes over axes, which are kept with the length 1 or dropped. */
function collapse(x: Known, axes: readonly number[], keepdims: number): Known {
  if (axes.length === 0) throw new Mixes('is given no axes, and goes over all');
  return alongAxes(x, axes, keepdims === 1 ? [1] : []);
}

const unsqueeze: Rule = ({ shape }, call) => {
  const axes = integersOf(call, 'axes');
  const places = Array.from({ length: shape.length + axes.length }, (_, place) => place);
  const old = places.filter((place) => !axes.includes(place) && !axes.includes(place - places.length));
  return { shape: places.map((place) => shape[old.indexOf(place)] ?? 1) };
};

const transpose: Rule = ({ shape }, { node }) => {
  const order = node.attributes.get('perm')?.ints.map(Number) ?? [...shape.keys()].reverse();
  return { shape: order.map((place) => shape[place]) };
};

/** A length that must be known, since what is cut may be empty. */
function knownLength(length = Number.NaN): number {
  if (!Number.isInteger(length)) throw new Mixes('cuts to a length that is not known');
  return length;
}

/** Parts of given lengths, or else all of one length. */
const split: Rule = (x, call) => {
  const axis = int(call, 'axis', 0);
  const { outputs } = call.node;
  const equal = knownLength(x.shape.at(axis)) / outputs.length;
  const lengths = integersOf(call, 'split');
  return outputs.map((_, i) => alongAxes(x, [axis], [knownLength(lengths.length > 0 ? lengths[i] : equal)]));
};

/** "To the end" is written as this or more; no run has so many rows. */
const endless = 1e9;

const slice: Rule = (x, call) => {
  const [starts, ends, given, steps] = ['starts', 'ends', 'axes', 'steps'].map((name, i) =>
    integersOf(call, name, i + 1),
  );
  const axes = given.length > 0 ? given : [...starts.keys()];
  if (steps.some((step) => step !== 1)) throw new Mixes('leaves entries out, or turns them round');
  const cut = (part: Known, axis: number, i: number): Known => {
    if (starts[i] === 0 && ends[i] >= endless) return part;
    const length = knownLength(part.shape.at(axis));
    const within = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
    return alongAxes(part, [axis], [Math.max(0, within(ends[i]) - within(starts[i]))]);
  };
  return axes.reduce(cut, alongAxes(x, []));
};

/** The same entries in another shape: those before the axis of the rows stay before it, and those of each row together. */
function regroup(x: Known, target: readonly number[]): Known {
  const copied = target.map((length, place) => (length === 0 ? x.shape[place] : length));
  const open = sizeOf(x.shape) / sizeOf(copied.filter((_, place) => target[place] !== -1));
  const shape = copied.map((length, place) => (target[place] === -1 ? open : length));
  if (!hasRows(x)) return { shape };
  const rows = rowAxis({ shape });
  if (rows < 0) throw new Mixes('makes a fixed or unknown number of rows');
  const isApart = sizeOf(shape.slice(0, rows)) === sizeOf(x.shape.slice(0, rowAxis(x)));
  if (!isApart || !Number.isInteger(shape[rows])) throw new Mixes();
  return { shape };
}

const reshape: Rule = (x, call) => {
  const target = integersOf(call, 'shape');
  if (target.includes(0) && int(call, 'allowzero', 0) !== 0) throw new Mixes('makes an empty tensor');
  return regroup(x, target);
};

/** A list or a matrix of rows, and no other tensor: operators make one row of a list, say. */
function ofRank(rank: 1 | 2, x: Known): Known {
  if (x.shape.length !== rank) throw new Mixes(`is given a tensor of another rank than ${rank}`);
  if (rowAxis(x) === 1) throw new Mixes();
  return x;
}

const classify: Rule = (x) => [alongAxes(ofRank(2, x), [1], []), alongAxes(x, [1], [Number.NaN])];

const encode: Rule = ({ shape }, { node: { attributes } }) => {
  const [list] = ['cats_strings', 'cats_int64s'].flatMap((name) => attributes.get(name) ?? []);
  const isWhole = list && list.ints.length < mostIntegers && list.strings.length < mostStrings;
  return { shape: [...shape, isWhole ? list.ints.length + list.strings.length : Number.NaN] };
};

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

const gemm: Rule = (a, call) => {
  const [, b, ...c] = call.operands;
  if (a.shape.length !== 2 || b.shape.length !== 2) throw new Mixes('takes no matrix');
  const turned = (x: Known, flag: string) => (int(call, flag, 0) === 0 ? x : { shape: x.shape.toReversed() });
  return broadcast([multiply(turned(a, 'transA'), turned(b, 'transB')), ...c]);
};

/** Entries along an axis: of a constant table by rows, or of rows by constants. */
function pick(data: Known, indices: Known, axis: number): Known {
  const picked = alongAxes(data, [axis], indices.shape);
  // Of texts behind the axis, the runtime (1.30 to 1.32) copies the first only.
  if (rowAxis(data) > (axis < 0 ? axis + data.shape.length : axis))
    throw new Mixes('picks along an axis before the rows');
  return picked;
}

/** Picks by all indices in one list, from the last axis of a matrix: a list is one row of it. */
const arrayFeatureExtractor: Rule = (x, { operands: [, indices] }) => {
  const isList = x.shape.length === 1;
  const isApart = !hasRows(indices) || sizeOf(indices.shape.slice(0, rowAxis(indices))) === 1;
  if (!isApart || (isList && hasRows(x))) throw new Mixes();
  return pick(isList ? { shape: [1, ...x.shape] } : x, { shape: [sizeOf(indices.shape)] }, -1);
};

const constant: Rule = (_, { node: { attributes } }) => {
  const [[name, { i, ints, tensor }]] = attributes;
  if (tensor) return { shape: tensor.dims, integers: tensor.integers };
  if (name === 'value_ints') return { shape: [ints.length], integers: ints.map(Number) };
  if (name === 'value_int') return { shape: [], integers: [i] };
  if (!/^value_(float|string)/.test(name)) throw new Mixes('is not followed');
  return { shape: name.endsWith('s') ? [Number.NaN] : [] };
};

/** Operators that take rows as their first operand alone. */
const ofOne: readonly [rule: Rule, operators: string][] = [
  [constant, 'Constant'],
  [(_, call) => ({ shape: integersOf(call, 'shape', 0) }), 'ConstantOfShape'],
  [(x) => x, 'Identity'],
  [normalize, 'Hardmax LayerNormalization LogSoftmax LpNormalization RMSNormalization Softmax'],
  [(x, call) => alongAxes(x, [integersOf(call, 'axis')[0]]), 'CumSum'],
  // Of images and the like, which the first axis counts. MaxPool's second output, which counts over all, is not given.
  [
    (x) => alongAxes(x, axesFrom(x, 1), [Number.NaN]),
    `AveragePool BatchNormalization Conv GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN
    LpPool MaxPool`,
  ],
  [
    (x, call) => collapse(x, integersOf(call, 'axes'), int(call, 'keepdims', 1)),
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ],
  [(x, call) => collapse(x, [int(call, 'axis', 0)], int(call, 'keepdims', 1)), 'ArgMax ArgMin'],
  [(x, call) => collapse(x, integersOf(call, 'axes'), 0), 'Squeeze'],
  [split, 'Split'],
  [unsqueeze, 'Unsqueeze'],
  [transpose, 'Transpose'],
  [slice, 'Slice'],
  [reshape, 'Reshape'],
  // At another axis than that behind the first, it is not followed.
  [(x, call) => regroup(x, int(call, 'axis', 1) === 1 ? [0, -1] : [Number.NaN, Number.NaN]), 'Flatten'],
  [(x) => alongAxes(ofRank(2, x), []), 'ml.Binarizer ml.Imputer ml.Normalizer ml.Scaler'],
  [classify, 'ml.LinearClassifier ml.SVMClassifier ml.TreeEnsembleClassifier'],
  [
    (x, call) => alongAxes(ofRank(2, x), [1], [int(call, 'targets', int(call, 'n_targets', 1))]),
    'ml.LinearRegressor ml.SVMRegressor ml.TreeEnsemble ml.TreeEnsembleRegressor',
  ],
  [encode, 'ml.OneHotEncoder'],
  [(x) => alongAxes(ofRank(1, x), []), 'StringNormalizer'],
  [(x) => ({ shape: [...ofRank(1, x).shape, Number.NaN] }), 'ms.Tokenizer'],
  [(x) => alongAxes(ofRank(2, x), [1], [Number.NaN]), 'TfIdfVectorizer'],
];

/** Operators that take rows beside rows. */
const ofSeveral: typeof ofOne = [
  [
    (_, { operands }) => broadcast(operands),
    `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu Clip Cos
    Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less
    LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal RegexFullMatch Relu Round Selu Shrink Sigmoid
    Sign Sin Sinh Softplus Softsign Sqrt StringConcat Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor ml.CategoryMapper
    ml.LabelEncoder`,
  ],
  [(_, call) => join(call.operands, int(call, 'axis', 1)), 'Concat'],
  [(a, { operands: [, b] }) => multiply(a, b), 'MatMul'],
  [gemm, 'Gemm'],
  [(data, call) => pick(data, call.operands[1], int(call, 'axis', 0)), 'Gather'],
  [arrayFeatureExtractor, 'ml.ArrayFeatureExtractor'],
  // It may cut its operands, or fill them up.
  [(_, { operands }) => alongAxes(ofRank(2, join(operands, 1)), [1], [Number.NaN]), 'ml.FeatureVectorizer'],
];

const rulesByOperator = (groups: typeof ofOne) =>
  new Map(groups.flatMap(([rule, operators]) => operators.split(/\s+/).map((name) => [name, rule] as const)));

/**
 * What operators do with the rows of a batch: https://onnx.ai/onnx/operators/. Whatever has no rule may mix them. Names of
 * ai.onnx.ml begin with `ml.`, those of com.microsoft with `ms.`. One that counts or drops entries is named in walk.ts, too.
 */
export const rules = rulesByOperator([...ofOne, ...ofSeveral]);
export const takeSeveral = [...rulesByOperator(ofSeveral).keys()];
