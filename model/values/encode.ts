import { BadInput, kindOf, type Place } from '../errors';
import { type Input, instanceDims, runsTogether, type Signature, showDims } from '../signature';
import { isBase64 } from './base64';
import { readBase64 } from './bytes';
import { type Data, type Element, type ElementType, elementOf } from './elements';
import { checkNames, checkRows } from './names';
import { rowsOf } from './rows';
import { type Expected, fitShape, fits, fitted, isShape, measure, nestsAs, shapeFor } from './shapes';
import { copyOf, type Shape, sameShape, sizeOf, type Tensor } from './tensor';

/**
 * For each input one value a row: JSON, a typed array that holds all values of one row in row-major order, or a tensor
 * of one row.
 */
export type Columns = Record<string, readonly unknown[]>;

/** A whole tensor: its values flat or, as JSON, nested; without a shape they nest as it says, or are `{"b64": …}`. */
export interface GivenTensor {
  readonly type?: ElementType;
  readonly shape?: Shape;
  readonly data: unknown;
}

/** The feeds of the runs that answer so many rows. */
export interface Encoded {
  runs: Tensor[][];
  rows: number;
}

/**
 * The feeds of the runs that answer these columns: one for all rows where they may run together and have one shape,
 * else one a row. Throws BadInput with the place of the first value that does not fit.
 */
export function encode(columns: Columns, signature: Signature): Encoded {
  const { inputs, kind } = signature;
  const rows = countRows(columns, inputs);
  if (rows === 0) return { runs: [], rows };
  if (!runsTogether(signature)) checkRuns(rows);
  // Without inputs there is nothing to stack: a run for each value of any column.
  const tensors = inputs.map((input) => {
    const expected = { type: input.type, dims: instanceDims(input, kind), lead: kind === 'single' };
    const values = columns[input.name];
    const placeOf = (row: number) => ({ input: input.name, row, path: [] });
    return dense(values, expected) ?? careful(values, expected, placeOf);
  });
  const isStacked = tensors.every(({ length }) => length === 1);
  if (isStacked && (runsTogether(signature) || (rows === 1 && kind !== 'whole'))) {
    return { runs: [tensors.map(([tensor]) => tensor)], rows };
  }
  const runs = Array.from({ length: rows }, (_, row) =>
    tensors.map((list) => {
      const tensor = list.length === 1 ? rowsOf(list[0], row, row + 1) : list[row];
      // A run may take over the memory of its feeds, so rows do not share any.
      return { ...(rows > 1 ? copyOf(tensor) : tensor), shape: tensor.shape.slice(kind === 'whole' ? 1 : 0) };
    }),
  );
  return { runs, rows };
}

/** Most rows of a request that need a run each: so many take long already. */
const mostRuns = 10_000;

function checkRuns(rows: number): void {
  if (rows > mostRuns) {
    throw new BadInput(
      `${rows} rows would need a run each, where ${mostRuns} may: send fewer at once, or rows of one shape`,
    );
  }
}

function countRows(columns: Columns, inputs: readonly Input[]): number {
  if (inputs.length === 0) return Object.values(columns)[0]?.length ?? 1;
  checkNames(columns, inputs);
  const [first] = inputs;
  for (const { name } of inputs) {
    // Code gives columns, too: a text has a length and would be read letter by letter.
    if (!Array.isArray(columns[name])) throw new BadInput(`${name} must be an array of one value a row`);
  }
  const rows = columns[first.name].length;
  for (const { name } of inputs) checkRows(name, columns[name].length, first.name, rows);
  return rows;
}

/** The feeds of one run. Throws BadInput. */
export function encodeTensors(tensors: Record<string, GivenTensor>, { inputs, kind }: Signature): Tensor[] {
  checkNames(tensors, inputs);
  const feeds = inputs.map((input) => encodeTensor(tensors[input.name], input));
  if (kind === 'batched') {
    const [first] = feeds;
    for (const [i, { name }] of inputs.entries())
      checkRows(name, feeds[i].shape[0], inputs[0].name, first.shape[0]);
  }
  return feeds;
}

