import { getFloat16, setFloat16 } from '@petamoriken/float16';
import { type Base64, decodeBase64, decodeText, isBase64 } from './base64';
import { shortenFloat16, shortenFloat32 } from './digits';

/** Values in row-major order, as ONNX Runtime takes and gives them: float16 as raw bits, bool as bytes. */
export type Data = TypedData | string[];
export type TypedData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** What one element type takes from JSON, holds in memory, and gives back to JSON. */
export interface Element {
  /** Its name in the Open Inference Protocol. TensorFlow's is in routes/dialects/metadata.ts, where it differs. */
  readonly datatype: string;
  /** Bytes a value; for a string, what an empty one costs in memory. */
  readonly bytes: number;
  /** What a message says that it takes. */
  readonly takes: string;
  /** How far values that are computed in another order may lie apart, by the largest of them: 0 for what is exact. */
  readonly rounding: number;
  /** Whether it has integers that no double is, which JSON.parse would change. */
  readonly exceedsDoubles?: boolean;
  create(length: number): Data;
  /** The data that little-endian bytes stand for, sharing their memory; undefined for strings. */
  view?(buffer: ArrayBufferLike, offset: number, length: number): Data;
  /** Stores JSON values from `at` on; gives the index of the first that does not fit, or -1. */
  fill(data: Data, at: number, values: ArrayLike<unknown>): number;
  /** The JSON value of what is stored. */
  get(data: Data, at: number): unknown;
  /** Copies all of `source`, of this type, to `at` and, where a step is given, on from it in such steps. */
  copy(data: Data, at: number, source: Data, step?: number): void;
}

/** What all typed arrays have in common. */
interface Numbers {
  [at: number]: number | bigint;
  readonly length: number;
  set(values: ArrayLike<number | bigint>, at: number): void;
}

/** A class of typed arrays. */
interface ArrayOf {
  new (length: number): TypedData;
  new (buffer: ArrayBufferLike, offset: number, length: number): TypedData;
  readonly BYTES_PER_ELEMENT: number;
}

/**
 * How one value is read from JSON (undefined where it does not fit) and written to it. In JSON a bigint stands for an
 * integer that no double is, a symbol for another number that none is, with the nearest as its description.
 */
interface Codec<Value extends number | bigint = number | bigint> {
  takes: string;
  /** JSON numbers between this and its negative are stored as they are. */
  limit?: number;
  read(value: unknown): Value | undefined;
  write(stored: Value): unknown;
}

const same = (value: number) => value;

const elements = {
  // Half precision has eleven bits.
  float16: { ...typed('FP16', Uint16Array, half()), rounding: 4e-3 },
  // The smallest double that rounds to infinity is the limit.
  float32: {
    ...typed('FP32', Float32Array, float('float32', 2 ** 128 - 2 ** 103, shortenFloat32)),
    rounding: 1e-4,
  },
  float64: {
    ...typed('FP64', Float64Array, float('float64', Number.POSITIVE_INFINITY, same)),
    rounding: 1e-4,
  },
  int8: typed('INT8', Int8Array, integer(-(2 ** 7), 2 ** 7 - 1)),
  int16: typed('INT16', Int16Array, integer(-(2 ** 15), 2 ** 15 - 1)),
  int32: typed('INT32', Int32Array, integer(-(2 ** 31), 2 ** 31 - 1)),
  int64: { ...typed('INT64', BigInt64Array, big(-(2n ** 63n), 2n ** 63n - 1n)), exceedsDoubles: true },
  uint8: typed('UINT8', Uint8Array, integer(0, 2 ** 8 - 1)),
  uint16: typed('UINT16', Uint16Array, integer(0, 2 ** 16 - 1)),
  uint32: typed('UINT32', Uint32Array, integer(0, 2 ** 32 - 1)),
  uint64: { ...typed('UINT64', BigUint64Array, big(0n, 2n ** 64n - 1n)), exceedsDoubles: true },
  bool: typed('BOOL', Uint8Array, bit()),
  string: strings(),
  // A new type also goes out of the list in graph/servable.ts, and into routes/README.md; a float's shortest digits are in digits.ts.
} satisfies Record<string, Element>;

export type ElementType = keyof typeof elements;

/** What there is to know of a type that is known at run time only. */
export function elementOf(type: ElementType): Element {
  return elements[type];
}

export function isElementType(name: string | undefined): name is ElementType {
  return name !== undefined && Object.hasOwn(elements, name);
}

/** The datatypes of numbers. */
export const numericDatatypes = Object.values(elements)
  .map(({ datatype }) => datatype)
  .filter((datatype) => !['BOOL', 'BYTES'].includes(datatype));

