import { closeSync, openSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import { type Categories, type ColumnNode, columnOperators, encoders, findCategories } from './categories';
import { type Changes, type Edit, editsFor } from './edits';
import {
  AttributeProto,
  Dimension,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  StringStringEntryProto,
  TensorProto,
  TensorShapeProto,
  TensorType,
  TypeProto,
  ValueInfoProto,
} from './onnx-proto';
import { type Field, ProtobufFile } from './protobuf';

/** What a model file states that the runtime does not tell. */
export interface Graph {
  /** The names of the outputs, in the file's order. */
  outputs: string[];
  /** Outputs that the runtime cannot return, ZipMaps and sequences, and the tensors of which each is made. */
  madeOf: Map<string, TensorOutput[]>;
  /** Why requests can never share runs: an answer would not be the one given alone. */
  mixesRows?: string;
  /** Whether values, or lengths that are open, decide how much there is to compute for a row, or it is likely to be much. */
  mayBeSlow: boolean;
  categories: Categories;
  /** Some strings that the model knows, from its encoders' and vocabularies' tables. */
  words: string[];
  /** The model's own `metadata_props`. */
  metadata: Map<string, string>;
  /** Bytes of the model and of its external data. */
  size: number;
  /** What the runtime needs changed in the file, to serve it. */
  edits: Edit[];
}

/** A tensor that stands in an output's place. */
interface TensorOutput {
  name: string;
  tensor: string;
  /** The class labels of its columns. */
  labels?: string[];
}

const random = /^(Random(Normal|Uniform)(Like)?|Multinomial|Bernoulli)$/;
const scaledByAll = /^DynamicQuantize(Linear|MatMul|LSTM)$/;
const slow =
  /^(.*Conv.*|GRU|LSTM|RNN|.*Attention.*|Loop|Scan|Range|Expand|Tile|ConstantOfShape|Resize|Upsample|OneHot|Pad|CenterCropPad|NonZero|NonMaxSuppression)$/;
const tables = /^(OneHotEncoder|LabelEncoder|TfIdfVectorizer|CategoryMapper)$/;
const withBodies = /^(If|Loop|Scan|SequenceMap)$/;
/** From a ValueInfoProto to what it says of a tensor. */
const tensorType = [ValueInfoProto.type, TypeProto.tensorType] as const;

// Element types that the runtime cannot load, cannot run, or dies of (TensorProto.DataType).
const unservable: Record<number, string> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

/** Reads what the runtime does not tell of a model file. Throws BootError for one that cannot be served. */
export function readGraph(path: string): Graph {
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
    return new GraphReader(new ProtobufFile(file, stat?.size ?? 0), path).graph;
  } catch (error) {
    if (error instanceof RangeError) throw new BootError(`${path} is not an ONNX model.`);
    throw error;
  } finally {
    closeSync(file);
  }
}

interface Node {
  field: Field;
  op: string;
  inputs: string[];
  outputs: string[];
  /** The attributes by name. */
  attributes: Map<string, Field>;
}

class GraphReader {
  readonly graph: Graph;
  private readonly locations = new Set<string>();
  /** The nodes of the main graph that may give what the runtime cannot return. */
  private readonly makers: Node[] = [];
  private readonly columnNodes: ColumnNode[] = [];
  /** How many columns each input has. */
  private readonly widths = new Map<string, number>();
  /** The integers of small tensors in the file. */
  private readonly indices = new Map<string, number[]>();
  private readonly changes: Changes = { withoutLocale: [], removed: [], added: new Set() };
  private readonly outputFields = new Map<string, Field>();
  /** The tensors that nodes read. */
  private readonly read = new Set<string>();

  constructor(
    private readonly file: ProtobufFile,
    private readonly path: string,
  ) {
    this.graph = {
      outputs: [],
      madeOf: new Map(),
      mayBeSlow: false,
      categories: new Map(),
      words: [],
      metadata: new Map(),
      size: file.size,
      edits: [],
    };
    const fields = [...file.fields(0, file.size)];
    const main = fields.find((field) => field.number === ModelProto.graph);
    if (!main) throw new BootError(`${path} is not an ONNX model.`);
    this.readNodes(main, true);
    for (const field of fields) {
      if (field.number === ModelProto.metadataProps) this.graph.metadata.set(...this.readEntry(field));
      if (field.number === ModelProto.functions) {
        for (const node of file.parts(field, FunctionProto.node)) this.readNode(node, false);
      }
    }
    this.graph.categories = findCategories(this.columnNodes, this.widths, this.indices);
    this.findExternalData();
    for (const node of this.makers) this.replaceOutput(node);
    this.graph.edits = editsFor(file, main, this.changes);
  }

