// Encoding: https://protobuf.dev/programming-guides/encoding/

/** Where a field of a message starts in a file, and from where to where its content goes. */
export type Field = { number: number; start: number; from: number; to: number };

/** What a message holds, by the numbers of its fields. Of those that are no list, the last counts. */
export class Message {
  /** The first, if it occurs twice. */
  readonly field: Field;
  private readonly parts = new Map<number, Field[]>();

  /** Ends at as many fields of a number as `most` says: lists of a million are not walked. Throws RangeError. */
  constructor(
    private readonly bytes: Buffer,
    fields: readonly Field[],
    most: Readonly<Record<number, number>> = {},
  ) {
    [this.field] = fields;
    for (const { from, to } of fields) {
      for (let start = from; start < to; ) {
        const part = this.fieldAt(start);
        if (part.number === 0 || part.to > to) throw new RangeError('not protobuf');
        const parts = this.fields(part.number);
        if (parts.push(part) === 1) this.parts.set(part.number, parts);
        if (parts.length === most[part.number]) break;
        start = part.to;
      }
    }
  }

  private fields(number: number): Field[] {
    return this.parts.get(number) ?? [];
  }

  messages(number: number, most?: Record<number, number>): Message[] {
    return this.fields(number).map((field) => new Message(this.bytes, [field], most));
  }

  texts(number: number): string[] {
    return this.fields(number).map(({ from, to }) => this.bytes.toString('utf8', from, to));
  }

  /** Signed integers of 64 bits; where they are packed, of each field no more than `most`. */
  integers(number: number, most = Number.POSITIVE_INFINITY): bigint[] {
    return this.fields(number).flatMap(({ from, to }) => {
      const values: bigint[] = [];
      for (let at = from; at < to && values.length < most; ) {
        const { value, end } = this.varintAt(at);
        values.push(BigInt.asIntN(64, value));
        at = end;
      }
      return values;
    });
  }

  /** One in which all that occur are merged. */
  message(number: number): Message | undefined {
    const fields = this.fields(number);
    return fields.length > 0 ? new Message(this.bytes, fields) : undefined;
  }

  text(number: number): string {
    return this.texts(number).at(-1) ?? '';
  }

  /** An integer; 0 where there is none: some writers leave zeros out. */
  integer(number: number): number {
    return Number(this.integers(number).at(-1) ?? 0n);
  }

  /** A copy of bytes, if they are no more than `most`. */
  copy(number: number, most: number): Uint8Array<ArrayBuffer> {
    const { from, to } = this.fields(number).at(-1) ?? { from: 0, to: 0 };
    return new Uint8Array(to - from <= most ? this.bytes.subarray(from, to) : []);
  }

  /** A variable-length integer at an offset, and where it ends. Throws RangeError where there is none. */
  private varintAt(from: number): { value: bigint; end: number } {
    const { bytes } = this;
    let value = 0n;
    for (let at = from; at < bytes.length && at < from + 10; at++) {
      value |= BigInt(bytes[at] & 127) << BigInt(7 * (at - from));
      if (bytes[at] < 128) return { value, end: at + 1 };
    }
    throw new RangeError('not protobuf');
  }

  private fieldAt(start: number): Field {
    const { value, end } = this.varintAt(start);
    const [number, wire] = [Number(value >> 3n), Number(value & 7n)];
    if (wire === 0) return { number, start, from: end, to: this.varintAt(end).end };
    if (wire === 1) return { number, start, from: end, to: end + 8 };
    if (wire === 5) return { number, start, from: end, to: end + 4 };
    if (wire !== 2) throw new RangeError('not protobuf');
    const length = this.varintAt(end);
    return { number, start, from: length.end, to: length.end + Number(length.value) };
  }
}

/** A number as protobuf's variable-length integer. */
export function varint(value: number): Buffer {
  if (value < 128) return Buffer.from([value]);
  return Buffer.concat([Buffer.from([(value % 128) | 128]), varint(Math.floor(value / 128))]);
}

/** A field with a length: a message, a string or bytes. */
export function messageField(number: number, ...content: (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part as Buffer)));
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A field that is a whole number of zero or more. */
export function integerField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}