/** The whole tensor of an input. */
function encodeTensor({ type, shape, data }: GivenTensor, input: Input): Tensor {
  const place = { input: input.name, path: [] };
  const expected: Expected = { type: input.type, dims: input.dims.length === 0 ? undefined : input.dims };
  const element = elementOf(input.type);
  if (type !== undefined && type !== input.type)
    throw new BadInput(`must be ${input.type}, not ${type}`, place);
  if (!shape) return wholeTensor(data, expected, place);
  if (expected.dims && !fits(shape, expected.dims)) {
    throw new BadInput(`must have the shape ${showDims(expected.dims)}, not ${showDims(shape)}`, place);
  }
  const size = sizeOf(shape);
  if (ArrayBuffer.isView(data) && element.holds(data)) {
    if (data.length !== size) throw new BadInput(`must hold ${size} values, not ${data.length}`, place);
    // Its memory is the caller's, and a run may take over that of its feeds.
    return { type: input.type, shape, data: data.slice() };
  }
  if (!Array.isArray(data) && !ArrayBuffer.isView(data)) throw new BadInput('must be an array', place);
  if (Array.isArray(data) && data.some(Array.isArray))
    return wholeTensor(data, { type: input.type, dims: shape }, place);
  return { ...wholeTensor(data, { type: input.type, dims: [size] }, place), shape };
}

/** One value by itself. */
function wholeTensor(value: unknown, expected: Expected, place: Place): Tensor {
  const [{ type, shape, data }] = dense([value], expected) ?? careful([value], expected, () => place);
  return { type, shape: shape.slice(1), data };
}

/** Plain JSON of one shape, stored in one pass; undefined where anything is odd. */
function dense(values: readonly unknown[], { type, dims }: Expected): [Tensor] | undefined {
  const own = measure(values[0]);
  const shape = fitted(own, dims);
  if (!shape || isOdd(values[0])) return undefined;
  const element = elementOf(type);
  const size = values.length * sizeOf(shape);
  // The first row's lengths are not to be allocated for others that are not as long.
  if (size > manyValues && !values.every((value) => nestsAs(value, own, 0))) return undefined;
  const data = element.create(size);
  if (own.length === 0)
    return element.fill(data, 0, values) < 0 ? [{ type, shape: [values.length, ...shape], data }] : undefined;
  const rowSize = sizeOf(own);
  let at = 0;
  for (const value of values) {
    if (!fillNested(element, data, at, value, own, 0)) return undefined;
    at += rowSize;
  }
  return [{ type, shape: [values.length, ...shape], data }];
}

const manyValues = 1e6;