  private readNodes(graph: Field, isMain: boolean): void {
    for (const field of this.file.fields(graph.from, graph.to)) {
      if (field.number === GraphProto.node) this.readNode(field, isMain);
      if (field.number === GraphProto.initializer) {
        this.readInitializer(field);
        if (isMain) this.readIndices(field);
      }
      if (isMain && field.number === GraphProto.input) {
        this.widths.set(this.checkType(field, 'input'), this.widthOf(field));
        if (this.hasOpenRow(field)) this.graph.mayBeSlow = true;
      }
      if (isMain && field.number === GraphProto.output) {
        const name = this.checkType(field, 'output');
        this.graph.outputs.push(name);
        this.outputFields.set(name, field);
      }
    }
  }

  private readNode(field: Field, isMain: boolean): void {
    const { file, graph } = this;
    const node: Node = { field, op: '', inputs: [], outputs: [], attributes: new Map() };
    for (const part of file.fields(field.from, field.to)) {
      if (part.number === NodeProto.input) node.inputs.push(file.text(part));
      if (part.number === NodeProto.output) node.outputs.push(file.text(part));
      if (part.number === NodeProto.opType) node.op = file.text(part);
      if (part.number === NodeProto.attribute)
        node.attributes.set(file.textIn(part, AttributeProto.name), part);
    }
    for (const tensor of node.inputs) this.read.add(tensor);
    graph.mixesRows ??= this.whyRowsMix(node);
    if (slow.test(node.op)) graph.mayBeSlow = true;
    if (isMain && /^(ZipMap|SequenceConstruct)$/.test(node.op)) this.makers.push(node);
    if (isMain && columnOperators.test(node.op))
      this.columnNodes.push({ ...node, known: this.knownTo(node) });
    if (node.op === 'StringNormalizer' && isMain && !node.attributes.has('locale'))
      this.changes.withoutLocale.push(field);
    if (tables.test(node.op)) this.readWords(node);
    for (const attribute of node.attributes.values()) {
      if (node.op === 'Constant')
        for (const tensor of file.parts(attribute, AttributeProto.t)) this.readInitializer(tensor);
      if (withBodies.test(node.op))
        for (const body of file.parts(attribute, AttributeProto.g)) this.readNodes(body, false);
    }
  }

  private whyRowsMix({ op, inputs, attributes }: Node): string | undefined {
    if (random.test(op)) return `${op} gives other numbers at each run`;
    if (scaledByAll.test(op)) return `${op} scales by all rows of a run`;
    const mode = attributes.get('training_mode');
    const trains = mode
      ? [...this.file.parts(mode, AttributeProto.i)].some(({ value }) => value === 1)
      : false;
    // Dropout's third input says whether it trains; one is only written where it does, or may.
    if (trains || (op === 'Dropout' && inputs[2])) return `${op} is in training mode`;
    return undefined;
  }

  /** Notes what an encoder or a vocabulary knows. */
  private readWords({ attributes }: Node): void {
    const { words } = this.graph;
    for (const attribute of attributes.values()) {
      for (const part of this.file.parts(attribute, AttributeProto.strings)) {
        if (words.length < 64) words.push(this.file.text(part));
      }
    }
  }

  /** The first category that an encoder knows. */
  private knownTo({ op, attributes }: Node): string | number | undefined {
    if (!encoders.test(op)) return undefined;
    const lists = ['cats_strings', 'keys_strings', 'cats_int64s', 'keys_int64s'];
    const [known] = lists.flatMap((name) => this.listOf(attributes.get(name)));
    return typeof known === 'bigint' ? Number(known) : known;
  }

