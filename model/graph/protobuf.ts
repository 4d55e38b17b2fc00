import { readSync } from 'node:fs';

/** A field of a message, and where it stands in the file. */
export interface Field {
  number: number;
  start: number;
  /** Where the length stands that a message, a text or bytes have before their content. */
  lengthAt: number;
  /** The content. */
  from: number;
  to: number;
}

const windowBytes = 1 << 16;

/** Bytes of content, by the wire types whose content has no length before it. */
const fixedLengths: Record<number, number> = { 0: 0, 1: 8, 5: 4 };

/**
 * Walks the fields of a protobuf file in place, so that a model of gigabytes costs a window of 64 KB: read whole, one of
 * 300 MB makes the boot's peak 975 MB in place of 676. Encoding: https://protobuf.dev/programming-guides/encoding/
 */
export class ProtobufFile {
  private window = Buffer.alloc(0);
  private start = 0;

  constructor(private readonly file: number) {}

  /** The fields of a message. Throws RangeError where the bytes are not one. */
  *fields({ from, to }: Field): Generator<Field> {
    for (let at = from; at < to; ) {
      const tag = this.varint(at);
      const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
      const head = wire === 0 || wire === 2 ? this.varint(tag.end) : { value: 0, end: tag.end };
      const length = wire === 2 ? head.value : (fixedLengths[wire] ?? Number.NaN);
      const content = { from: wire === 0 ? tag.end : head.end, to: head.end + length };
      if (number === 0 || !(content.to <= to)) throw new RangeError('not protobuf');
      yield { number, start: at, lengthAt: tag.end, ...content };
      at = content.to;
    }
  }

  bytes({ from, to }: Field): Buffer {
    const at = this.load(from, to);
    return this.window.subarray(at, at + to - from);
  }

  /** The content of an integer, or of many that are packed, as signed numbers of 64 bits; no more than `most`. */
  integers(field: Field, most: number): bigint[] {
    const values: bigint[] = [];
    const bytes = this.bytes({ ...field, to: Math.min(field.to, field.from + 10 * most) });
    for (let at = 0; at < bytes.length && values.length < most; ) {
      let value = 0n;
      let shift = 0n;
      do value |= BigInt(bytes[at] & 127) << (7n * shift++);
      while (bytes[at++] > 127 && shift < 10n);
      values.push(BigInt.asIntN(64, value));
    }
    return values;
  }

  private varint(from: number): { value: number; end: number } {
    const at = this.load(from, from + 10);
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.window[at + i];
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return { value, end: from + i + 1 };
    }
    throw new RangeError('not protobuf');
  }

  /** Has the bytes between two offsets in the window; gives the place of the first. */
  private load(from: number, to: number): number {
    if (from < this.start || to > this.start + this.window.length) {
      const window = Buffer.allocUnsafe(Math.max(to - from, windowBytes));
      this.window = window.subarray(0, readSync(this.file, window, 0, window.length, from));
      this.start = from;
    }
    return from - this.start;
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
