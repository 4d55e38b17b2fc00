import { integerField, messageField, varint } from '../../../model/graph/protobuf';

// Field and type numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

export const Type = { float: 1, uint8: 2, int32: 6, int64: 7, string: 8, bool: 9, double: 11 };

/** Integers, floats, texts, lists of them, or a tensor. */
export type Attribute = number | { f: number } | { fs: number[] } | number[] | string | string[] | Buffer;

export interface MadeNode {
  readonly op: string;
  readonly inputs: readonly string[];
  /** Types of its outputs. */
  readonly types: readonly number[];
  readonly attributes?: Record<string, Attribute | undefined>;
}

const domains: Record<string, string> = { ml: 'ai.onnx.ml', ms: 'com.microsoft' };

export function rawOf(type: number, values: readonly number[]): Buffer {
  if (type === Type.int64) return Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  if (type === Type.int32) return Buffer.from(Int32Array.from(values).buffer);
  if (type === Type.double) return Buffer.from(Float64Array.from(values).buffer);
  return type === Type.float ? floats(values) : Buffer.from(values);
}

function floats(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

export function writeNode({
  op,
  inputs,
  outputs,
  attributes = {},
}: MadeNode & { outputs: string[] }): Buffer {
  const [, prefix = '', name = op] = /^(m[ls])\.(.*)/.exec(op) ?? [];
  const fields = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : messageField(5, messageField(1, key), ...writeAttribute(value)),
  );
  return messageField(
    1,
    ...inputs.map((input) => messageField(1, input)),
    ...outputs.map((output) => messageField(2, output)),
    messageField(4, name),
    messageField(7, domains[prefix] ?? ''),
    ...fields,
  );
}

function writeAttribute(value: Attribute): Buffer[] {
  if (typeof value === 'number') return [signed(3, value), integerField(20, 2)];
  if (typeof value === 'string') return [messageField(4, value), integerField(20, 3)];
  if (Buffer.isBuffer(value)) return [messageField(5, value), integerField(20, 4)];
  if ('f' in value) return [Buffer.concat([varint(2 * 8 + 5), floats([value.f])]), integerField(20, 1)];
  if ('fs' in value) return [messageField(7, floats(value.fs)), integerField(20, 6)];
  const texts = value.filter((one) => typeof one === 'string');
  if (texts.length > 0) return [...texts.map((text) => messageField(9, text)), integerField(20, 8)];
  return [...value.map((one) => signed(8, Number(one))), integerField(20, 7)];
}

/** A field that is a whole number; a negative one has ten bytes. */
function signed(field: number, value: number): Buffer {
  if (value >= 0) return integerField(field, value);
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.concat([varint(field * 8), Buffer.from([...bytes, Number(rest)])]);
}

export function writeValue({
  name,
  type,
  dims,
}: {
  name: string;
  type: number;
  dims?: (string | number)[];
}): Buffer {
  const lengths = dims?.map((dim) =>
    messageField(1, typeof dim === 'string' ? messageField(2, dim) : integerField(1, dim)),
  );
  const shape = lengths ? [messageField(2, ...lengths)] : [];
  return Buffer.concat([
    messageField(1, name),
    messageField(2, messageField(1, integerField(1, type), ...shape)),
  ]);
}
