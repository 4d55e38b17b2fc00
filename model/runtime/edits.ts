import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from './onnx-proto';
import { type Field, message, number, type ProtobufFile, varint } from './protobuf';

/** A stretch of a file, and what stands there instead. */
export interface Edit {
  from: number;
  to: number;
  bytes: Uint8Array;
}

/** What is to be changed in a model, by the fields of its file. */
export interface Changes {
  /** StringNormalizer nodes that leave their locale to the host: the default, en_US.UTF-8, is absent from slim images. */
  withoutLocale: Field[];
  /** Nodes and outputs that are to go. */
  removed: Field[];
  /** Tensors that are to become outputs. */
  added: Set<string>;
}

/** AttributeProto.AttributeType.STRING. */
const stringAttribute = 3;

/** The edits that make the changes, in their order; none where there are none. */
export function editsFor(
  file: ProtobufFile,
  main: Field,
  { withoutLocale, removed, added }: Changes,
): Edit[] {
  const nothing = Buffer.alloc(0);
  const locale = message(
    NodeProto.attribute,
    message(AttributeProto.name, 'locale'),
    message(AttributeProto.s, 'C.UTF-8'),
    number(AttributeProto.type, stringAttribute),
  );
  const edits = [
    ...withoutLocale.map(({ start, from, to }): Edit => {
      return { from: start, to, bytes: message(GraphProto.node, Buffer.from(file.bytes(from, to)), locale) };
    }),
    ...removed.map(({ start, to }): Edit => ({ from: start, to, bytes: nothing })),
  ];
  if (edits.length === 0) return [];
  // A ValueInfoProto without a type: the runtime infers it.
  const outputs = [...added].map((tensor) =>
    message(GraphProto.output, message(ValueInfoProto.name, tensor)),
  );
  return [
    { from: main.lengthAt, to: main.from, bytes: varint(main.to - main.from + growthBy(edits)) },
    ...edits.sort((one, other) => one.from - other.from),
    // A message that occurs twice is merged, so a second ModelProto that holds nothing but outputs is enough.
    {
      from: file.size,
      to: file.size,
      bytes: added.size > 0 ? message(ModelProto.graph, ...outputs) : nothing,
    },
  ];
}

/** How many bytes edits add, in all. */
function growthBy(edits: readonly Edit[]): number {
  return edits.reduce((sum, { from, to, bytes }) => sum + bytes.length - (to - from), 0);
}

/** The bytes of a file with some stretches replaced, given in their order. */
export function applyEdits(path: string, edits: readonly Edit[]): Buffer {
  const { size } = statSync(path);
  const result = Buffer.allocUnsafe(size + growthBy(edits));
  const file = openSync(path, 'r');
  try {
    let [at, read] = [0, 0];
    for (const { from, to, bytes } of [...edits, { from: size, to: size, bytes: Buffer.alloc(0) }]) {
      while (read < from) {
        const got = readSync(file, result, at, from - read, read);
        if (got === 0) throw new RangeError('the file ended early');
        at += got;
        read += got;
      }
      result.set(bytes, at);
      at += bytes.length;
      read = to;
    }
    return result;
  } finally {
    closeSync(file);
  }
}