/** Elements kept in typed arrays. */
function typed(datatype: string, array: ArrayOf, { takes, limit = 0, read, write }: Codec): Element {
  const numbers = (data: Data) => data as Numbers;
  return {
    datatype,
    takes,
    bytes: array.BYTES_PER_ELEMENT,
    rounding: 0,
    create: (length) => new array(length),
    view: (buffer, offset, length) => new array(buffer, offset, length),
    fill(data, at, values) {
      const target = numbers(data);
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        // Nearly all of a big body is plain numbers.
        if (typeof value === 'number' && value < limit && value > -limit) target[at + i] = value;
        else {
          const stored = read(value);
          if (stored === undefined) return i;
          target[at + i] = stored;
        }
      }
      return -1;
    },
    get: (data, at) => write(numbers(data)[at]),
    copy(data, at, source, step = 1) {
      if (step === 1) numbers(data).set(numbers(source), at);
      else for (let i = 0; i < source.length; i++) numbers(data)[at + i * step] = numbers(source)[i];
    },
  };
}

function strings(): Element {
  const texts = (data: Data) => data as string[];
  return {
    datatype: 'BYTES',
    takes: 'a string without NUL or lone surrogates, or {"b64": UTF-8 in base64}',
    // As an object of V8's and, during a run, one of the runtime's.
    bytes: 50,
    rounding: 0,
    create: (length) => new Array<string>(length).fill(''),
    fill(data, at, values) {
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        const text = isBase64(value) ? textOf(value) : value;
        // The runtime cuts a string at NUL and turns a lone surrogate into U+FFFD.
        if (typeof text !== 'string' || text.includes('\0') || !text.isWellFormed()) return i;
        texts(data)[at + i] = text;
      }
      return -1;
    },
    get: (data, at) => data[at],
    copy(data, at, source, step = 1) {
      for (let i = 0; i < source.length; i++) texts(data)[at + i * step] = texts(source)[i];
    },
  };
}

function textOf({ b64, shape }: Base64): string | undefined {
  const bytes = shape === undefined ? decodeBase64(b64) : undefined;
  return bytes && decodeText(bytes);
}

function float(type: string, limit: number, shorten: (value: number) => number): Codec<number> {
  return {
    takes: `a number in ${type}'s range, null or "NaN", "Infinity" or "-Infinity"`,
    limit,
    read: (value) => {
      // parseJson makes none of a number like 1e400, so an infinity is a value that code gave.
      if (typeof value === 'number')
        return Math.abs(value) >= limit && Number.isFinite(value) ? undefined : value;
      if (typeof value === 'bigint' || typeof value === 'symbol') {
        const number = Number(typeof value === 'symbol' ? value.description : value);
        return Math.abs(number) < limit ? number : undefined;
      }
      if (value === null || value === 'NaN') return Number.NaN;
      if (value === 'Infinity') return Number.POSITIVE_INFINITY;
      return value === '-Infinity' ? Number.NEGATIVE_INFINITY : undefined;
    },
    // JSON has no NaN and no infinities.
    write: (value) => {
      if (Number.isFinite(value)) return shorten(value);
      return Number.isNaN(value) ? null : String(value);
    },
  };
}

const scratch = new DataView(new ArrayBuffer(2));

/** float16 crosses the runtime as raw bits: a Float16Array exists from Node.js 24 on only. */
function half(): Codec<number> {
  const { takes, read, write } = float('float16', 65520, shortenFloat16);
  return {
    takes,
    read: (value) => {
      const float = read(value);
      if (float === undefined) return undefined;
      setFloat16(scratch, 0, float);
      return scratch.getUint16(0);
    },
    write: (bits) => {
      scratch.setUint16(0, bits);
      return write(getFloat16(scratch, 0));
    },
  };
}

function bit(): Codec<number> {
  return {
    takes: 'true or false',
    read: (value) => (value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined),
    write: (stored) => stored !== 0,
  };
}

function integer(min: number, max: number): Codec<number> {
  return {
    takes: `a whole number from ${min} to ${max}`,
    read: (value) => {
      const number = typeof value === 'bigint' ? Number(value) : value;
      return typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max
        ? number
        : undefined;
    },
    write: same,
  };
}

function big(min: bigint, max: bigint): Codec<bigint> {
  return {
    takes: `a whole number from ${min} to ${max}`,
    read: (value) => {
      const exact = toBigInt(value);
      return exact !== undefined && exact >= min && exact <= max ? exact : undefined;
    },
    write: (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
  };
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}
