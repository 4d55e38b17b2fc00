import { RunError } from '../errors';
import { type Output, type Signature, showDims } from '../signature';
import { type Element, elementOf } from './elements';
import { recordOf } from './record';
import { bytesOf, rowsOf, type Shape, sizeOf, type Tensor } from './tensor';

/** One output's values by row, plain JSON made when asked from the tensor inside: shortest digits, labels of a ZipMap. */
export interface Column extends Iterable<unknown> {
  readonly length: number;
  /** The value of a row, counted from the end where it is negative. */
  at(row: number): unknown;
  toJSON(): unknown[];
}

/** What is written without being made into JSON values first. */
export interface Writable {
  /** How many values it holds. */
  readonly size: number;
  /** Bytes of the tensors inside. */
  readonly bytes: number;
  /** Its JSON, in pieces of some 64 KB. */
  pieces(): Generator<string>;
  toJSON(): unknown;
}

export function isWritable(value: unknown): value is Writable {
  return value instanceof WritableColumn || value instanceof OnlyRow;
}

export abstract class WritableColumn implements Column, Writable {
  abstract readonly length: number;
  abstract readonly size: number;
  abstract readonly bytes: number;
  abstract at(row: number): unknown;
  abstract pieces(): Generator<string>;

  *[Symbol.iterator](): Generator<unknown> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }

  toJSON(): unknown[] {
    const values = new Array<unknown>(this.length);
    for (let row = 0; row < values.length; row++) values[row] = this.at(row);
    return values;
  }
}

/** The rows of one tensor. */
export class TensorColumn extends WritableColumn {
  readonly size: number;
  readonly bytes: number;
  private readonly element: Element;

  constructor(
    private readonly tensor: Tensor,
    readonly length: number,
    /** The shape of one row's value. */
    private readonly shape: Shape,
    private readonly labels?: readonly string[],
  ) {
    super();
    this.element = elementOf(tensor.type);
    this.size = tensor.data.length;
    this.bytes = bytesOf(tensor);
  }

  at(row: number): unknown {
    const place = row < 0 ? row + this.length : row;
    if (!(place >= 0 && place < this.length)) return undefined;
    return this.valueAt(place * sizeOf(this.shape), 0);
  }

  /** The same rows, `[x]` as `x`. */
  bare(): Column {
    const isOne = this.shape.length === 1 && this.shape[0] === 1 && !this.labels;
    return isOne ? new TensorColumn(this.tensor, this.length, []) : this;
  }

  private valueAt(from: number, axis: number): unknown {
    const { shape, labels, tensor, element } = this;
    if (axis === shape.length) return element.get(tensor.data, from);
    const length = shape[axis];
    const isInner = axis === shape.length - 1;
    if (isInner && labels) return recordOf(labels, (i) => element.get(tensor.data, from + i));
    const size = isInner ? 1 : sizeOf(shape.slice(axis + 1));
    const values = new Array<unknown>(length);
    for (let i = 0; i < length; i++) {
      values[i] = isInner ? element.get(tensor.data, from + i) : this.valueAt(from + i * size, axis + 1);
    }
    return values;
  }

  *pieces(): Generator<string> {
    const shape = [this.length, ...this.shape];
    if (this.size === 0) return yield JSON.stringify(this);
    const { labels, tensor, element } = this;
    const inner = shape[shape.length - 1];
    const keys = labels?.map((label) => `${JSON.stringify(label)}:`);
    let text = '';
    for (let at = 0; at < this.size; at += inner) {
      text += opening(shape, at) + (keys ? '{' : '[');
      for (let i = 0; i < inner; i++) {
        if (i > 0) text += ',';
        if (keys) text += keys[i];
        const value = element.get(tensor.data, at + i);
        text += typeof value === 'number' ? String(value) : JSON.stringify(value);
        if (text.length > pieceLength) {
          yield text;
          text = '';
        }
      }
      text += (keys ? '}' : ']') + closing(shape, at + inner);
    }
    yield text;
  }
}

/** Characters of a piece; a reply in pieces is written as its reader takes it. */
const pieceLength = 1 << 16;

/** The brackets and the comma before the innermost array that begins at a flat index. */
function opening(shape: Shape, at: number): string {
  let text = at === 0 ? '' : ',';
  for (let axis = shape.length - 2, size = shape[axis + 1]; axis >= 0; size *= shape[axis--]) {
    if (at % (size * shape[axis]) === 0) text += '[';
    else break;
  }
  return text;
}

