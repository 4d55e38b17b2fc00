import { type Shape, sizeOf } from '../values/tensor';
import {
  acrossRows,
  broadcast,
  type Group,
  inner,
  int,
  integersBy,
  ints,
  type Known,
  Mixes,
  numberOf,
  onlyRows,
  pickAxes,
  type Rule,
  required,
  withLength,
  without,
} from './known';

// Operators that join, pick, regroup and multiply entries.

const concat: Rule = (call) => {
  const parts = call.operands.map(required);
  const [first] = parts;
  const place = inner(first, int(call, 'axis', 1));
  const isAlike = ({ shape, axis }: Known) =>
    shape.length === first.shape.length &&
    axis === first.axis &&
    (axis === undefined || shape[axis] === first.shape[axis]);
  if (!parts.every(isAlike)) throw new Mixes('sets rows beside other entries');
  const length = parts.reduce((sum, { shape }) => sum + shape[place], 0);
  return [withLength(first, [place], length)];
};

const featureVectorizer: Rule = (call) => {
  const [x] = concat(call);
  if (x.shape.length !== 2) throw new Mixes('is given a tensor of another rank than 2');
  // It may cut its operands, or fill them up.
  return [withLength(x, [1])];
};

/** "To the end" is written as this or more; no run has so many rows. */
const endless = 1e9;

const slice: Rule = (call) => {
  const [starts = [], ends = [], axes = [...starts.keys()], steps = []] = [
    'starts',
    'ends',
    'axes',
    'steps',
  ].map((name, i) => integersBy(call, 10, i + 1, name));
  const cut = (x: Known, axis: number, i: number): Known => {
    const [start, end, step = 1] = [starts[i], ends[i], steps[i]];
    if (start === 0 && end >= endless && step === 1) return x;
    const place = inner(x, axis);
    const length = numberOf(x.shape[place]);
    const within = (index: number, first: number, last: number) =>
      Math.min(Math.max(index < 0 ? index + length : index, first), last);
    const [before, last] = step > 0 ? [0, length] : [-1, length - 1];
    const span = within(end, before, last) - within(start, 0, last);
    return withLength(x, [place], Math.max(0, Math.ceil(span / step)));
  };
  return [axes.reduce(cut, withLength(onlyRows(call), []))];
};

const transpose: Rule = (call) => {
  const x = onlyRows(call);
  return [pickAxes(x, ints(call, 'perm') ?? [...x.shape.keys()].reverse())];
};

const unsqueeze: Rule = (call) => {
  const { shape, axis } = onlyRows(call);
  const axes = integersBy(call, 13, 1, 'axes') ?? [];
  const places = axes.map((place) => (place < 0 ? place + shape.length + axes.length : place));
  const order = places.toSorted((one, other) => one - other);
  const longer = order.reduce((lengths: Shape, place) => lengths.toSpliced(place, 0, 1), shape);
  const moved = order.reduce((at, place) => (place <= at ? at + 1 : at), axis ?? 0);
  return [{ shape: longer, axis: axis === undefined ? undefined : moved }];
};

/** What stands before the rows, and what is in each, is regrouped by itself. */
const reshape: Rule = (call) => {
  const { shape, axis } = onlyRows(call);
  const target = integersBy(call, 0, 1, 'shape') ?? [];
  if (target.includes(0) && int(call, 'allowzero', 0) !== 0) throw new Mixes('makes an empty tensor');
  const lengths = target.map((length, place) => (length === 0 ? shape[place] : length));
  if (axis === undefined) return [{ shape: fill(lengths, sizeOf(shape)) }];
  const place = target[axis] === 0 ? axis : target.indexOf(-1);
  if (place < 0) throw new Mixes('makes a fixed number of rows');
  const before = fill(lengths.slice(0, place), sizeOf(shape.slice(0, axis)));
  const own = sizeOf(shape.slice(axis));
  const behind = lengths.slice(place + 1);
  const isCopied = target[place] === 0;
  const length = isCopied ? shape[axis] : own / sizeOf(behind);
  if (!isCopied && !(Number.isInteger(length) && length > 0)) throw acrossRows();
  return [{ shape: [...before, length, ...(isCopied ? fill(behind, own / length) : behind)], axis: place }];
};

