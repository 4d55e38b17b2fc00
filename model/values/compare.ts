import { elementOf } from './elements';
import { sameShape, sizeOf, type Tensor } from './tensor';

/**
 * Whether two answers to the same rows are the same but for rounding, row by row: a difference is measured by the row's
 * own largest value and, less, by the `typical` row's. What is no float is compared exactly.
 */
export function agree(one: Tensor, other: Tensor, typical: number): boolean {
  if (!sameShape(one.shape, other.shape)) return false;
  const { type, shape, data } = one;
  const element = elementOf(type);
  const { rounding } = element;
  if (!rounding) {
    for (let i = 0; i < data.length; i++) if (data[i] !== other.data[i]) return false;
    return true;
  }
  const size = sizeOf(shape.slice(1));
  for (let from = 0; from < data.length; from += size) {
    const tolerance = rounding.relative * largest(one, from, from + size) + rounding.absolute * typical;
    for (let i = from; i < from + size; i++) {
      const [a, b] = [element.number(data, i), element.number(other.data, i)];
      if (!Object.is(a, b) && !(Math.abs(a - b) <= tolerance)) return false;
    }
  }
  return true;
}

/** The largest magnitude of each row, as a whole: the median of all rows. */
export function typicalOf(tensor: Tensor): number {
  if (!elementOf(tensor.type).rounding || tensor.data.length === 0) return 0;
  const size = sizeOf(tensor.shape.slice(1));
  const rows = Array.from({ length: tensor.data.length / size }, (_, row) =>
    largest(tensor, row * size, (row + 1) * size),
  );
  return rows.sort((one, other) => one - other)[rows.length >> 1];
}

function largest({ type, data }: Tensor, from: number, to: number): number {
  const element = elementOf(type);
  let most = 0;
  for (let i = from; i < to; i++) {
    const size = Math.abs(element.number(data, i));
    if (size > most && size !== Number.POSITIVE_INFINITY) most = size;
  }
  return most;
}
