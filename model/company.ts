import { type Data, elementOf } from './values/elements';
import { copyOf, type Tensor } from './values/tensor';

/** The feeds of one request: for each input a tensor of its rows. */
export type Rows = readonly Tensor[];

/** What a row's values become; those that the type does not take stay as they were. */
type Change = (tensor: Tensor, values: number[]) => number[];

const gentle: Change[] = [
  (_, values) => values,
  (_, values) => shuffled(values),
  // A padded tail.
  (_, values) => values.map((value, i) => (i < values.length / 2 ? value : 0)),
];

const harsh: Change[] = [
  ...gentle,
  scaled(100),
  scaled(0.01),
  (tensor, values) => (tensor.type.startsWith('float') ? values.map((value) => -value) : shuffled(values)),
  (tensor, values) => {
    if (!tensor.type.startsWith('float')) return values;
    const place = Math.floor(Math.random() * values.length);
    return values.map((value, i) => (i === place ? Number.NaN : value));
  },
  (_, values) => values.map(() => 0),
  // Anywhere in a byte's range.
  ({ type }, values) =>
    /^u?int8$/.test(type) ? values.map(() => Math.floor(Math.random() * 128)) : shuffled(values),
];

/** So many rows made from a real one, which stands among them at a random place. */
export function madeCompany(row: Rows, rows: number, isGentle: boolean): Rows[] {
  const changes = isGentle ? gentle : harsh;
  const offset = Math.floor(Math.random() * changes.length);
  const company = Array.from({ length: rows }, (_, i) => {
    const change = changes[(i + offset) % changes.length];
    return row.map((tensor) => changed(tensor, change));
  });
  company[Math.floor(Math.random() * rows)] = row.map(copyOf);
  return company;
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

function scaled(factor: number): Change {
  return (tensor, values) => {
    if (tensor.type.startsWith('float')) return values.map((value) => value * factor);
    return values.map((value) => Math.trunc(value * factor));
  };
}

function shuffled(values: readonly number[]): number[] {
  const result = [...values];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

function cutSomewhere(text: string): string {
  return text.slice(0, Math.floor(Math.random() * (text.length + 1))).toWellFormed();
}
