import { getFloat16, setFloat16 } from '@petamoriken/float16';
import { decodeBase64, decodeText, isBase64 } from './base64';
import { shortenFloat16, shortenFloat32 } from './digits';

/** Values in row-major order, as ONNX Runtime takes and gives them: float16 as raw bits, bool as bytes. */
export type Data = NodeJS.TypedArray | string[];

type Stored = number | bigint | string;

/**
 * How one value is read from JSON (undefined where it does not fit) and written to it. In JSON a bigint stands for an
 * integer beyond ±2^53, a symbol for another number that no double is, with the nearest as its description.
 */
interface Codec<Value extends Stored = Stored> {
  /** What a message says that it takes. */
  readonly takes: string;
  /** JSON numbers between this and its negative are stored as they are. */
  readonly limit?: number;
  read(value: unknown): Value | undefined;
  write(stored: Value): unknown;
}

const same = <Value>(value: Value) => value;

/** What each element type takes from JSON, holds in memory, and gives back to JSON. */
export const elements = {
  float16: element('FP16', Uint16Array, half()),
  // The smallest double that rounds to infinity is the limit.
  float32: element('FP32', Float32Array, float('float32', 2 ** 128 - 2 ** 103, shortenFloat32)),
  float64: element('FP64', Float64Array, float('float64', Infinity, same)),
  int8: element('INT8', Int8Array, integer(-(2 ** 7), 2 ** 7 - 1)),
  int16: element('INT16', Int16Array, integer(-(2 ** 15), 2 ** 15 - 1)),
  int32: element('INT32', Int32Array, integer(-(2 ** 31), 2 ** 31 - 1)),
  int64: element('INT64', BigInt64Array, big(-(2n ** 63n), 2n ** 63n - 1n)),
  uint8: element('UINT8', Uint8Array, integer(0, 2 ** 8 - 1)),
  uint16: element('UINT16', Uint16Array, integer(0, 2 ** 16 - 1)),
  uint32: element('UINT32', Uint32Array, integer(0, 2 ** 32 - 1)),
  uint64: element('UINT64', BigUint64Array, big(0n, 2n ** 64n - 1n)),
  bool: element('BOOL', Uint8Array, bit()),
  string: element('BYTES', Array, text()),
  // A new type also goes into routes/README.md and, where its kind is named, open-inference, digits, observed and faults.
};

export type ElementType = keyof typeof elements;

export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(elements, name);
}

function element(
  datatype: string,
  List: { new (length: number): Data; BYTES_PER_ELEMENT?: number },
  { takes, limit = 0, read, write }: Codec,
) {
  const list = (data: Data) => data as { [at: number]: Stored; set?(source: Data, at: number): void };
  return {
    /** Its name in the Open Inference Protocol. TensorFlow's is in routes/dialects/metadata.ts, where it differs. */
    datatype,
    /** Bytes a value; for an empty string, what an object of V8's and, during a run, one of the runtime's take. */
    bytes: List.BYTES_PER_ELEMENT ?? 50,
    takes,
    create(length: number): Data {
      const data = new List(length);
      return Array.isArray(data) ? data.fill('') : data;
    },
    /** Stores JSON values from `at` on; gives the index of the first that does not fit, or -1. */
    fill(data: Data, at: number, values: ArrayLike<unknown>): number {
      const target = list(data);
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
    /** The JSON value of what is stored. */
    get: (data: Data, at: number): unknown => write(list(data)[at]),
    /** Copies all of `source`, of this type, to `at` and, where a step is given, on from it in such steps. */
    copy(data: Data, at: number, source: Data, step = 1): void {
      const target = list(data);
      if (step === 1 && target.set) target.set(source, at);
      else for (let i = 0; i < source.length; i++) target[at + i * step] = source[i];
    },
  };
}

function text(): Codec<string> {
  return {
    takes: 'a string without NUL or lone surrogates, or {"b64": UTF-8 in base64}',
    read: (value) => {
      const bytes = isBase64(value) && Object.keys(value).length === 1 ? decodeBase64(value.b64) : undefined;
      const text = bytes ? decodeText(bytes) : value;
      // The runtime cuts a string at NUL and turns a lone surrogate into U+FFFD.
      return typeof text === 'string' && !text.includes('\0') && text.isWellFormed() ? text : undefined;
    },
    write: same,
  };
}

/** Floats that JSON has no numbers for, as strings. */
const namedFloats: unknown[] = ['NaN', 'Infinity', '-Infinity'];

function float(type: string, limit: number, shorten: (value: number) => number): Codec<number> {
  return {
    takes: `a number in ${type}'s range, null or "NaN", "Infinity" or "-Infinity"`,
    limit,
    read: (value) => {
      // An infinity is meant: parseJson makes a symbol of a number like 1e400.
      if (typeof value === 'number')
        return Math.abs(value) >= limit && Number.isFinite(value) ? undefined : value;
      if (typeof value === 'bigint' || typeof value === 'symbol') {
        const number = Number(typeof value === 'symbol' ? value.description : value);
        return Math.abs(number) < limit ? number : undefined;
      }
      if (value === null) return NaN;
      return namedFloats.includes(value) ? Number(value) : undefined;
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
      const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
      return fits ? value : undefined;
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
