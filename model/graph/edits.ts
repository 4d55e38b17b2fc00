import { type Node, type OnnxFile, readBytes } from './onnx';
import { integerField, messageField } from './protobuf';

/** Where fields of the graph begin that are not to be read, and a second ModelProto: a message that occurs twice is merged. */
export type Edits = { dropped: readonly number[]; added: Uint8Array };

/** A tensor that the runtime is asked for, the output as which it is given, and the class labels of its columns. */
type Fetch = { name: string; tensor: string; labels?: string[] };

/** What to ask for the outputs: of ZipMaps and sequences, which the runtime cannot return, the tensors of which they are made. */
export function fetchesOf({ graph }: OnnxFile) {
  return graph.outputs.flatMap(({ name }): Fetch[] => {
    const maker = graph.nodes.find(({ outputs }) => outputs[0] === name);
    if (maker?.op === 'SequenceConstruct')
      return maker.inputs.map((tensor, i) => ({ name: `${name}_${i}`, tensor }));
    if (maker?.op !== 'ZipMap') return [{ name, tensor: name }];
    // Its attributes, classlabels_strings or classlabels_int64s.
    const lists = [...maker.attributes.values()].flatMap(({ strings, ints }) => [...strings, ...ints]);
    return [{ name, tensor: maker.inputs[0], labels: lists.map(String) }];
  });
}

/** The edits of a file, if any: what is fetched takes the place of the outputs, and texts are normalized in any locale. */
export function editsFor(file: OnnxFile): Edits | undefined {
  const { outputs, nodes } = file.graph;
  const fetched = new Set(fetchesOf(file).map(({ tensor }) => tensor));
  const replaced = outputs.filter(({ name }) => !fetched.has(name));
  const missing = [...fetched].filter((tensor) => !outputs.some(({ name }) => name === tensor));
  // The default locale, en_US.UTF-8, is absent from slim images.
  const unlocalized = nodes.filter((one) => one.op === 'StringNormalizer' && !one.attributes.has('locale'));
  // The runtime refuses ZipMaps of doubles.
  const zipMaps = nodes.filter(({ op, inputs }) => op === 'ZipMap' && fetched.has(inputs[0]));
  const dropped = [...replaced, ...zipMaps, ...unlocalized].map(({ field }) => field.start);
  // GraphProto.node is 1 and .output 12; ValueInfoProto.name 1. One without a type: the runtime infers it.
  const graph = [
    ...unlocalized.map((node) => withLocale(file.path, node)),
    ...missing.map((tensor) => messageField(12, messageField(1, tensor))),
  ];
  // onnx 1.23 writes 14, in which float6 is new; onnxruntime 1.30 reads up to 13. ModelProto.ir_version is 1; of two, the last counts.
  const model = file.irVersion === 14 ? [integerField(1, 13)] : [];
  if (graph.length > 0) model.push(messageField(7, ...graph));
  return dropped.length + model.length > 0 ? { dropped, added: Buffer.concat(model) } : undefined;
}

function withLocale(path: string, { field: { from, to } }: Node): Buffer {
  const bytes = readBytes(path, from, to);
  // NodeProto.attribute is 5; AttributeProto.name 1, .s 4, and .type 20, of which 3 is STRING.
  const locale = [messageField(1, 'locale'), messageField(4, 'C.UTF-8'), integerField(20, 3)];
  return messageField(1, bytes, messageField(5, ...locale));
}

/** The bytes of a file after its edits. */
export function applyEdits(path: string, { dropped, added }: Edits): Buffer {
  // Read into their place: joined to what is added, a file of 300 MB makes the boot's peak 935 MB in place of 648.
  const bytes = readBytes(path, 0, undefined, added.length);
  // GraphProto has no field 3, so that whatever has a length is skipped under that number.
  for (const start of dropped) bytes[start] = 3 * 8 + 2;
  bytes.set(added, bytes.length - added.length);
  return bytes;
}