/** The brackets behind the innermost array that ends before a flat index. */
function closing(shape: Shape, at: number): string {
  let text = '';
  for (let axis = shape.length - 2, size = shape[axis + 1]; axis >= 0; size *= shape[axis--]) {
    if (at % (size * shape[axis]) === 0) text += ']';
    else break;
  }
  return text;
}

/** Columns of several runs, one behind another. */
export class JoinedColumn extends WritableColumn {
  readonly length: number;
  readonly size: number;
  readonly bytes: number;

  constructor(private readonly parts: readonly TensorColumn[]) {
    super();
    const sum = (measure: (part: TensorColumn) => number) =>
      parts.reduce((total, part) => total + measure(part), 0);
    this.length = sum(({ length }) => length);
    this.size = sum(({ size }) => size);
    this.bytes = sum(({ bytes }) => bytes);
  }

  /** Each part is of one row. */
  at(row: number): unknown {
    return this.parts.at(row)?.at(0);
  }

  bare(): Column {
    const parts = this.parts.map((part) => part.bare());
    return parts.every((part) => part instanceof TensorColumn) ? new JoinedColumn(parts) : this;
  }

  *pieces(): Generator<string> {
    yield '[';
    for (const [i, part] of this.parts.entries()) {
      if (i > 0) yield ',';
      yield* withoutBrackets(part.pieces());
    }
    yield ']';
  }
}

/** The value of a column's only row. */
export class OnlyRow implements Writable {
  readonly size: number;
  readonly bytes: number;

  constructor(private readonly column: WritableColumn) {
    this.size = column.size;
    this.bytes = column.bytes;
  }

  pieces(): Generator<string> {
    return withoutBrackets(this.column.pieces());
  }

  toJSON(): unknown {
    return this.column.at(0);
  }
}

/** The pieces of a list without its outermost brackets. */
function* withoutBrackets(pieces: Iterable<string>): Generator<string> {
  let held: string | undefined;
  for (const piece of pieces) {
    if (held !== undefined) yield held;
    held = held === undefined ? piece.slice(1) : piece;
  }
  if (held !== undefined) yield held.slice(0, -1);
}

/**
 * A column for each output of the runs that answer so many rows. Throws RunError where an output has another number of
 * rows than were asked.
 */
export function decode(
  runs: readonly (readonly Tensor[])[],
  rows: number,
  signature: Signature,
): Record<string, Column> {
  const { outputs } = signature;
  const names = outputs.map(({ name }) => name);
  if (runs.length === 1) return recordOf(names, (i) => columnOf(runs[0][i], rows, outputs[i]));
  return recordOf(names, (i) => new JoinedColumn(runs.map((tensors) => columnOf(tensors[i], 1, outputs[i]))));
}

function columnOf(tensor: Tensor, rows: number, { name, batch, labels }: Output): TensorColumn {
  const { shape, data } = tensor;
  if (batch && shape[0] === rows) return new TensorColumn(tensor, rows, shape.slice(1), labels);
  // A single instance has all of it, whatever its shape: one that squeezes its batch dimension away, too.
  if (rows === 1) return new TensorColumn(tensor, 1, shape, labels);
  if (data.length === rows) return new TensorColumn(tensor, rows, [], labels);
  throw new RunError(`the output ${name} has the shape ${showDims(shape)} for ${rows} rows`);
}

/** The answer to no rows, without a run: some operators end the process on them. */
export function noRows({ outputs }: Signature): Tensor[] {
  return outputs.map(({ type, dims, labels }) => {
    const inner = labels ? [labels.length] : dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0));
    return { type, shape: [0, ...inner], data: elementOf(type).create(0) };
  });
}

/** Each request's own rows of outputs that were computed together. Throws RunError where they do not follow the rows. */
export function splitRows(tensors: readonly Tensor[], counts: readonly number[]): Tensor[][] {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const odd = tensors.find(({ shape }) => shape[0] !== rows);
  if (odd) throw new RunError(`an output has the shape ${showDims(odd.shape)} for ${rows} rows`);
  let from = 0;
  return counts.map((count) => {
    const to = from + count;
    const own = tensors.map((tensor) => rowsOf(tensor, from, to));
    from = to;
    return own;
  });
}
