import { BadInput } from './errors';
import { type Data, type ElementType, elements, fromBytes, sizeOf, stack, type Tensor } from './tensor';

/** A declared length, or the name of an open one ('' where it has none). */
export type Dim = number | string;

/** What the values at one place must be; `dims` is undefined where any shape will do. */
export interface Expected {
  type: ElementType;
  dims: readonly Dim[] | undefined;
  /** Whether dimensions of 1 at the end may be left out. */
  loose?: boolean;
}

/** `{"b64": …, "shape"?: …}`: bytes in a value's place. */
export function isBytes(value: unknown): value is { b64: string; shape?: unknown } {
  return typeof value === 'object' && value !== null && typeof (value as { b64: unknown }).b64 === 'string';
}

/** How deep a value's arrays nest; bytes add the rank that they declare or, without a shape, an instance's. */
export function rankOf(value: unknown, type: ElementType, instanceRank: number): number {
  if (typeof value !== 'object') return 0;
  const { length } = measure(value);
  let inner: unknown = value;
  for (let depth = 0; depth < length; depth++) inner = (inner as unknown[]).at(0);
  if (type === 'string' || !isBytes(inner)) return length;
  return length + (Array.isArray(inner.shape) ? inner.shape.length : instanceRank);
}

/** Reads one value, nested arrays or bytes. Throws BadInput that names the place and what it takes. */
export function readTensor(value: unknown, expected: Expected, where: string): Tensor {
  const tensor = readInstances([value], expected, () => where)[0];
  return { ...tensor, shape: tensor.shape.slice(1) };
}

/**
 * Reads values that lie one beside another: as a single tensor `[n, …]` where all have the same shape, else
 * as n tensors `[1, …]`. `where(i)` names the i-th in messages. Throws BadInput.
 */
export function readInstances(
  values: readonly unknown[],
  expected: Expected,
  where: (index: number) => string,
): Tensor[] {
  const { type } = expected;
  if (type === 'string' || !values.some(isBytes)) {
    let own = measure(values[0]);
    const shape = fitShape(own, expected, () => where(0));
    const alike = values.every((value, i) => {
      const lengths = measure(value);
      if (sameShape(lengths, own)) return true;
      own = lengths;
      return sameShape(
        fitShape(own, expected, () => where(i)),
        shape,
      );
    });
    if (alike) {
      const data = elements[type].create(values.length * sizeOf(shape));
      let at = 0;
      for (let i = 0; i < values.length; i++) {
        const lengths = measure(values[i]);
        const end = fill(data, at, values[i], type, lengths, 0);
        if (end === undefined) throw fault(values[i], type, lengths, where(i));
        at = end;
      }
      return [{ type, shape: [values.length, ...shape], data }];
    }
  }
  const tensors = values.map((value, i) =>
    type !== 'string' && isBytes(value)
      ? readBytes(value, type, expected, where(i))
      : readInstances([value], expected, () => where(i))[0],
  );
  return tensors.every(({ shape }) => sameShape(shape, tensors[0].shape)) ? [stack(tensors)] : tensors;
}

const deepest = 64;

const scalar: readonly number[] = [];

/**
 * The lengths of a value's arrays, told by the first of each. By at(), since V8 would turn an array of doubles into one of
 * objects where `[0]` meets arrays of both, and then all of them where they are read.
 */
function measure(value: unknown): readonly number[] {
  if (!Array.isArray(value)) return scalar;
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner) && shape.length <= deepest; inner = inner.at(0)) {
    shape.push(inner.length);
  }
  return shape;
}

function sameShape(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((length, axis) => length === other[axis]);
}

/** The full shape of a value that nests as `own`, with what it may leave out. Throws BadInput. */
function fitShape(
  own: readonly number[],
  { dims, loose, type }: Expected,
  where: () => string,
): readonly number[] {
  if (own.includes(0) && own.length <= deepest && !isShape(own)) {
    throw new BadInput(`${where()} has too many empty rows`);
  }
  if (!dims) {
    if (own.length > deepest) throw new BadInput(`${where()} nests deeper than any tensor`);
    return own;
  }
  if (own.every((length, axis) => typeof dims[axis] === 'string' || dims[axis] === length)) {
    if (own.length === dims.length) return own;
    const missing = dims.slice(own.length);
    if (own.at(-1) === 0 || (loose && missing.every((dim) => dim === 1))) {
      return [...own, ...missing.map((dim) => (typeof dim === 'number' ? dim : 0))];
    }
  }
  const takes = dims.length === 0 ? 'a single value' : `an array of shape ${showShape(dims)}`;
  const gets = own.length > deepest ? 'deeper' : own.length === 0 ? 'a single value' : showShape(own);
  const batch = loose && own.length === 1 && dims.length === 1 && dims[0] === 1;
  const hint = batch ? `; a batch is ${type === 'string' ? '[["a"],["b"]]' : '[[0],[0]]'}` : '';
  throw new BadInput(`${where()} must be ${takes}, not ${gets}${hint}`);
}

export function showShape(dims: readonly Dim[]): string {
  return `[${dims.map((dim) => (dim === '' ? '?' : dim)).join(',')}]`;
}

