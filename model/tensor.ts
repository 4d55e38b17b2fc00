import { fromHalf, shortenFloat16, shortenFloat32, toHalf } from './floats';

export type ElementType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;
export type Data = NumericData | string[];

/** Values in row-major order, as ONNX Runtime takes and gives them: float16 as raw bits, bool as bytes. */
export interface Tensor {
  type: ElementType;
  shape: readonly number[];
  data: Data;
}

/** One tensor for each input of the model, in the model's order. */
export type Feeds = Tensor[];

/** What one element type takes from JSON, holds in memory, and gives back to JSON. */
export interface Element {
  /** Bytes a value; for a string, what an empty one costs in memory. */
  bytes: number;
  /** What a message says that it takes. */
  takes: string;
  create(length: number): Data;
  /** The stored value for a JSON value, or undefined where it does not fit. */
  read(value: unknown): number | bigint | string | undefined;
  /** The JSON value for a stored value. */
  write(stored: never): unknown;
  /** JSON numbers above `-limit` and below `limit` are stored as they are. */
  limit: number;
}

type NumberArray = new (source: number | ArrayBuffer) => NumericData;

const arrays: Record<Exclude<ElementType, 'string'>, NumberArray> = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export const elements: Record<ElementType, Element> = {
  float16: asHalf(float('float16', 65520, shortenFloat16)),
  // The smallest doubles that round to infinity.
  float32: float('float32', 2 ** 128 - 2 ** 103, shortenFloat32),
  float64: float('float64', Number.POSITIVE_INFINITY, (value) => value),
  int8: whole('int8', -(2 ** 7), 2 ** 7 - 1),
  int16: whole('int16', -(2 ** 15), 2 ** 15 - 1),
  int32: whole('int32', -(2 ** 31), 2 ** 31 - 1),
  int64: big('int64', -(2n ** 63n), 2n ** 63n - 1n),
  uint8: whole('uint8', 0, 2 ** 8 - 1),
  uint16: whole('uint16', 0, 2 ** 16 - 1),
  uint32: whole('uint32', 0, 2 ** 32 - 1),
  uint64: big('uint64', 0n, 2n ** 64n - 1n),
  bool: {
    ...stored('bool'),
    takes: 'true or false',
    read: (value) => (value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined),
    write: (value: number) => value !== 0,
    limit: 0,
  },
  string: {
    bytes: 16,
    takes: 'a string without NUL or lone surrogates, or {"b64": UTF-8 in base64}',
    create: (length) => new Array<string>(length).fill(''),
    // The runtime cuts a string at NUL and turns a lone surrogate into U+FFFD.
    read: (value) =>
      typeof value === 'string' && !value.includes('\0') && value.isWellFormed() ? value : undefined,
    write: (value: string) => value,
    limit: 0,
  },
};

/** The number of values in a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** What a tensor takes in memory, strings counted with two bytes a character. */
export function bytesOf({ type, data }: Tensor): number {
  const fixed = data.length * elements[type].bytes;
  return type === 'string' ? (data as string[]).reduce((sum, text) => sum + 2 * text.length, fixed) : fixed;
}

/**
 * The values that little-endian bytes stand for, without a copy where they are aligned.
 * Throws a RangeError where the bytes are not a whole number of values.
 */
export function fromBytes(type: Exclude<ElementType, 'string'>, bytes: Uint8Array): NumericData {
  const aligned = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  return new arrays[type]((aligned ? bytes : new Uint8Array(bytes)).buffer as ArrayBuffer);
}

/** Rows `from` to `to` (not included) of a tensor, sharing its memory where it is numeric. */
export function rowsOf({ type, shape, data }: Tensor, from: number, to: number): Tensor {
  const rows = shape.slice();
  rows[0] = to - from;
  const size = shape[0] === 0 ? 0 : data.length / shape[0];
  const part = Array.isArray(data)
    ? data.slice(from * size, to * size)
    : data.subarray(from * size, to * size);
  return { type, shape: rows, data: part };
}

/** Tensors of the same type and trailing shape, one behind another along the first dimension. */
export function stack(tensors: Tensor[]): Tensor {
  const [first] = tensors;
  if (tensors.length === 1) return first;
  let rows = 0;
  let length = 0;
  for (const { shape, data } of tensors) {
    rows += shape[0];
    length += data.length;
  }
  const data = elements[first.type].create(length);
  let at = 0;
  for (const { data: part } of tensors) {
    if (part.length < 64 || Array.isArray(data)) for (const value of part) data[at++] = value as never;
    else {
      data.set(part as never, at);
      at += part.length;
    }
  }
  return { type: first.type, shape: [rows, ...first.shape.slice(1)], data };
}

function stored(type: Exclude<ElementType, 'string'>): Pick<Element, 'bytes' | 'create'> {
  const array = arrays[type];
  return { bytes: new array(1).byteLength, create: (length) => new array(length) };
}

function float(
  type: 'float16' | 'float32' | 'float64',
  limit: number,
  shorten: (value: number) => number,
): Element {
  return {
    ...stored(type),
    takes: `a number in ${type}'s range, null or "NaN", "Infinity" or "-Infinity"`,
    read: (value) => {
      if (typeof value === 'number') return Math.abs(value) < limit ? value : undefined;
      if (value === null || value === 'NaN') return Number.NaN;
      if (value === 'Infinity') return Number.POSITIVE_INFINITY;
      return value === '-Infinity' ? Number.NEGATIVE_INFINITY : undefined;
    },
    write: (value: number) =>
      Number.isFinite(value) ? shorten(value) : Number.isNaN(value) ? null : String(value),
    limit,
  };
}

function asHalf(element: Element): Element {
  const { read, write } = element;
  return {
    ...element,
    read: (value) => {
      const number = read(value);
      return number === undefined ? undefined : toHalf(number as number);
    },
    write: (bits: number) => write(fromHalf(bits) as never),
    limit: 0,
  };
}

function whole(type: Exclude<ElementType, 'string'>, min: number, max: number): Element {
  return {
    ...stored(type),
    takes: `a whole number from ${min} to ${max}`,
    read: (value) =>
      Number.isInteger(value) && (value as number) >= min && (value as number) <= max
        ? (value as number)
        : undefined,
    write: (value: number) => value,
    limit: 0,
  };
}

function big(type: 'int64' | 'uint64', min: bigint, max: bigint): Element {
  return {
    ...stored(type),
    takes: `a whole number from ${min} to ${max} (beyond ±2^53 send it as a string)`,
    read: (value) => {
      const exact = Number.isSafeInteger(value)
        ? BigInt(value as number)
        : typeof value === 'string' && /^-?\d{1,20}$/.test(value)
          ? BigInt(value)
          : undefined;
      return exact !== undefined && exact >= min && exact <= max ? exact : undefined;
    },
    write: (value: bigint) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
    limit: 0,
  };
}
