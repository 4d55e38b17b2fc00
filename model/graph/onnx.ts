import { closeSync, openSync, statSync } from 'node:fs';
import { BootError } from '../errors';
import { sizeOf } from '../values/tensor';
import {
  AttributeProto,
  DataType,
  Dimension,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  StringStringEntryProto,
  TensorProto,
  TensorShapeProto,
  TensorType,
  TypeProto,
  ValueInfoProto,
} from './onnx-proto';
import { type Field, ProtobufFile } from './protobuf';

// A model file as plain data. Nothing here judges it.

/** A model file, without the values of its large tensors. */
export interface OnnxFile {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly opsets: { domain: string; version: number }[];
  readonly graph: Graph;
  /** Where the graph stands in the file. */
  readonly graphField: Field;
  /** Model-local functions. */
  readonly functions: { domain: string; name: string; nodes: Node[] }[];
  /** The model's own `metadata_props`. */
  readonly metadata: Map<string, string>;
}

export interface Graph {
  readonly inputs: Value[];
  readonly outputs: Value[];
  /** In the order in which they may run. */
  readonly nodes: Node[];
  readonly initializers: StoredTensor[];
}

/** What is declared of an input or output. */
export interface Value {
  readonly name: string;
  /** Its TensorProto.DataType; undefined for what is not a tensor. */
  readonly type?: number;
  /** NaN for an open length; undefined where the rank is unknown. */
  readonly dims?: number[];
  readonly field: Field;
}

export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  /** The names of its operands; '' for one that is left out. */
  readonly inputs: string[];
  readonly outputs: string[];
  readonly attributes: Map<string, Attribute>;
  readonly field: Field;
}

/** An attribute's value; of a list of floats, how many they are. Other lists end after `mostIntegers` or `mostStrings`. */
export interface Attribute {
  /** 0 where it has none: some writers leave zeros out. */
  i: bigint;
  s: string;
  ints: bigint[];
  strings: string[];
  floats: number;
  tensor?: StoredTensor;
  graph?: Graph;
}

export interface StoredTensor {
  readonly name: string;
  readonly dims: number[];
  /** The values of a small tensor of int32 or int64. */
  readonly integers?: number[];
  /** The file that holds its values, where that is another. */
  readonly location?: string;
}

/** Longer lists are of trees or vocabularies, of which nobody here needs more than the beginning. */
export const mostIntegers = 10_000;
export const mostStrings = 100_000;
/** Larger tensors hold weights. */
const smallTensorBytes = 4096;