/** Stores a value's elements from `at` on; gives the place behind them, or undefined where one does not fit. */
function fill(
  data: Data,
  at: number,
  value: unknown,
  type: ElementType,
  shape: readonly number[],
  axis: number,
): number | undefined {
  if (axis === shape.length) {
    const stored = readElement(value, type);
    if (stored === undefined) return undefined;
    data[at] = stored as never;
    return at + 1;
  }
  if (!Array.isArray(value) || value.length !== shape[axis]) return undefined;
  if (axis < shape.length - 1) {
    let next: number | undefined = at;
    for (let i = 0; i < value.length && next !== undefined; i++) {
      next = fill(data, next, value[i], type, shape, axis + 1);
    }
    return next;
  }
  const { limit } = elements[type];
  for (let i = 0; i < value.length; i++) {
    const item = value[i];
    // Nearly all of a big body is plain numbers.
    if (typeof item === 'number' && item < limit && item > -limit) data[at + i] = item;
    else {
      const stored = readElement(item, type);
      if (stored === undefined) return undefined;
      data[at + i] = stored as never;
    }
  }
  return at + value.length;
}

/** The stored form of one JSON value, or undefined where the element type does not take it. */
export function readElement(value: unknown, type: ElementType): number | bigint | string | undefined {
  return elements[type].read(type === 'string' && isBytes(value) ? decodeText(value) : value);
}

function decodeText(value: { b64: string; shape?: unknown }): string | undefined {
  const bytes = decodeBase64(value.b64);
  if (!bytes || value.shape !== undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The error for the first element that does not fit, found by a second, slower walk. */
function fault(value: unknown, type: ElementType, shape: readonly number[], where: string): BadInput {
  if (shape.length === 0) {
    return new BadInput(`${where} must be ${elements[type].takes}, not ${kindOf(value, type)}`);
  }
  if (!Array.isArray(value) || value.length !== shape[0]) {
    const gets = Array.isArray(value) ? showShape([value.length]) : kindOf(value);
    return new BadInput(
      `${where} must be an array of shape ${showShape(shape)} like its neighbours, not ${gets}`,
    );
  }
  const inner = shape.slice(1);
  const scratch = elements[type].create(sizeOf(inner));
  const i = value.findIndex((item) => fill(scratch, 0, item, type, inner, 0) === undefined);
  return fault(value[i], type, inner, `${where}[${i}]`);
}

/** What a value is, for a message that must not repeat it. */
export function kindOf(value: unknown, type?: ElementType): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return 'this number';
  if (typeof value === 'string' && type === 'string') return 'this string';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Most rows without values that a shape may declare: they cost nothing to send, but time and memory to answer. */
const mostEmptyRows = 1 << 16;

/** Whether a JSON value is a shape that a tensor here can have. */
export function isShape(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > deepest) return false;
  const rows = sizeOf(value.filter((length) => length !== 0));
  return (
    value.every((length) => Number.isInteger(length) && length >= 0 && length < 2 ** 31) &&
    (rows <= mostEmptyRows || !value.includes(0))
  );
}

function readBytes(
  value: { b64: string; shape?: unknown },
  type: Exclude<ElementType, 'string'>,
  expected: Expected,
  where: string,
): Tensor {
  const bytes = decodeBase64(value.b64);
  if (!bytes) throw new BadInput(`${where}.b64 is not base64`);
  const unknown = Object.keys(value).find((key) => key !== 'b64' && key !== 'shape');
  if (unknown !== undefined) throw new BadInput(`${where} has an unknown key beside b64 and shape`);
  const own = value.shape ?? lengthsFor(bytes.length / elements[type].bytes, expected.dims);
  if (!isShape(own)) {
    throw new BadInput(`${where} needs a "shape", an array of lengths that a tensor can have`);
  }
  const shape = fitShape(own, { ...expected, type }, () => where);
  return { type, shape: [1, ...shape], data: readBuffer(bytes, type, shape, `${where}.b64`) };
}

/** Little-endian bytes as the data of a tensor of this shape. Throws BadInput where the length is another. */
export function readBuffer(
  bytes: Uint8Array,
  type: Exclude<ElementType, 'string'>,
  shape: readonly number[],
  where: string,
): Data {
  const expected = sizeOf(shape) * elements[type].bytes;
  if (bytes.length !== expected) {
    throw new BadInput(
      `${where} must hold ${expected} bytes for ${type}${showShape(shape)}, not ${bytes.length}`,
    );
  }
  if (type === 'bool' && bytes.some((byte) => byte > 1)) {
    throw new BadInput(`${where} must hold only bytes 0 and 1 for bool`);
  }
  return fromBytes(type, bytes);
}

/** The one shape that `length` values can have, or undefined where more than one dimension is open. */
function lengthsFor(length: number, dims: readonly Dim[] | undefined): number[] | undefined {
  if (!dims || dims.filter((dim) => typeof dim === 'string').length > 1) return undefined;
  const known = sizeOf(dims.filter((dim) => typeof dim === 'number'));
  return dims.map((dim) => (typeof dim === 'number' ? dim : Math.floor(length / (known || 1))));
}

function decodeBase64(text: string): Buffer | undefined {
  const length = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  const bytes = Buffer.from(text, 'base64');
  // Node.js skips what is not base64, so that there are fewer bytes. One character too many encodes none.
  return length % 4 !== 1 && bytes.length === Math.floor((length * 3) / 4) ? bytes : undefined;
}
