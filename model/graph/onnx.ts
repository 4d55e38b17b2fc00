import { closeSync, openSync, statSync } from 'node:fs';
import { BootError } from '../errors';
import { sizeOf } from '../values/tensor';
import { formatAt } from './mistaken';
import { ProtobufFile } from './protobuf';
import {
  bigint,
  bytes,
  integer,
  integers,
  list,
  mapped,
  message,
  only,
  optional,
  positioned,
  text,
  texts,
} from './reader';

// A model file as plain data. Nothing here judges it.

/** A model file, without the values of its large tensors. */
export interface OnnxFile extends ReturnType<typeof model> {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
}

export interface Graph {
  readonly inputs: Value[];
  readonly outputs: Value[];
  /** In the order in which they may run. */
  readonly nodes: Node[];
  readonly initializers: ReturnType<typeof tensor>[];
  /** Their values. */
  readonly sparseInitializers: ReturnType<typeof tensor>[];
}

/** What is declared of an input or output. */
export type Value = ReturnType<typeof value>;

export interface Node extends ReturnType<typeof node> {}

/** Longer lists are of trees or vocabularies, of which nobody here needs more than the beginning. */
export const mostIntegers = 10_000;
export const mostStrings = 100_000;
/** Larger tensors hold weights. */
const smallTensorBytes = 4096;

/** Reads a model file. Throws BootError for what is not a model. */
export function readOnnx(path: string): OnnxFile {
  const stat = statSync(path, { throwIfNoEntry: false });
  // A pipe would be waited for.
  if (stat && !stat.isFile()) throw new BootError(`${path} is not a file. Give the path of an ONNX file.`);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    const why = stat ? 'it cannot be read' : 'there is no such file';
    throw new BootError(`${path}: ${why}. Give the path of an ONNX file: npm start path/to/model.onnx`);
  }
  const size = stat?.size ?? 0;
  try {
    const whole = { number: 0, start: 0, lengthAt: 0, from: 0, to: size };
    return { path, size, ...model(new ProtobufFile(file), [whole]) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const format = formatAt(path);
    throw new BootError(`${path} is not an ONNX model${format ? `: it is ${format}` : ''}.`);
  } finally {
    closeSync(file);
  }
}

/** All nodes of a model: those of its graph, of bodies inside, and of functions. */
export function* allNodes({ graph, functions }: OnnxFile): Generator<Node> {
  yield* nodesWithin(graph.nodes);
  for (const { nodes } of functions) yield* nodesWithin(nodes);
}

function* nodesWithin(nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node;
    for (const { graph } of node.attributes.values()) if (graph) yield* nodesWithin(graph.nodes);
  }
}

// The messages of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, as far as they are needed.

const strings = mapped(
  list(message({ key: [1, text], value: [2, text] })),
  (entries) => new Map(entries.map(({ key, value }) => [key, value])),
);

const tensor = mapped(
  message({
    dims: [1, integers(mostIntegers)],
    type: [2, integer],
    int32s: [5, integers(mostIntegers)],
    int64s: [7, integers(mostIntegers)],
    name: [8, text],
    raw: [9, bytes(smallTensorBytes)],
    external: [13, strings],
  }),
  ({ type, raw, external, name, ...lists }) => {
    const dims = lists.dims.map(Number);
    const values = integersIn(raw, type)?.concat(lists.int32s.map(Number), lists.int64s.map(Number));
    return {
      name,
      dims,
      /** The values of a small tensor of int32 or int64. */
      integers: values?.length === sizeOf(dims) ? values : undefined,
      /** The file that holds its values, where that is another. */
      location: external.get('location'),
    };
  },
);

/** The values of a tensor whose TensorProto.DataType is int32 or int64. */
function integersIn(raw: Buffer, type: number): number[] | undefined {
  const { buffer } = new Uint8Array(raw);
  if (type === 6) return Array.from(new Int32Array(buffer));
  return type === 7 ? Array.from(new BigInt64Array(buffer), Number) : undefined;
}

/** NaN where it is open, which some exporters write as -1. */
const length = mapped(only(1, optional(integer)), (length = -1) => (length < 0 ? Number.NaN : length));

/** A TensorProto.DataType; no dimensions where the rank is unknown. */
const tensorType = message({ type: [1, integer], dims: [2, optional(only(1, list(length)))] });

/** Without a type where it is not a tensor. */
const value = mapped(
  positioned(message({ name: [1, text], tensor: [2, only(1, optional(tensorType))] })),
  ({ name, tensor, field }) => ({ name, type: tensor?.type, dims: tensor?.dims, field }),
);

/** `i` is 0 where it has none: some writers leave zeros out. */
const attribute = message(
  {
    name: [1, text],
    i: [3, bigint],
    s: [4, text],
    tensor: [5, optional(tensor)],
    graph: [6, (file, fields): Graph | undefined => optional(graph)(file, fields)],
    // How many: packed or not, each has four bytes.
    floats: [7, (_file, fields) => fields.reduce((count, { from, to }) => count + (to - from) / 4, 0)],
    ints: [8, integers(mostIntegers)],
    strings: [9, texts],
  },
  // The first are its floats.
  { 7: mostIntegers, 8: mostIntegers, 9: mostStrings },
);

const node = positioned(
  message({
    // The names of its operands; '' for one that is left out.
    inputs: [1, texts],
    outputs: [2, texts],
    name: [3, text],
    op: [4, text],
    // Only a Constant may have one twice; the runtime reads the first.
    attributes: [
      5,
      mapped(list(attribute), (all) => new Map(all.toReversed().map((one) => [one.name, one]))),
    ],
    domain: [7, text],
  }),
);

const graph = message({
  nodes: [1, list(node)],
  initializers: [5, list(tensor)],
  sparseInitializers: [15, list(only(1, tensor))],
  inputs: [11, list(value)],
  outputs: [12, list(value)],
});

/** With the functions that it brings, and its own `metadata_props`. */
const model = message({
  irVersion: [1, integer],
  graph: [7, positioned(graph)],
  opsets: [8, list(message({ domain: [1, text], version: [2, integer] }))],
  metadata: [14, strings],
  functions: [25, list(message({ name: [1, text], nodes: [7, list(node)], domain: [10, text] }))],
});