/** Reads a model file. Throws BootError for what is none. */
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
  try {
    return new Reader(new ProtobufFile(file, stat?.size ?? 0)).model(path);
  } catch (error) {
    if (error instanceof RangeError) throw new BootError(`${path} is not an ONNX model.`);
    throw error;
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

class Reader {
  constructor(private readonly file: ProtobufFile) {}

  model(path: string): OnnxFile {
    const { file } = this;
    const graph: Graph = { inputs: [], outputs: [], nodes: [], initializers: [] };
    const opsets: OnnxFile['opsets'] = [];
    const functions: OnnxFile['functions'] = [];
    const metadata = new Map<string, string>();
    let graphField: Field | undefined;
    for (const field of file.fields(0, file.size)) {
      switch (field.number) {
        case ModelProto.graph:
          // A message that occurs twice is merged.
          graphField ??= field;
          this.addTo(graph, field);
          break;
        case ModelProto.opsetImport: {
          const version = this.integerIn(field, OperatorSetIdProto.version);
          opsets.push({ domain: file.textIn(field, OperatorSetIdProto.domain), version });
          break;
        }
        case ModelProto.metadataProps:
          metadata.set(...this.entry(field));
          break;
        case ModelProto.functions:
          functions.push(this.function(field));
      }
    }
    if (!graphField) throw new RangeError('no graph');
    return { path, size: file.size, opsets, graph, graphField, functions, metadata };
  }

  private function(field: Field): OnnxFile['functions'][number] {
    const { file } = this;
    const nodes = [...file.parts(field, FunctionProto.node)].map((node) => this.node(node));
    return {
      domain: file.textIn(field, FunctionProto.domain),
      name: file.textIn(field, FunctionProto.name),
      nodes,
    };
  }

  private addTo({ inputs, outputs, nodes, initializers }: Graph, { from, to }: Field): void {
    for (const part of this.file.fields(from, to)) {
      if (part.number === GraphProto.node) nodes.push(this.node(part));
      if (part.number === GraphProto.initializer) initializers.push(this.tensor(part));
      if (part.number === GraphProto.input) inputs.push(this.value(part));
      if (part.number === GraphProto.output) outputs.push(this.value(part));
    }
  }

  private node(field: Field): Node {
    const { file } = this;
    const texts = { op: '', domain: '', name: '' };
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    for (const part of file.fields(field.from, field.to)) {
      if (part.number === NodeProto.input) inputs.push(file.text(part));
      if (part.number === NodeProto.output) outputs.push(file.text(part));
      if (part.number === NodeProto.name) texts.name = file.text(part);
      if (part.number === NodeProto.opType) texts.op = file.text(part);
      if (part.number === NodeProto.domain) texts.domain = file.text(part);
      if (part.number === NodeProto.attribute) {
        // Only a Constant may have one twice; the runtime reads the first.
        const name = file.textIn(part, AttributeProto.name);
        if (!attributes.has(name)) attributes.set(name, this.attribute(part));
      }
    }
    return { ...texts, inputs, outputs, attributes, field };
  }

  private attribute({ from, to }: Field): Attribute {
    const { file } = this;
    const value: Attribute = { i: 0n, s: '', ints: [], strings: [], floats: 0 };
    for (const part of file.fields(from, to)) {
      if (part.number === AttributeProto.i) [value.i] = file.varints(part);
      if (part.number === AttributeProto.s) value.s = file.text(part);
      if (part.number === AttributeProto.t) value.tensor = this.tensor(part);
      if (part.number === AttributeProto.ints) value.ints.push(...file.varints(part));
      // Packed or not, each has four bytes.
      if (part.number === AttributeProto.floats) value.floats += (part.to - part.from) / 4;
      if (part.number === AttributeProto.strings) value.strings.push(file.text(part));
      if (part.number === AttributeProto.g) {
        value.graph = { inputs: [], outputs: [], nodes: [], initializers: [] };
        this.addTo(value.graph, part);
      }
      if (value.ints.length >= mostIntegers || value.strings.length >= mostStrings) break;
    }
    return value;
  }

  private tensor(field: Field): StoredTensor {
    const { file } = this;
    const dims = [...file.parts(field, TensorProto.dims)].flatMap((part) => file.varints(part).map(Number));
    const entries = [...file.parts(field, TensorProto.externalData)].map((part) => this.entry(part));
    const integers = this.integers(field);
    return {
      name: file.textIn(field, TensorProto.name),
      dims,
      ...(integers?.length === sizeOf(dims) && { integers }),
      location: new Map(entries).get('location'),
    };
  }

  /** The numbers of a small tensor of int32 or int64. */
  private integers(tensor: Field): number[] | undefined {
    const { file } = this;
    if (tensor.to - tensor.from > smallTensorBytes) return undefined;
    const type = this.integerIn(tensor, TensorProto.dataType);
    if (type !== DataType.int32 && type !== DataType.int64) return undefined;
    const { int32Data, int64Data, rawData } = TensorProto;
    return [...file.fields(tensor.from, tensor.to)].flatMap((part) => {
      if (part.number === int32Data || part.number === int64Data) return file.varints(part).map(Number);
      if (part.number !== rawData) return [];
      const bytes = Buffer.from(file.bytes(part.from, part.to));
      const view = type === DataType.int64 ? BigInt64Array : Int32Array;
      return Array.from(new view(new Uint8Array(bytes).buffer), Number);
    });
  }

  private value(field: Field): Value {
    const { file } = this;
    const name = file.textIn(field, ValueInfoProto.name);
    for (const type of file.parts(field, ValueInfoProto.type, TypeProto.tensorType)) {
      const [shape] = file.parts(type, TensorType.shape);
      const dims = shape && [...file.parts(shape, TensorShapeProto.dim)].map((dim) => this.lengthOf(dim));
      return { name, type: this.integerIn(type, TensorType.elemType), dims, field };
    }
    return { name, field };
  }

  /** The length of a dimension; NaN where it is open, which some exporters write as -1. */
  private lengthOf(dim: Field): number {
    const length = this.integerIn(dim, Dimension.dimValue, -1);
    return length < 0 ? Number.NaN : length;
  }

  private entry(field: Field): [key: string, value: string] {
    const { key, value } = StringStringEntryProto;
    return [this.file.textIn(field, key), this.file.textIn(field, value)];
  }

  private integerIn(field: Field, number: number, otherwise = 0): number {
    for (const part of this.file.parts(field, number)) return Number(this.file.varints(part)[0]);
    return otherwise;
  }
}
