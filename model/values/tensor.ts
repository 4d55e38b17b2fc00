import { RunError } from '../errors';
import { showDims } from '../signature';
import { type Data, type ElementType, elements } from './elements';

/** The shape of an array of values; a scalar's is empty. */
export type Shape = readonly number[];

export interface Tensor {
  readonly type: ElementType;
  readonly shape: Shape;
  readonly data: Data;
}

/** The number of values in a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((size, length) => size * length, 1);
}

export function sameShape(one: Shape, other: Shape): boolean {
  return one.length === other.length && one.every((length, axis) => length === other[axis]);
}

/** What tensors take in memory, strings counted with two bytes a character. */
export function bytesIn(tensors: readonly Tensor[]): number {
  let bytes = 0;
  for (const { type, data } of tensors) {
    bytes += data.length * elements[type].bytes;
    if (Array.isArray(data)) for (const text of data) bytes += 2 * text.length;
  }
  return bytes;
}

export function valuesIn(tensors: readonly Tensor[]): number {
  return tensors.reduce((values, { data }) => values + data.length, 0);
}

/** The same with equal texts in one piece of memory: the runtime makes each anew, and labels are few. */
export function withSharedTexts(tensor: Tensor): Tensor {
  const { data } = tensor;
  if (!Array.isArray(data)) return tensor;
  const texts = new Map(data.map((text) => [text, text]));
  return { ...tensor, data: data.map((text) => texts.get(text) ?? text) };
}

/**
 * Rows `from` to `to` (not included) of a tensor; a copy, unless they are all of them: a run may take over its feeds' memory,
 * and the runtime adds up in another order where memory does not begin as that of an array of its own does.
 */
export function rowsOf(tensor: Tensor, from: number, to: number): Tensor {
  const { type, shape, data } = tensor;
  const [rows, ...inner] = shape;
  if (to - from === rows) return tensor;
  const size = sizeOf(inner);
  return { type, shape: [to - from, ...inner], data: data.slice(from * size, to * size) };
}

/** Tensors of the same type and trailing shape, one behind another along the first dimension. */
export function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (tensors.length === 1) return first;
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
  const element = elements[first.type];
  const data = element.create(valuesIn(tensors));
  let at = 0;
  for (const tensor of tensors) {
    element.copy(data, at, tensor.data);
    at += tensor.data.length;
  }
  return { type: first.type, shape: [rows, ...first.shape.slice(1)], data };
}

/** Each request's own rows of outputs that were computed together. Throws RunError where they do not follow the rows. */
export function splitRows(tensors: readonly Tensor[], counts: readonly number[]): Tensor[][] {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const misfit = tensors.find(({ shape }) => shape[0] !== rows);
  if (misfit) throw new RunError(`an output has the shape ${showDims(misfit.shape)} for ${rows} rows`);
  let from = 0;
  return counts.map((count) => {
    from += count;
    return tensors.map((tensor) => rowsOf(tensor, from - count, from));
  });
}
