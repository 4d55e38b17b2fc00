import type { Categories } from './graph/categories';
import type { Input, Kind, Scalar } from './signature';
import { elementOf } from './values/elements';
import { sizeOf, type Tensor } from './values/tensor';

/** How made-up rows look. */
export interface Recipe {
  /** Categories that the model's encoders know. */
  readonly categories: Categories;
  /** Words that the model knows, if any. */
  readonly words: readonly string[];
  /** The length of open dimensions. */
  readonly size: number;
  /** Every number of row 0. */
  readonly number: number;
  /** How often a text is repeated in itself. */
  readonly repeats: number;
}

/** More values are not made up for the sake of a length that may do as well when it is shorter. */
const mostValues = 2 ** 22;

/** The values that fill a made-up row, again and again: other ones for each of the rows 0, 1 and 2, but for categories. */
export function sampleRow({ name, type, dims: [, width = 1] }: Input, row: number, recipe: Recipe): Scalar[] {
  const value = sampleValue(type, row, recipe);
  const known = recipe.categories.get(name) ?? [];
  const columns = known.length > 0 && typeof width === 'number' ? width : 1;
  const values = Array.from({ length: columns }, (_, place) =>
    typeof known[place] === typeof value ? known[place] : value,
  );
  return values.map((own) => (typeof own === 'string' ? Array(recipe.repeats).fill(own).join(' ') : own));
}

function sampleValue(type: Input['type'], row: number, { words, number }: Recipe): Scalar {
  if (type === 'bool') return (number + row) % 2 === 1;
  if (type !== 'string') return (number + row) % 3;
  return (words.length > 0 ? words : ['a', 'b', 'c']).slice(0, row + 1).join(' ');
}

/**
 * Feeds of made-up rows of these numbers. A dimension that bears the batch's name is the rows, wherever it stands. Throws
 * RangeError for too many values.
 */
export function sampleFeeds(
  inputs: readonly Input[],
  kind: Kind,
  rows: readonly number[],
  recipe: Recipe,
): Tensor[] {
  const batch = inputs[0]?.dims[0] || undefined;
  return inputs.map((input) => {
    const shape = input.dims.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      return (axis === 0 && kind === 'batched') || dim === batch ? rows.length : recipe.size;
    });
    if (recipe.size > 1 && sizeOf(shape) > mostValues) throw new RangeError('too many values');
    const element = elementOf(input.type);
    const data = element.create(sizeOf(shape));
    const size = sizeOf(shape.slice(1)) || 1;
    for (let at = 0; at < data.length; at += size) {
      const values = sampleRow(input, rows[at / size] ?? 0, recipe).slice(0, size);
      element.fill(data, at, values);
      // The row's beginning, again and again.
      for (let filled = values.length; filled < size; filled *= 2)
        data.copyWithin(at + filled, at, at + Math.min(filled, size - filled));
    }
    return { type: input.type, shape, data };
  });
}
