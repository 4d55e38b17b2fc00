import { readSync } from 'node:fs';

/** One field of a message: its number, a number's value or the content's length, and where the content lies. */
export interface Field {
  number: number;
  value: number;
  /** Where the field begins, and the length before its content. */
  start: number;
  lengthAt: number;
  /** The content, for a field that has a length. */
  from: number;
  to: number;
}

const windowSize = 1 << 16;

/** Bytes behind a field's head, by the wire types whose heads do not tell. */
const fixedLengths: Record<number, number> = { 0: 0, 1: 8, 5: 4 };

/**
 * Walks the fields of a protobuf file in place, so that a model of gigabytes costs a window of 64 KB.
 * Encoding: https://protobuf.dev/programming-guides/encoding/
 */
export class ProtobufFile {
  private window = Buffer.alloc(0);
  private start = 0;

  constructor(
    private readonly file: number,
    readonly size: number,
  ) {}

  /** The fields of the message between two offsets. Throws RangeError where the bytes are not one. */
  *fields(from: number, to: number): Generator<Field> {
    for (let at = from; at < to; ) {
      const tag = this.varint(at);
      const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
      const { value, end } = wire === 0 || wire === 2 ? this.varint(tag.end) : { value: 0, end: tag.end };
      const start = wire === 0 ? tag.end : end;
      const length = wire === 2 ? value : (fixedLengths[wire] ?? Number.NaN);
      const field = { number, value, start: at, lengthAt: tag.end, from: start, to: end + length };
      if (number === 0 || !(field.to <= to)) throw new RangeError('not protobuf');
      yield field;
      at = field.to;
    }
  }

  bytes(from: number, to: number): Buffer {
    if (from < this.start || to > this.start + this.window.length) {
      const length = Math.max(to - from, Math.min(windowSize, this.size - from));
      const window = Buffer.allocUnsafe(length);
      const got = readSync(this.file, window, 0, length, from);
      this.window = window.subarray(0, got);
      this.start = from;
    }
    return this.window.subarray(from - this.start, to - this.start);
  }

  /** The fields of a message that have one number, and of those the fields that have the next. */
  *parts({ from, to }: Field, number: number, ...inner: number[]): Generator<Field> {
    for (const field of this.fields(from, to)) {
      if (field.number !== number) continue;
      const [next, ...others] = inner;
      if (next === undefined) yield field;
      else yield* this.parts(field, next, ...others);
    }
  }

  text({ from, to }: Field): string {
    return this.bytes(from, to).toString('utf8');
  }

  /** The text of the first field with this number; empty where there is none. */
  textIn(field: Field, number: number): string {
    for (const part of this.parts(field, number)) return this.text(part);
    return '';
  }

  /** The content of a repeated integer: a run of varints, packed or not, as signed numbers of 64 bits. */
  varints({ from, to }: Field): bigint[] {
    const values: bigint[] = [];
    const bytes = this.bytes(from, to);
    for (let at = 0; at < bytes.length; ) {
      let value = 0n;
      let shift = 0n;
      do value |= BigInt(bytes[at] & 127) << (7n * shift++);
      while (bytes[at++] > 127);
      values.push(BigInt.asIntN(64, value));
    }
    return values;
  }

  private varint(at: number): { value: number; end: number } {
    const bytes = this.bytes(at, Math.min(at + 10, this.size));
    let value = 0;
    for (let i = 0; i < bytes.length; i++) {
      value += (bytes[i] & 127) * 2 ** (7 * i);
      if (bytes[i] < 128) return { value, end: at + i + 1 };
    }
    throw new RangeError('not protobuf');
  }
}

/** A number as protobuf's variable-length integer. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

/** A field with a length: a message, a string or bytes. */
export function message(number: number, ...content: (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part as Buffer)));
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A field that is a whole number of zero or more. */
export function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}
