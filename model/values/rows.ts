import { RunError } from '../errors';
import { showDims } from '../signature';
import { elementOf } from './elements';
import { sizeOf, type Tensor } from './tensor';

/** Rows `from` to `to` (not included) of a tensor, sharing its memory where it is numeric. */
export function rowsOf({ type, shape, data }: Tensor, from: number, to: number): Tensor {
  const size = sizeOf(shape.slice(1));
  const [start, end] = [from * size, to * size];
  const part = Array.isArray(data) ? data.slice(start, end) : data.subarray(start, end);
  return { type, shape: [to - from, ...shape.slice(1)], data: part };
}

/** Tensors of the same type and trailing shape, one behind another along the first dimension. */
export function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (tensors.length === 1) return first;
  let [rows, length] = [0, 0];
  for (const { shape, data } of tensors) {
    rows += shape[0];
    length += data.length;
  }
  const element = elementOf(first.type);
  const data = element.create(length);
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
    const to = from + count;
    const part = tensors.map((tensor) => rowsOf(tensor, from, to));
    from = to;
    return part;
  });
}
