import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { allNodes, type Node, type OnnxFile } from './onnx';
import { message, number, varint } from './protobuf';

/** A stretch of a file, and what stands there instead. */
export interface Edit {
  from: number;
  to: number;
  bytes: Uint8Array;
}

/** A tensor that stands in the place of an output which the runtime cannot return. */
export interface Substitute {
  name: string;
  tensor: string;
  /** The class labels of its columns. */
  labels?: string[];
}

/** Outputs that the runtime cannot return, ZipMaps and sequences, and the tensors of which each is made. */
export function substitutesIn({ graph }: OnnxFile): Map<string, Substitute[]> {
  const declared = new Set(graph.outputs.map(({ name }) => name));
  const unreturnable = graph.nodes.filter(
    ({ op, outputs }) => /^(ZipMap|SequenceConstruct)$/.test(op) && declared.has(outputs[0]),
  );
  return new Map(unreturnable.map((node) => [node.outputs[0], substitutesFor(node)]));
}

function substitutesFor({ op, inputs, outputs: [output], attributes }: Node): Substitute[] {
  if (op !== 'ZipMap') return inputs.map((tensor, i) => ({ name: `${output}_${i}`, tensor }));
  const texts = attributes.get('classlabels_strings')?.strings ?? [];
  const labels = [...texts, ...(attributes.get('classlabels_int64s')?.ints ?? [])].map(String);
  return [{ name: output, tensor: inputs[0], ...(labels.length > 0 && { labels }) }];
}

/** What the runtime needs changed in a file, to serve it: edits in their order. */
export function editsFor(file: OnnxFile, substitutes: ReadonlyMap<string, readonly Substitute[]>): Edit[] {
  const edits = [...withLocale(file), ...withoutOutputs(file, substitutes)];
  const { graph, size, irVersion } = file;
  // onnx 1.23 writes 14, in which float6 is new; onnxruntime 1.30 reads up to 13. ModelProto.ir_version is 1; of two, the last counts.
  const readable = irVersion === 14 ? number(1, 13) : Buffer.alloc(0);
  if (edits.length + readable.length === 0) return [];
  const { lengthAt, from, to } = graph.field;
  const declared = new Set(graph.outputs.map(({ name }) => name));
  const added = new Set([...substitutes.values()].flat().map(({ tensor }) => tensor));
  // GraphProto.output is 12, and ValueInfoProto.name 1. One without a type: the runtime infers it.
  const outputs = [...added]
    .filter((tensor) => !declared.has(tensor))
    .map((tensor) => message(12, message(1, tensor)));
  return [
    { from: lengthAt, to: from, bytes: varint(to - from + growthBy(edits)) },
    ...edits.sort((one, other) => one.from - other.from),
    // A message that occurs twice is merged, so a second ModelProto is enough whose graph, 7, holds nothing but outputs.
    { from: size, to: size, bytes: Buffer.concat([readable, message(7, ...outputs)]) },
  ];
}

/** A locale for each StringNormalizer that leaves it to the host: the default, en_US.UTF-8, is absent from slim images. */
function withLocale({ graph }: OnnxFile): Edit[] {
  // NodeProto.attribute is 5; AttributeProto.name 1, .s 4, and .type 20, of which 3 is STRING.
  const locale = message(5, message(1, 'locale'), message(4, 'C.UTF-8'), number(20, 3));
  return graph.nodes
    .filter(({ op, attributes }) => op === 'StringNormalizer' && !attributes.has('locale'))
    .flatMap(({ field: { lengthAt, from, to } }) => [
      { from: lengthAt, to: from, bytes: varint(to - from + locale.length) },
      { from: to, to, bytes: locale },
    ]);
}

/** Without the outputs that have substitutes, and without the nodes that make them where nothing else reads these. */
function withoutOutputs(file: OnnxFile, substitutes: ReadonlyMap<string, readonly Substitute[]>): Edit[] {
  const read = new Set([...allNodes(file)].flatMap(({ inputs }) => inputs));
  const { outputs, nodes } = file.graph;
  const removed = [
    ...outputs.filter(({ name }) => substitutes.has(name)),
    ...nodes.filter(({ outputs: [output] }) => substitutes.has(output) && !read.has(output)),
  ];
  return removed.map(({ field: { start, to } }) => ({ from: start, to, bytes: Buffer.alloc(0) }));
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
