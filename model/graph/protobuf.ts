import { closeSync, openSync, readSync } from 'node:fs';

// Encoding: https://protobuf.dev/programming-guides/encoding/

/** Where a field of a message stands in a file. */
export interface Field {
  number: number;
  start: number;
  /** Its content. */
  from: number;
  to: number;
}

const windowBytes = 1 << 16;

/**
 * A protobuf file that is read in place, so that a model of gigabytes costs a window of 64 KB: read whole, one of 300 MB
 * makes the boot's peak 975 MB in place of 676.
 */
export class ProtobufFile {
  private window = Buffer.alloc(0);
  private start = 0;

  constructor(private readonly file: number) {}

  /** The fields of a message. Throws RangeError where the bytes are not one. */
  *fields({ from, to }: Field): Generator<Field> {
    for (let start = from; start < to; ) {
      const { value, end } = this.varint(start);
      const number = Number(value >> 3n);
      const content = this.content(Number(value & 7n), end);
      if (number === 0 || !(content.to <= to)) throw new RangeError('not protobuf');
      yield { number, start, ...content };
      start = content.to;
    }
  }

  bytes({ from, to }: Field): Buffer {
    const at = this.load(from, to);
    return this.window.subarray(at, at + to - from);
  }

  /** The content of an integer, or of many that are packed, as signed numbers of 64 bits; no more than `most`. */
  integers({ from, to }: Field, most: number): bigint[] {
    const values: bigint[] = [];
    for (let at = from; at < to && values.length < most; ) {
      const { value, end } = this.varint(at);
      values.push(BigInt.asIntN(64, value));
      at = end;
    }
    return values;
  }

  /** Where the content of a field of a wire type is, given where its tag ends. */
  private content(wire: number, from: number): { from: number; to: number } {
    if (wire === 0) return { from, to: this.varint(from).end };
    if (wire === 1) return { from, to: from + 8 };
    if (wire === 5) return { from, to: from + 4 };
    if (wire !== 2) throw new RangeError('not protobuf');
    const { value, end } = this.varint(from);
    return { from: end, to: end + Number(value) };
  }

  private varint(from: number): { value: bigint; end: number } {
    const at = this.load(from, from + 10);
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.window[at + i];
      value |= BigInt(byte & 127) << BigInt(7 * i);
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

/** How many fields of a number are enough: lists of a million are not walked. */
type Most = Readonly<Record<number, number>>;

/** What a message holds, by the numbers of its fields. */
export class Message {
  /** The first, if it occurs twice. */
  readonly field: Field;
  private readonly parts = new Map<number, Field[]>();

  /** Ends where there are as many fields of a number as `most` says. Throws RangeError for what is no message. */
  constructor(
    private readonly file: ProtobufFile,
    fields: readonly Field[],
    most: Most = {},
  ) {
    [this.field] = fields;
    for (const field of fields) {
      for (const part of file.fields(field)) {
        const parts = this.fields(part.number);
        if (parts.push(part) === 1) this.parts.set(part.number, parts);
        if (parts.length === most[part.number]) break;
      }
    }
  }

  fields(number: number): Field[] {
    return this.parts.get(number) ?? [];
  }

  messages(number: number, most?: Most): Message[] {
    return this.fields(number).map((field) => new Message(this.file, [field], most));
  }

  texts(number: number): string[] {
    return this.fields(number).map((field) => this.file.bytes(field).toString());
  }

  /** Of each field no more integers than `most`, where they are packed. */
  integers(number: number, most = Number.POSITIVE_INFINITY): bigint[] {
    return this.fields(number).flatMap((field) => this.file.integers(field, most));
  }

  /** One in which those that occur are merged. */
  message(number: number): Message | undefined {
    const fields = this.fields(number);
    return fields.length > 0 ? new Message(this.file, fields) : undefined;
  }

  // Of other fields that are no list, the last one counts.

  text(number: number): string {
    return this.texts(number).at(-1) ?? '';
  }

  /** An integer; 0 where there is none: some writers leave zeros out. */
  integer(number: number): number {
    return Number(this.integers(number).at(-1) ?? 0n);
  }

  /** Bytes, if they are no more than `most`. */
  bytes(number: number, most: number): Buffer {
    const [field] = this.fields(number).slice(-1);
    return field && field.to - field.from <= most ? Buffer.from(this.file.bytes(field)) : Buffer.alloc(0);
  }
}

/** Fills a buffer with what stands in a file from some byte on; gives how many bytes there were. */
export function readInto(buffer: Buffer, path: string, from: number): number {
  const file = openSync(path, 'r');
  try {
    return readSync(file, buffer, 0, buffer.length, from);
  } finally {
    closeSync(file);
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
