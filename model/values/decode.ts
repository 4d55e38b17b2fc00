import { RunError } from '../errors';
import { type Output, type Signature, showDims } from '../signature';
import { mostFloats } from './digits';
import { type Element, elementOf } from './elements';
import { byName, recordOf } from './record';
import { rowsOf } from './rows';
import { bytesOf, type Shape, sizeOf, type Tensor } from './tensor';

/** One output's values by row, plain JSON made when asked from the tensor inside: shortest digits, labels of a ZipMap. */
export interface Column extends Iterable<unknown> {
  readonly length: number;
  /** The value of a row, counted from the end where it is negative. */
  at(row: number): unknown;
  toJSON(): unknown[];
}

/** Characters of a piece; a reply in pieces is written as its reader takes it. */
export const pieceLength = 1 << 16;

/** What is written without being made into JSON values first. */
export abstract class Writable {
  /** How many values it holds. */
  abstract readonly size: number;
  /** Bytes of the tensors inside. */
  abstract readonly bytes: number;
  /** Its JSON, in pieces of some 64 KB. */
  abstract pieces(): Generator<string>;
  abstract toJSON(): unknown;
}

/** The values in what is written so, and the bytes of the tensors inside; what others made counts for nothing. */
export function sizesOf(parts: readonly unknown[]): { size: number; bytes: number } {
  const sum = { size: 0, bytes: 0 };
  for (const part of parts) {
    if (!(part instanceof Writable)) continue;
    sum.size += part.size;
    sum.bytes += part.bytes;
  }
  return sum;
}

export abstract class WritableColumn extends Writable implements Column {
  abstract readonly length: number;
  abstract at(row: number): unknown;

  *[Symbol.iterator](): Generator<unknown> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }

  toJSON(): unknown[] {
    const values = new Array<unknown>(this.length);
    for (let row = 0; row < values.length; row++) values[row] = this.at(row);
    return values;
  }
}

/** The rows of one tensor, which its first dimension counts. */
export class TensorColumn extends WritableColumn {
  readonly length: number;
  readonly size: number;
  readonly bytes: number;
  /** The shape of one row's value. */
  private readonly shape: Shape;
  private readonly element: Element;

  constructor(
    private readonly tensor: Tensor,
    private readonly labels?: readonly string[],
  ) {
    super();
    this.length = tensor.shape[0];
    this.shape = tensor.shape.slice(1);
    this.element = elementOf(tensor.type);
    this.size = tensor.data.length;
    this.bytes = bytesOf(tensor);
  }

  at(row: number): unknown {
    const place = row < 0 ? row + this.length : row;
    if (!(place >= 0 && place < this.length)) return undefined;
    return this.valueAt(place * sizeOf(this.shape), 0);
  }

  /** How many values a row holds, and their bytes: of texts, each row has its own. */
  sizeOfRow(row: number): { size: number; bytes: number } {
    const { tensor, size, bytes, length } = this;
    const own = Array.isArray(tensor.data) ? bytesOf(rowsOf(tensor, row, row + 1)) : bytes / length;
    return { size: size / length, bytes: own };
  }

  /** The value of a row, to be written in pieces. */
  row(row: number): Writable {
    return new OnlyRow(new TensorColumn(rowsOf(this.tensor, row, row + 1), this.labels));
  }

  /** The same rows, `[x]` as `x`. */
  bare(): TensorColumn {
    const isOne = this.shape.length === 1 && this.shape[0] === 1 && !this.labels;
    return isOne ? new TensorColumn({ ...this.tensor, shape: [this.length] }) : this;
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
    if (this.size === 0) return yield JSON.stringify(this);
    const { labels, tensor, element } = this;
    const { shape } = tensor;
    const inner = shape[shape.length - 1];
    const keys = labels?.map((label) => `${JSON.stringify(label)}:`);
    // Texts may be few and long.
    const step = keys || this.bytes > 64 * this.size ? 1 : mostFloats;
    let text = '';
    for (let at = 0; at < this.size; at += inner) {
      text += (at === 0 ? '' : ',') + brackets('[', shape, at) + (keys ? '{' : '[');
      for (let i = 0; i < inner; i += step) {
        if (i > 0) text += ',';
        if (keys) text += keys[i];
        text += element.write(tensor.data, at + i, at + Math.min(i + step, inner));
        if (text.length > pieceLength) {
          yield text;
          text = '';
        }
      }
      text += (keys ? '}' : ']') + brackets(']', shape, at + inner);
    }
    yield text;
  }
}

/** The brackets of the outer arrays that begin or end where an innermost one does, at a flat index. */
function brackets(bracket: string, shape: Shape, at: number): string {
  let text = '';
  for (let axis = shape.length - 2, size = shape[axis + 1]; axis >= 0; size *= shape[axis--]) {
    if (at % (size * shape[axis]) !== 0) break;
    text += bracket;
  }
  return text;
}

/** A row of each of several runs. */
export class JoinedColumn extends WritableColumn {
  readonly length: number;
  readonly size: number;
  readonly bytes: number;

  constructor(private readonly rows: readonly TensorColumn[]) {
    super();
    const { size, bytes } = sizesOf(rows);
    this.length = rows.length;
    this.size = size;
    this.bytes = bytes;
  }

  at(row: number): unknown {
    return this.rows.at(row)?.at(0);
  }

  /** How many values a row holds, and their bytes. */
  sizeOfRow(row: number): { size: number; bytes: number } {
    return this.rows[row];
  }

  /** The value of a row, to be written in pieces. */
  row(row: number): Writable {
    return new OnlyRow(this.rows[row]);
  }

  bare(): JoinedColumn {
    return new JoinedColumn(this.rows.map((row) => row.bare()));
  }

  *pieces(): Generator<string> {
    yield '[';
    for (const [i, row] of this.rows.entries()) {
      if (i > 0) yield ',';
      yield* withoutBrackets(row.pieces());
    }
    yield ']';
  }
}

/** The value of a column's only row. */
export class OnlyRow extends Writable {
  readonly size: number;
  readonly bytes: number;

  constructor(private readonly column: WritableColumn) {
    super();
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
  if (runs.length === 1) return byName(outputs, (output, i) => columnOf(runs[0][i], rows, output));
  return byName(
    outputs,
    (output, i) => new JoinedColumn(runs.map((tensors) => columnOf(tensors[i], 1, output))),
  );
}

function columnOf(tensor: Tensor, rows: number, { name, batch, labels }: Output): TensorColumn {
  const { shape, data } = tensor;
  if (batch && shape[0] === rows) return new TensorColumn(tensor, labels);
  // A single instance has all of it, whatever its shape: one that squeezes its batch dimension away, too.
  if (rows === 1) return new TensorColumn({ ...tensor, shape: [1, ...shape] }, labels);
  if (data.length === rows) return new TensorColumn({ ...tensor, shape: [rows] }, labels);
  throw new RunError(`the output ${name} has the shape ${showDims(shape)} for ${rows} rows`);
}

/** The answer to no rows, without a run: some operators end the process on them. */
export function noRows({ outputs }: Signature): Tensor[] {
  return outputs.map(({ type, dims, labels }) => {
    const inner = labels ? [labels.length] : dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0));
    return { type, shape: [0, ...inner], data: elementOf(type).create(0) };
  });
}