/** Lengths whose product is `size`, with the one that -1 stands for. */
function fill(lengths: Shape, size: number): number[] {
  const others = sizeOf(lengths.filter((length) => length !== -1));
  if (!lengths.includes(-1) && others !== size) throw acrossRows();
  return lengths.map((length) => (length === -1 ? size / others : length));
}

const flatten: Rule = (call) => {
  const x = onlyRows(call);
  const { shape, axis = -1 } = x;
  const given = int(call, 'axis', 1);
  const cut = given < 0 ? given + shape.length : given;
  if (shape.length === 2 && cut === 1) return [x];
  if (x.padding !== undefined) throw acrossRows();
  const flat = [sizeOf(shape.slice(0, cut)), sizeOf(shape.slice(cut))];
  if (axis < 0) return [{ shape: flat }];
  if (sizeOf(shape.slice(axis < cut ? 0 : cut, axis)) !== 1) throw acrossRows();
  return [{ shape: flat, axis: axis < cut ? 0 : 1 }];
};

/** The product of the last two axes; those before are aligned as elements are. */
function multiply(a: Known, b: Known): Known {
  if (b.shape.length === 1 && b.axis === undefined) return without(a, [inner(a, -1)]);
  if (a.shape.length < 2 || b.shape.length < 2) throw new Mixes('multiplies vectors');
  const [summed, alsoSummed] = [inner(a, -1), inner(b, -2)];
  const isOfMatrices = a.axis === a.shape.length - 2 || b.axis === b.shape.length - 1;
  if (isOfMatrices && a.axis !== undefined && b.axis !== undefined)
    throw new Mixes('multiplies rows by rows');
  return broadcast([withLength(a, [summed], 1), withLength(b, [alsoSummed], 1)]);
}

const gemm: Rule = (call) => {
  const [a, b] = ['transA', 'transB'].map((name, i) => {
    const x = required(call.operands[i]);
    if (x.shape.length !== 2) throw new Mixes('takes no matrix');
    return pickAxes(x, int(call, name, 0) === 0 ? [0, 1] : [1, 0]);
  });
  return [broadcast([multiply(a, b), ...call.operands.slice(2).flatMap((c) => c ?? [])])];
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
  return [pick(data, indices, int(call, 'axis', 0))];
};

/** Picks by all indices in one list, from the last axis of a matrix: a list is one row of it. */
const arrayFeatureExtractor: Rule = ({ operands }) => {
  const [x, { shape, axis }] = operands.map(required);
  if (axis !== undefined && sizeOf(shape.slice(0, axis)) !== 1) throw acrossRows();
  if (x.shape.length === 1) inner(x, 0);
  const table = x.shape.length === 1 ? { shape: [1, ...x.shape] } : x;
  return [pick(table, { shape: [sizeOf(shape)], axis: axis === undefined ? undefined : 0 }, -1)];
};

/** TensorProto.DataType.INT64; in a narrower type large integers wrap around. */
const int64 = 7;

const cast: Rule = (call) => {
  const x = onlyRows(call);
  return [int(call, 'to', 0) === int64 ? x : withLength(x, [])];
};

const constant: Rule = ({ node: { attributes } }) => {
  const [[name, { i, ints, tensor }]] = attributes;
  if (tensor) return [{ shape: tensor.dims, integers: tensor.integers }];
  if (name === 'value_ints') return [{ shape: [ints.length], integers: ints.map(Number) }];
  if (name === 'value_int') return [{ shape: [], integers: [Number(i)] }];
  if (!/^value_(float|string)/.test(name)) throw new Mixes('is not followed');
  return [{ shape: name.endsWith('s') ? [Number.NaN] : [] }];
};

export const regroupingGroups: readonly Group[] = [
  [concat, 'Concat'],
  [featureVectorizer, 'ml.FeatureVectorizer'],
  [slice, 'Slice'],
  [transpose, 'Transpose'],
  [unsqueeze, 'Unsqueeze'],
  [reshape, 'Reshape'],
  [flatten, 'Flatten'],
  [({ operands: [a, b] }) => [multiply(required(a), required(b))], 'MatMul'],
  [gemm, 'Gemm'],
  [gather, 'Gather'],
  [arrayFeatureExtractor, 'ml.ArrayFeatureExtractor'],
  [cast, 'Cast'],
  [({ operands: [x] }) => [required(x)], 'Identity'],
  [constant, 'Constant'],
  [(call) => [{ shape: integersBy(call, 0, 0, 'shape') ?? [] }], 'ConstantOfShape'],
];
