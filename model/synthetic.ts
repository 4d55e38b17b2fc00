import { type Data, elementOf } from './values/elements';
import { copyOf, type Feeds, type Tensor } from './values/tensor';

/** What a row's values become; those that the type does not take stay as they were. */
type Change = (tensor: Tensor, values: number[]) => number[];

/** What any model takes that took the row itself. */
const gentle: Change[] = [
  (_, values) => values,
  (_, values) => shuffled(values),
  // A padded tail.
  (_, values) => values.map((value, i) => (i < values.length / 2 ? value : 0)),
];

const harsh: Change[] = [
  (tensor, values) => (isFloat(tensor) ? values.map((value) => -value) : shuffled(values)),
  (tensor, values) => {
    if (!isFloat(tensor)) return values;
    const place = randomPlace(values.length);
    return values.map((value, i) => (i === place ? Number.NaN : value));
  },
  (_, values) => values.map(() => 0),
  // Anywhere in a byte's range; what int8 does not take stays.
  ({ type }, values) => (/^u?int8$/.test(type) ? values.map(() => randomPlace(256)) : shuffled(values)),
];

/** The most that rows are scaled by, from what few models take as whole numbers to what nearly all do. */
export const factors = [100, 10, 2, 1];

/** So many rows made from a real one, which stands among them at a random place; changed little where `factor` is 1. */
export function syntheticRows(row: Feeds, rows: number, factor: number): Feeds[] {
  const changes =
    factor === 1
      ? gentle
      : [
          ...gentle,
          ...harsh,
          scaled(factor),
          scaled(1 / factor),
          (tensor: Tensor, values: number[]) =>
            isFloat(tensor) ? scaled(factor ** 2)(tensor, values) : oneScaled(factor, values),
        ];
  const offset = randomPlace(changes.length);
  const made = Array.from({ length: rows }, (_, i) => {
    const change = changes[(i + offset) % changes.length];
    return row.map((tensor) => changed(tensor, change));
  });
  made[randomPlace(rows)] = row.map(copyOf);
  return made;
}

/** A random place among so many. */
export function randomPlace(length: number): number {
  return Math.floor(Math.random() * length);
}

/** The same row so many times. */
export function copies(row: Feeds, rows: number): Feeds[] {
  return Array.from({ length: rows }, () => row.map(copyOf));
}

function changed(tensor: Tensor, change: Change): Tensor {
  const { type, data } = tensor;
  if (Array.isArray(data)) return { ...tensor, data: data.map(cutSomewhere) };
  const element = elementOf(type);
  const values = Array.from({ length: data.length }, (_, i) => element.number(data, i));
  const result: Data = element.create(values.length);
  const given = change(tensor, values);
  // Such as a hundred times a large int8.
  given.forEach((value, i) => {
    if (element.fill(result, i, [value]) >= 0) element.fill(result, i, [values[i]]);
  });
  return { ...tensor, data: result };
}

function isFloat({ type }: Tensor): boolean {
  return elementOf(type).rounding !== undefined;
}

function scaled(factor: number): Change {
  return (tensor, values) =>
    values.map((value) => (isFloat(tensor) ? value * factor : Math.trunc(value * factor)));
}

/** One value made larger: an id in a text. */
function oneScaled(factor: number, values: number[]): number[] {
  const place = randomPlace(values.length);
  return values.map((value, i) => (i === place ? Math.trunc(value * factor) : value));
}

function shuffled(values: readonly number[]): number[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = randomPlace(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function cutSomewhere(text: string): string {
  return text.slice(0, randomPlace(text.length + 1)).toWellFormed();
}
