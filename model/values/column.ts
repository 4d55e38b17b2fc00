import type { Output } from '../signature';
import { elements } from './elements';
import { JsonText, listJson } from './json';
import { bytesIn, type Shape, sizeOf, type Tensor } from './tensor';

/** For each input or output a Column, or one value a row: JSON or, on the way in, a typed array of it in row-major order. */
export type Columns = Record<string, readonly unknown[] | Column>;

type Shown = Partial<Pick<Output, 'dims' | 'batch' | 'labels'>>;

/** Values by row around a tensor. What it gives is plain JSON, made when asked for: shortest digits, objects by a ZipMap's labels. */
export class Column implements Iterable<unknown> {
  /** The labels as the JSON of an object has them. */
  private readonly keys: readonly string[] | undefined;

  private constructor(
    readonly length: number,
    readonly tensors: readonly Tensor[],
    private readonly shown: Shown,
    /** The only tensor, where its first dimension counts the rows; else there is a tensor for each row. */
    readonly stacked?: Tensor,
    /** Whether a client sent it as a whole tensor: such go to one run as they are, and outputs come back as that gives them. */
    readonly isOnePiece = false,
  ) {
    this.keys = shown.labels?.map((label, i) => `${i > 0 ? ',' : ''}${JSON.stringify(label)}:`);
  }

  /** The rows that a tensor's first dimension counts. Labels are the keys of the last dimension. */
  static ofRows(tensor: Tensor, shown: Shown = {}): Column {
    return new Column(tensor.shape[0], [tensor], shown, tensor);
  }

  /** A tensor for each row: of one run that gave a whole value, or of several. */
  static ofValues(tensors: readonly Tensor[], shown: Shown = {}): Column {
    return new Column(tensors.length, tensors, shown);
  }

  /** The same rows, as of a client that sent them as a whole tensor. */
  inOnePiece(): Column {
    return new Column(this.length, this.tensors, this.shown, this.stacked, true);
  }

  /** The value of a row, counted from the end where it is negative. */
  at(row: number): unknown {
    const place = row < 0 ? row + this.length : row;
    if (!(place >= 0 && place < this.length)) return undefined;
    const value = this.placeOf(place);
    return this.keys ? JSON.parse(this.text(...value)) : valueAt(...value);
  }

  *[Symbol.iterator](): Generator<unknown> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }

  toJSON(): unknown[] {
    return [...this];
  }

  /** The same rows; where they are declared as lists of a single value, those that are `[x]` as `x`. */
  bare(): Column {
    const { dims = [], batch, labels } = this.shown;
    const [length, ...inner] = batch ? dims.slice(1) : dims;
    // An object by a single label stays one.
    if (labels || length !== 1 || inner.length > 0) return this;
    const rank = this.stacked ? 2 : 1;
    const isSingle = ({ shape }: Tensor) => shape.length === rank && shape[rank - 1] === 1;
    const tensors = this.tensors.map((tensor) =>
      isSingle(tensor) ? { ...tensor, shape: tensor.shape.slice(0, -1) } : tensor,
    );
    return new Column(this.length, tensors, this.shown, this.stacked && tensors[0]);
  }

  /** The JSON of one row's value. */
  rowJson(row: number): JsonText {
    return this.valueJson(...this.placeOf(row));
  }

  /** The JSON of all rows, as a list. */
  rowsJson(): JsonText {
    const { stacked } = this;
    if (stacked) return this.valueJson(stacked, 0, stacked.shape);
    return listJson(this.length, (row) => this.rowJson(row));
  }

  /** The JSON of what a run gave or, of several, of the list of it. */
  json(): JsonText {
    return this.stacked || this.length !== 1 ? this.rowsJson() : this.rowJson(0);
  }

  private placeOf(row: number): [Tensor, from: number, Shape] {
    const { stacked, tensors } = this;
    if (!stacked) return [tensors[row], 0, tensors[row].shape];
    const shape = stacked.shape.slice(1);
    return [stacked, row * sizeOf(shape), shape];
  }

  /** The JSON of the value of this shape that begins at a flat index, in parts where it is long. */
  private valueJson(tensor: Tensor, from: number, shape: Shape): JsonText {
    // An object is one part. Of texts, which may be long, few are made into one at once.
    const atOnce = Math.max(tensor.type === 'string' ? 64 : 512, this.keys?.length ?? 0);
    if (sizeOf(shape) <= atOnce) return new JsonText(this.text(tensor, from, shape));
    const [length, ...inner] = shape;
    const size = sizeOf(inner);
    if (size > atOnce) return listJson(length, (i) => this.valueJson(tensor, from + i * size, inner));
    const step = Math.floor(atOnce / size);
    return listJson(Math.ceil(length / step), (i) => {
      const part = [Math.min(step, length - i * step), ...inner];
      return new JsonText(this.text(tensor, from + i * step * size, part).slice(1, -1));
    });
  }

  private text(tensor: Tensor, from: number, shape: Shape): string {
    const { keys } = this;
    if (!keys) return JSON.stringify(valueAt(tensor, from, shape));
    const [length, ...inner] = shape;
    if (inner.length > 0) {
      const size = sizeOf(inner);
      return `[${Array.from({ length }, (_, i) => this.text(tensor, from + i * size, inner)).join()}]`;
    }
    const { get } = elements[tensor.type];
    // Not by an object, which would put labels that are like integers first.
    const entries = keys.reduce((text, key, i) => {
      const value = get(tensor.data, from + i);
      return text + key + (typeof value === 'number' ? value : JSON.stringify(value));
    }, '{');
    return `${entries}}`;
  }
}

function valueAt(tensor: Tensor, from: number, [length, ...inner]: Shape): unknown {
  const { type, data } = tensor;
  const { get } = elements[type];
  if (length === undefined) return get(data, from);
  const size = sizeOf(inner);
  const values = new Array<unknown>(length);
  for (let i = 0; i < length; i++)
    values[i] = inner.length === 0 ? get(data, from + i) : valueAt(tensor, from + i * size, inner);
  return values;
}

/** What the tensors of columns take in memory; a list counts for nothing. */
export function bytesOfColumns(columns: Columns): number {
  let bytes = 0;
  for (const column of Object.values(columns)) if (column instanceof Column) bytes += bytesIn(column.tensors);
  return bytes;
}

/** An object of values for inputs or outputs, by their names: what Object.fromEntries does, which takes five times as long. */
export function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  valueFor: (one: N, place: number) => T,
): Record<string, T> {
  const record: Record<string, T> = {};
  for (let i = 0; i < named.length; i++) record[named[i].name] = valueFor(named[i], i);
  return record;
}