  /** Notes the values of a small tensor of int64, by its name. */
  private readIndices(tensor: Field): void {
    const { file } = this;
    if (tensor.to - tensor.from > 4096) return;
    const values: number[] = [];
    let isInt64 = false;
    for (const part of file.fields(tensor.from, tensor.to)) {
      if (part.number === TensorProto.dataType) isInt64 = part.value === 7;
      if (part.number === TensorProto.int64Data) values.push(...this.file.varints(part).map(Number));
      if (part.number === TensorProto.rawData) {
        const bytes = file.bytes(part.from, part.to);
        for (let at = 0; at + 8 <= bytes.length; at += 8) values.push(Number(bytes.readBigInt64LE(at)));
      }
    }
    if (isInt64) this.indices.set(file.textIn(tensor, TensorProto.name), values);
  }

  private readEntry(entry: Field): [string, string] {
    const { key, value } = StringStringEntryProto;
    return [this.file.textIn(entry, key), this.file.textIn(entry, value)];
  }

  /** Notes the file of a tensor whose data lies outside the model. */
  private readInitializer(tensor: Field): void {
    for (const entry of this.file.parts(tensor, TensorProto.externalData)) {
      const [key, value] = this.readEntry(entry);
      if (key === 'location') this.locations.add(value);
    }
  }

  private findExternalData(): void {
    for (const location of this.locations) {
      const stat = statSync(join(dirname(this.path), location), { throwIfNoEntry: false });
      if (!stat) {
        throw new BootError(
          `${this.path} keeps its weights in ${location}, which is missing: put that file beside it.`,
        );
      }
      this.graph.size += stat.size;
    }
  }

  /** The name of a ValueInfoProto. Throws BootError where its type cannot be served. */
  private checkType(info: Field, what: 'input' | 'output'): string {
    const name = this.file.textIn(info, ValueInfoProto.name);
    for (const { value } of this.file.parts(info, ...tensorType, TensorType.elemType)) {
      if (value in unservable) {
        throw new BootError(
          `${this.path}: the ${what} ${name} is ${unservable[value]}, which cannot be served: export the model with float32 or int8.`,
        );
      }
    }
    return name;
  }

  /** The number of columns: one of a list, those of a matrix; 0 for anything else. */
  private widthOf(info: Field): number {
    for (const shape of this.file.parts(info, ...tensorType, TensorType.shape)) {
      const dims = [...this.file.parts(shape, TensorShapeProto.dim)];
      if (dims.length === 1) return 1;
      if (dims.length === 2) return this.lengthOf(dims[1]) ?? 0;
    }
    return 0;
  }

  /** Whether a dimension behind the first is open, or all are unknown. */
  private hasOpenRow(info: Field): boolean {
    const { file } = this;
    for (const shape of file.parts(info, ...tensorType, TensorType.shape)) {
      const dims = [...file.parts(shape, TensorShapeProto.dim)];
      return dims.slice(1).some((dim) => this.lengthOf(dim) === undefined);
    }
    return true;
  }

  /** The length of a dimension; undefined where it is open, which some exporters write as -1. */
  private lengthOf(dim: Field): number | undefined {
    for (const { value } of this.file.parts(dim, Dimension.dimValue)) if (value < 2 ** 31) return value;
    return undefined;
  }

  /** The strings or the integers of an attribute. */
  private listOf(attribute: Field | undefined): (string | bigint)[] {
    if (!attribute) return [];
    const strings = [...this.file.parts(attribute, AttributeProto.strings)].map((part) =>
      this.file.text(part),
    );
    const integers = [...this.file.parts(attribute, AttributeProto.ints)];
    return [...strings, ...integers.flatMap((part) => this.file.varints(part))];
  }

  /** Notes the tensors that stand in the place of an output which the runtime cannot return, and what to change for it. */
  private replaceOutput({ op, field, inputs, outputs, attributes }: Node): void {
    const [output] = outputs;
    const outputField = this.outputFields.get(output);
    if (!outputField) return;
    const labels = this.listOf(
      attributes.get('classlabels_strings') ?? attributes.get('classlabels_int64s'),
    ).map(String);
    const tensors = inputs.map(
      (tensor, i): TensorOutput =>
        op === 'ZipMap'
          ? { name: output, tensor, ...(labels.length > 0 && { labels }) }
          : { name: `${output}_${i}`, tensor },
    );
    this.graph.madeOf.set(output, tensors);
    const { removed, added } = this.changes;
    removed.push(outputField);
    if (!this.read.has(output)) removed.push(field);
    for (const { tensor } of tensors) if (!this.outputFields.has(tensor)) added.add(tensor);
  }
}
