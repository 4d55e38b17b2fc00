import { BadInput, type Path } from '../errors';
import { type Dim, type Input, type Kind, showDims } from '../signature';
import { type Shape, sizeOf } from './tensor';

/** What the values at one place must be: of any shape without `dims`; one instance's value where the kind of model is given. */
export type Expected = Pick<Input, 'type' | 'missingText'> & { dims?: readonly Dim[]; kind?: Kind };

/** The shape of so many values in one piece, which may decide one open dimension. Throws BadInput. */
export function fitFlat(length: number, { dims = [''] }: Expected, path: Path): Shape {
  const known = sizeOf(dims.filter((dim) => typeof dim === 'number')) || 1;
  const shape = dims.map((dim) => (typeof dim === 'number' ? dim : Math.floor(length / known)));
  // Where several are open, there are more.
  if (sizeOf(shape) === length) return shape;
  const takes = `an array of shape ${showDims(dims)}`;
  throw new BadInput(`must be ${takes}, not ${length} values without a shape`, path);
}

/** The full shape of a value that nests as `lengths`, or states them, with what it may leave out. Throws BadInput. */
export function fitShape(lengths: unknown, expected: Expected, path: Path): Shape {
  const { dims, kind, type } = expected;
  if (!isShape(lengths)) throw new BadInput('must have a shape that a tensor can have', path);
  if (kind === 'single' && lengths[0] === 1 && lengths.length - 1 === dims?.length)
    return fitShape(lengths.slice(1), { type, dims }, path);
  const shape = completeShape(lengths, dims);
  if (shape) return shape;
  const takes = dims?.length ? `an array of shape ${showDims(dims)}` : 'a single value';
  const isBatch = kind === 'batched' && lengths.length === 1 && dims?.length === 1 && dims[0] === 1;
  const hint = isBatch ? `; a batch is ${type === 'string' ? '[["a"],["b"]]' : '[[0],[0]]'}` : '';
  const gets = lengths.length === 0 ? 'a single value' : showDims(lengths);
  throw new BadInput(`must be ${takes}, not ${gets}${hint}`, path);
}

/** The shape of a value that nests as `lengths`, with what it may leave out; undefined where it does not fit. */
export function completeShape(lengths: Shape, dims: readonly Dim[] | undefined): Shape | undefined {
  if (!dims) return isShape(lengths) ? lengths : undefined;
  const isMisfit = (length: number, axis: number) => typeof dims[axis] === 'number' && dims[axis] !== length;
  if (lengths.length > dims.length || lengths.some(isMisfit)) return undefined;
  if (lengths.length === dims.length) return lengths;
  const missing = dims.slice(lengths.length);
  // In an empty array, nothing tells the lengths behind it.
  if (lengths.at(-1) !== 0 && missing.some((dim) => dim !== 1)) return undefined;
  return [...lengths, ...missing.map((dim) => (typeof dim === 'number' ? dim : 0))];
}

/**
 * The lengths of a value's arrays, told by the first of each. By at(), since V8 would turn an array of doubles into one of
 * objects where `[0]` meets arrays of both, and then all of them where they are read.
 */
export function measure(value: unknown): Shape {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner) && shape.length <= mostAxes; inner = inner.at(0))
    shape.push(inner.length);
  return shape;
}

/** The path to the first array that has not these lengths, without a look at the values; undefined where all have. */
export function findUneven(value: unknown, lengths: Shape, axis = 0): number[] | undefined {
  if (axis === lengths.length) return undefined;
  if (!Array.isArray(value) || value.length !== lengths[axis]) return [];
  if (axis === lengths.length - 1) return undefined;
  for (let i = 0; i < value.length; i++) {
    const path = findUneven(value[i], lengths, axis + 1);
    if (path) return [i, ...path];
  }
  return undefined;
}

/** More dimensions than any tensor has. */
const mostAxes = 64;
/** Most rows without values that a shape may declare: they cost nothing to send, but time and memory to answer. */
const mostEmptyRows = 1 << 16;

function isShape(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > mostAxes) return false;
  const isLength = (length: unknown) =>
    Number.isInteger(length) && Number(length) >= 0 && Number(length) < 2 ** 31;
  return value.every(isLength) && (!value.includes(0) || sizeOf(value.filter(Boolean)) <= mostEmptyRows);
}