/** What is no plain JSON: bytes, typed arrays and tensors. */
function isOdd(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Stores nested arrays from `at` on; false where they do not have these lengths or a value does not fit. */
function fillNested(
  element: Element,
  data: Data,
  at: number,
  value: unknown,
  lengths: Shape,
  axis: number,
): boolean {
  if (!Array.isArray(value) || value.length !== lengths[axis]) return false;
  if (axis === lengths.length - 1) return element.fill(data, at, value) < 0;
  let size = 1;
  for (let inner = axis + 1; inner < lengths.length; inner++) size *= lengths[inner];
  let next = at;
  for (let i = 0; i < value.length; i++) {
    if (!fillNested(element, data, next, value[i], lengths, axis + 1)) return false;
    next += size;
  }
  return true;
}

/**
 * Value by value: bytes, typed arrays, `[x]` beside `x`, and whatever does not fit, which is named. Gives one tensor
 * where all rows have one shape, else one a row.
 */
function careful(values: readonly unknown[], expected: Expected, placeOf: (row: number) => Place): Tensor[] {
  const { type } = expected;
  const items: unknown[] = [];
  const shapes: Shape[] = [];
  let isEven = true;
  for (let row = 0; row < values.length; row++) {
    const place = placeOf(row);
    const item = asTensor(values[row], expected, place) ?? values[row];
    const shape = fitShape(isTensor(item) ? item.shape : measure(item), expected, place);
    isEven &&= row === 0 || sameShape(shape, shapes[0]);
    if (!isEven) checkRuns(values.length);
    items.push(item);
    shapes.push(isEven && row > 0 ? shapes[0] : shape);
  }
  const [only] = items;
  if (items.length === 1 && isTensor(only)) return [{ type, shape: [1, ...shapes[0]], data: only.data }];
  const element = elementOf(type);
  const stacked = (from: number, to: number): Tensor => {
    const size = sizeOf(shapes[from]);
    const data = element.create((to - from) * size);
    for (let row = from; row < to; row++) {
      const item = items[row];
      const at = (row - from) * size;
      if (isTensor(item)) element.copy(data, at, item.data);
      else storeNested(type, data, at, item, placeOf(row));
    }
    return { type, shape: [to - from, ...shapes[from]], data };
  };
  return isEven ? [stacked(0, items.length)] : items.map((_, row) => stacked(row, row + 1));
}

/** A tensor of one row, as forms make them of bytes. */
function isTensor(value: unknown): value is Tensor {
  return (
    typeof value === 'object' &&
    value !== null &&
    'data' in value &&
    'shape' in value &&
    ArrayBuffer.isView(value.data)
  );
}

/** Bytes and typed arrays as tensors; undefined for what is to be walked. */
function asTensor(value: unknown, expected: Expected, place: Place): Tensor | undefined {
  const { type, dims } = expected;
  if (isTensor(value)) {
    if (value.type !== type) throw new BadInput(`must be a tensor of ${type}, not of ${value.type}`, place);
    if (elementOf(type).holds(value.data) && value.data.length === sizeOf(value.shape)) return copyOf(value);
    throw new BadInput('must be a tensor whose data is of its type and shape', place);
  }
  if (isBase64(value) && type !== 'string') {
    if (isShape(value.shape)) fitShape(value.shape, expected, place);
    return readBase64(value, type, dims, place);
  }
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return undefined;
  const values = value as Uint8Array;
  const shape = shapeFor(values.length, dims);
  if (!shape || sizeOf(shape) !== values.length) {
    const takes = dims ? `an array of shape ${showDims(dims)}` : 'nested arrays';
    throw new BadInput(`must be ${takes}, not ${values.length} values in a typed array`, place);
  }
  const element = elementOf(type);
  const data = element.create(values.length);
  if (type !== 'float16' && type !== 'bool' && element.holds(value)) element.copy(data, 0, value);
  else {
    const odd = element.fill(data, 0, values);
    if (odd >= 0) throw new BadInput(`must be ${element.takes}, not this number`, { ...place, path: [odd] });
  }
  return { type, shape, data };
}

/** Stores nested arrays, and throws BadInput for the first value that does not fit. */
function storeNested(type: ElementType, data: Data, at: number, value: unknown, place: Place): void {
  const element = elementOf(type);
  const lengths = measure(value);
  const isRight =
    lengths.length === 0
      ? element.fill(data, at, [value]) < 0
      : fillNested(element, data, at, value, lengths, 0);
  if (!isRight) throw fault(type, value, lengths, place);
}

/** The error for the first element that does not fit, found by a second, slower walk. */
function fault(type: ElementType, value: unknown, lengths: Shape, place: Place): BadInput {
  const element = elementOf(type);
  if (lengths.length === 0)
    return new BadInput(`must be ${element.takes}, not ${kindOf(value, type)}`, place);
  if (!Array.isArray(value) || value.length !== lengths[0]) {
    const gets = Array.isArray(value) ? showDims([value.length]) : kindOf(value);
    return new BadInput(
      `must be an array of shape ${showDims(lengths)} like its neighbours, not ${gets}`,
      place,
    );
  }
  const inner = lengths.slice(1);
  const scratch = element.create(sizeOf(inner));
  const odd =
    inner.length === 0
      ? element.fill(element.create(value.length), 0, value)
      : value.findIndex((item) => !fillNested(element, scratch, 0, item, inner, 0));
  return fault(type, value[odd], inner, { ...place, path: [...place.path, odd] });
}
