import { RunError } from '../errors';
import { showDims } from '../signature';
import { elementOf } from './elements';
import { JsonText, writeList } from './json';
import { bytesOf, type Shape, sameShape, sizeOf, stack, type Tensor } from './tensor';

/**
 * For each input, or output, one value a row, or a Column. On the way in a row's value is JSON, or a typed array of all its
 * values in row-major order; a Column is all rows as they stand, then one run, whose rows need not be told apart.
 */
export type Columns = Record<string, readonly unknown[] | Column>;

/**
 * Values by row around a tensor, on the way in and out. What it gives is plain JSON, made when it is asked for: shortest
 * digits, objects by the labels of a ZipMap.
 */
export class Column implements Iterable<unknown> {
  private constructor(
    readonly length: number,
    /** One that holds all rows along its first dimension or, in a column of values, one for each row. */
    private readonly blocks: readonly Block[],
    private readonly isStacked: boolean,
  ) {}

  /** The rows that a tensor's first dimension counts. Labels are the keys of the last dimension. */
  static ofRows(tensor: Tensor, labels?: readonly string[]): Column {
    return new Column(tensor.shape[0], [new Block(tensor, labels)], true);
  }

  /** A tensor for each row: of one run that gave a whole value, or of several. */
  static ofValues(tensors: readonly Tensor[], labels?: readonly string[]): Column {
    const blocks = tensors.map((tensor) => new Block(tensor, labels));
    return new Column(tensors.length, blocks, false);
  }

  /** The value of a row, counted from the end where it is negative. */
  at(row: number): unknown {
    const place = row < 0 ? row + this.length : row;
    if (!(place >= 0 && place < this.length)) return undefined;
    const [block, from, shape] = this.placeOf(place);
    return block.valueAt(from, shape);
  }

  *[Symbol.iterator](): Generator<unknown> {
    for (let row = 0; row < this.length; row++) yield this.at(row);
  }

  toJSON(): unknown[] {
    return [...this];
  }

  /** What its tensors take in memory. */
  get bytes(): number {
    return this.blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The tensor whose first dimension counts the rows; undefined for a column of values. */
  get stacked(): Tensor | undefined {
    return this.isStacked ? this.blocks[0].tensor : undefined;
  }

  /** All of it as one tensor: what a run gave, or the values of several. Throws RunError where these differ in shape. */
  tensor(): Tensor {
    const [first, ...others] = this.blocks.map(({ tensor }) => tensor);
    if (others.length === 0) return first;
    const unlike = others.find(({ shape }) => !sameShape(shape, first.shape));
    if (unlike)
      throw new RunError(
        `rows of shapes ${showDims(first.shape)} and ${showDims(unlike.shape)} in one tensor`,
      );
    return stack([first, ...others].map((tensor) => ({ ...tensor, shape: [1, ...tensor.shape] })));
  }

  /** The same rows, those that are `[x]` as `x`. */
  bare(): Column {
    const rank = this.isStacked ? 2 : 1;
    const blocks = this.blocks.map((block) => {
      const { tensor, labels } = block;
      const { shape } = tensor;
      const isSingle = !labels && shape.length === rank && shape[rank - 1] === 1;
      return isSingle ? new Block({ ...tensor, shape: shape.slice(0, -1) }, labels) : block;
    });
    return new Column(this.length, blocks, this.isStacked);
  }

  /** The JSON of one row's value. */
  rowJson(row: number): JsonText {
    const [block, from, shape] = this.placeOf(row);
    return new JsonText(block.write(from, shape));
  }

  /** The JSON of all rows, as a list. */
  rowsJson(): JsonText {
    const { stacked } = this;
    return stacked
      ? new JsonText(this.blocks[0].write(0, stacked.shape))
      : new JsonText(writeList(this.length, (row) => this.rowJson(row)));
  }

  /** The JSON of what a run gave or, of several, of the list of it. */
  json(): JsonText {
    return this.isStacked || this.length > 1 ? this.rowsJson() : this.rowJson(0);
  }

  private placeOf(row: number): [Block, from: number, Shape] {
    const { stacked, blocks } = this;
    if (!stacked) return [blocks[row], 0, blocks[row].tensor.shape];
    const shape = stacked.shape.slice(1);
    return [blocks[0], row * sizeOf(shape), shape];
  }
}

/** What the tensors of columns take in memory; a list counts for nothing. */
export function bytesOfColumns(columns: Columns): number {
  let bytes = 0;
  for (const column of Object.values(columns)) if (column instanceof Column) bytes += column.bytes;
  return bytes;
}

/** Values of so many bytes are made into text at once. */
const pieceBytes = 1 << 15;

/** The values of a tensor as JSON: those of a shape that begin at a flat index. */
class Block {
  readonly bytes: number;
  /** Values that are made into text at once. */
  private readonly atOnce: number;

  constructor(
    readonly tensor: Tensor,
    readonly labels: readonly string[] | undefined,
  ) {
    this.bytes = bytesOf(tensor);
    this.atOnce = Math.floor((pieceBytes * tensor.data.length) / this.bytes) || 1;
  }

  valueAt(from: number, [length, ...inner]: Shape): unknown {
    const { tensor, labels } = this;
    const { get } = elementOf(tensor.type);
    if (length === undefined) return get(tensor.data, from);
    const size = sizeOf(inner);
    const values = new Array<unknown>(length);
    for (let i = 0; i < length; i++)
      values[i] = inner.length === 0 ? get(tensor.data, from + i) : this.valueAt(from + i * size, inner);
    return labels && inner.length === 0
      ? Object.fromEntries(labels.map((label, i) => [label, values[i]]))
      : values;
  }

  /** The JSON of the values of a shape that begin at a flat index, of many in pieces. */
  *write(from: number, shape: Shape): Generator<string> {
    const { labels, tensor, atOnce } = this;
    const [length, ...inner] = shape;
    if (labels && shape.length === 1) {
      const { get } = elementOf(tensor.type);
      // Not by an object, which would put labels that are like integers first.
      const entries = labels.map(
        (label, i) => `${JSON.stringify(label)}:${JSON.stringify(get(tensor.data, from + i))}`,
      );
      yield `{${entries.join()}}`;
    } else if (!labels && sizeOf(shape) <= atOnce) {
      yield JSON.stringify(this.valueAt(from, shape));
    } else {
      const size = sizeOf(inner);
      const step = Math.max(1, Math.floor(atOnce / size));
      for (let i = 0; i < length; i += labels ? 1 : step) {
        yield i === 0 ? '[' : ',';
        if (labels || size > atOnce) yield* this.write(from + i * size, inner);
        else {
          const part = this.valueAt(from + i * size, [Math.min(step, length - i), ...inner]);
          yield JSON.stringify(part).slice(1, -1);
        }
      }
      yield length === 0 ? '[]' : ']';
    }
  }
}
