import type { Categories } from './graph/categories';
import type { Input, Kind, Scalar } from './signature';
import { elementOf } from './values/elements';
import { sizeOf, type Tensor } from './values/tensor';

/** What the tables of a model hold: categories that its encoders know, and words. */
export interface Tables {
  readonly categories: Categories;
  readonly words: readonly string[];
}

/** How made-up rows look: the length of open dimensions, and what stands in each row. */
export interface Recipe {
  readonly size: number;
  /** The values that fill a row, again and again. */
  valuesFor(input: Input, row: number): readonly Scalar[];
}

/** More values are not made up for the sake of a length that may do as well when it is shorter. */
const mostValues = 2 ** 22;

/** Rows that are all alike: categories where encoders want some, else words that the model knows, else one number. */
export function plainRecipe({ categories, words }: Tables, number: number, size: number): Recipe {
  return {
    size,
    valuesFor({ name, type, dims }) {
      const plain = type === 'string' ? (words[0] ?? 'a') : type === 'bool' ? number === 1 : number;
      const known = categories.get(name);
      const [, width = 1] = dims;
      if (!known || typeof width !== 'number') return [plain];
      return Array.from({ length: width }, (_, place) =>
        typeof known[place] === typeof plain ? known[place] : plain,
      );
    },
  };
}

/** The same with other numbers and texts in each row, but for the categories that an encoder knows. */
export function variedRecipe({ size, valuesFor }: Recipe, { categories, words }: Tables): Recipe {
  const vary = (value: Scalar, row: number) => {
    if (typeof value === 'number') return (value + row + 1) % 3;
    if (typeof value === 'boolean') return row % 2 === 0;
    return (words.length > 0 ? words : ['a', 'b', 'c']).slice(0, row + 1).join(' ');
  };
  return {
    size,
    valuesFor(input, row) {
      const known = categories.get(input.name);
      return valuesFor(input, row).map((value, place) =>
        known?.[place] === undefined ? vary(value, row) : value,
      );
    },
  };
}

/** Feeds of made-up rows. A dimension that bears the batch's name is the rows, wherever it stands. Throws RangeError for too many. */
export function sampleFeeds(inputs: readonly Input[], kind: Kind, rows: number, recipe: Recipe): Tensor[] {
  const batch = inputs[0]?.dims[0] || undefined;
  return inputs.map((input) => {
    const shape = input.dims.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      return (axis === 0 && kind === 'batched') || dim === batch ? rows : recipe.size;
    });
    if (recipe.size > 1 && sizeOf(shape) > mostValues) throw new RangeError('too many values');
    const element = elementOf(input.type);
    const data = element.create(sizeOf(shape));
    const size = sizeOf(shape.slice(1)) || 1;
    for (let at = 0; at < data.length; at += size) {
      const values = recipe.valuesFor(input, at / size).slice(0, size);
      element.fill(data, at, values);
      // The row's beginning, again and again.
      for (let filled = values.length; filled < size; filled *= 2)
        data.copyWithin(at + filled, at, at + Math.min(filled, size - filled));
    }
    return { type: input.type, shape, data };
  });
}
