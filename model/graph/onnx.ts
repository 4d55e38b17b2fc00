import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import { sizeOf } from '../values/tensor';
import { Message } from './protobuf';

// The numbers are those of the fields in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

/** A model file, without the values of its large tensors. */
export type OnnxFile = ReturnType<typeof readOnnx>;

interface Graph extends ReturnType<typeof readGraph> {}

export interface Node extends ReturnType<typeof readNode> {}

/** Longer lists are of trees or vocabularies, of which nobody here needs more than the beginning. */
export const mostIntegers = 10_000;
export const mostStrings = 100_000;
/** Larger tensors hold weights: bytes, and integers of other encodings. */
const mostOfTensor = 4096;

/** Linux reads no more at once: https://man7.org/linux/man-pages/man2/read.2.html */
const mostReadBytes = 0x7ffff000;

/** What else a file is, by its first bytes as text or in hexadecimal digits, and what to do. */
const formats: [RegExp, string][] = [
  [/^$/, 'empty: copy it again'],
  [/^version https:\/\/git-lfs/, 'a Git LFS pointer, which stands for the file: run git lfs pull'],
  [/^\s*<(!doctype|html|head|\?xml)/i, 'a web page, perhaps for signing in: download the file itself'],
  // A ModelProto begins with its ir_version.
  [/^0x08/, 'cut short or damaged: copy it again'],
  // joblib compresses as zlib does.
  [/^0x(80|78(01|5e|9c|da))/, 'a pickle (joblib): python model/convert.py makes an ONNX model of it'],
  [/^0x1f8b/, 'compressed by gzip: gunzip it'],
];

/** Reads a model file. Throws BootError for what is not a model. */
export function readOnnx(path: string) {
  const stat = statSync(path, { throwIfNoEntry: false });
  // A pipe would be waited for.
  if (!stat?.isFile()) {
    const problem = stat ? 'it is not a file' : 'there is no such file';
    throw new BootError(`${path}: ${problem}. Give the path of an ONNX file: npm start path/to/model.onnx`);
  }
  const bytes = readBytes(path);
  try {
    const whole = { number: 0, start: 0, from: 0, to: bytes.length };
    const model = readModel(new Message(bytes, [whole]));
    checkWeights(path, model.graph);
    return { path, size: bytes.length, changed: stat.mtimeMs, ...model };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const beginning = bytes.subarray(0, 64);
    const format = formatOf(beginning.toString()) ?? formatOf(`0x${beginning.toString('hex')}`);
    throw new BootError(`${path} is not an ONNX model${format ? `: it is ${format}` : ''}.`);
  } finally {
    // Before the runtime loads the model: else one of 300 MB makes the boot's peak 975 MB in place of 676.
    bytes.buffer.transfer?.(0);
  }
}

function formatOf(beginning: string): string | undefined {
  return formats.find(([pattern]) => pattern.test(beginning))?.[1];
}

/** Throws BootError where a text stands in place of weights in a file of their own: it would be read as numbers. */
function checkWeights(path: string, { initializers }: Graph): void {
  for (const location of new Set(initializers.flatMap(({ location }) => location ?? []))) {
    const file = join(dirname(path), location);
    const format = existsSync(file) ? formatOf(readBytes(file, 0, 64).toString()) : undefined;
    if (format) throw new BootError(`${path}: its weights, ${location}, are ${format}.`);
  }
}

/** The bytes of a part of a file, as many as one read gives, with room behind them. Throws RangeError where it ends early. */
export function readBytes(path: string, from = 0, to = mostReadBytes, room = 0): Buffer<ArrayBuffer> {
  const size = Math.min(statSync(path).size, to) - from;
  const bytes = Buffer.allocUnsafeSlow(size + room);
  const file = openSync(path, 'r');
  const read = readSync(file, bytes, 0, size, from);
  closeSync(file);
  if (read < size) throw new RangeError('the file ended early');
  return bytes;
}

/** All nodes of a model: those of its graph, of bodies inside, and of functions. */
export function* allNodes({ graph, functions }: Pick<OnnxFile, 'graph' | 'functions'>): Generator<Node> {
  for (const node of [...graph.nodes, ...functions.flatMap(({ nodes }) => nodes)]) {
    yield node;
    for (const { graph } of node.attributes.values()) if (graph) yield* allNodes({ graph, functions: [] });
  }
}

function readModel(model: Message) {
  const graph = model.message(7);
  if (!graph) throw new RangeError('a model without a graph');
  return {
    irVersion: model.integer(1),
    graph: readGraph(graph),
    opsets: model.messages(8).map((opset) => ({ domain: opset.text(1), version: opset.integer(2) })),
    metadata: textsOf(model.messages(14)),
    functions: model.messages(25).map((one) => {
      return { name: one.text(1), nodes: one.messages(7).map(readNode), domain: one.text(10) };
    }),
  };
}

function readGraph(graph: Message) {
  return {
    /** In the order in which they may run. */
    nodes: graph.messages(1).map(readNode),
    initializers: graph.messages(5).map(readTensor),
    inputs: graph.messages(11).map(readValueInfo),
    outputs: graph.messages(12).map(readValueInfo),
  };
}

function readNode(node: Message) {
  const most = { 7: mostIntegers, 8: mostIntegers, 9: mostStrings };
  const attributes = node.messages(5, most).map(readAttribute);
  return {
    /** The names of its operands; '' for one that is left out. */
    inputs: node.texts(1),
    outputs: node.texts(2),
    name: node.text(3),
    op: node.text(4),
    // Only a Constant may have one twice; the runtime reads the first.
    attributes: new Map(attributes.toReversed().map((one) => [one.name, one])),
    domain: node.text(7),
    field: node.field,
  };
}

function readAttribute(attribute: Message) {
  const bodies = attribute.messages(6).map((body): Graph => readGraph(body));
  return {
    name: attribute.text(1),
    i: attribute.integer(3),
    s: attribute.text(4),
    tensor: attribute.messages(5).map(readTensor).at(-1),
    graph: bodies.at(-1),
    ints: attribute.integers(8, mostIntegers),
    strings: attribute.texts(9),
  };
}

function readTensor(tensor: Message) {
  const [dims, int32s, int64s] = [1, 5, 7].map((list) => tensor.integers(list, mostOfTensor).map(Number));
  const { buffer } = tensor.copy(9, mostOfTensor);
  // TensorProto.DataType: 6 is int32, 7 int64.
  const Integers = { 6: Int32Array, 7: BigInt64Array }[tensor.integer(2)];
  const integers = Integers && [...new Integers(buffer)].map(Number).concat(int32s, int64s);
  return {
    name: tensor.text(8),
    dims,
    /** The values of a small tensor of int32 or int64. */
    integers: integers?.length === sizeOf(dims) ? integers : undefined,
    /** The file that holds its values, where that is another. */
    location: textsOf(tensor.messages(13)).get('location'),
  };
}

function textsOf(entries: readonly Message[]): Map<string, string> {
  return new Map(entries.map((entry) => [entry.text(1), entry.text(2)]));
}

/** No dimensions where its rank is unknown, or it is not a tensor. */
function readValueInfo(value: Message) {
  const lengths = value.message(2)?.message(1)?.message(2)?.messages(1);
  return {
    name: value.text(1),
    /** Below 0 where they are open. */
    dims: lengths?.map((length) => Number(length.integers(1).at(-1) ?? -1)),
    field: value.field,
  };
}
