import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from './errors';
import { type Field, message, number, ProtobufFile, varint } from './protobuf';

// Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

/** What a model file states that the runtime does not tell. */
export interface Graph {
  /** ZipMap outputs: the tensor that feeds each, and the class labels of its columns. */
  zipMaps: Map<string, { tensor: string; labels: string[] }>;
  /** The tensors that are outputs only because a ZipMap needs them. */
  hidden: Set<string>;
  /** Whether rows of one run can never be told apart from rows run alone: a random operator, or a scale over all rows. */
  mixesRows: boolean;
  /** Whether it holds an operator that ends the process when an input is empty. */
  diesOfEmpty: boolean;
  /** Whether runs may take long: they are convolutions or recurrent, or values decide how much there is to do. */
  mayBeSlow: boolean;
  /** Some strings that the model knows, from its encoders' and vocabularies' tables. */
  words: string[];
  /** Bytes of the model and of its external data. */
  size: number;
}

const mixing =
  /^(Random(Normal|Uniform)(Like)?|Multinomial|Bernoulli|DynamicQuantizeLinear|DynamicQuantizeMatMul|DynamicQuantizeLSTM)$/;
const slow =
  /^(.*Conv.*|GRU|LSTM|RNN|.*Attention.*|Loop|Range|Expand|Tile|ConstantOfShape|Resize|Upsample|OneHot|Pad|CenterCropPad)$/;
const tables = /^(OneHotEncoder|LabelEncoder|TfIdfVectorizer|CategoryMapper)$/;

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
  return withReader(path, (reader) => reader.graph);
}

/** The file's bytes with what the runtime needs to serve it, or undefined where it can load the file as it is. */
export function patchModel(path: string): Buffer | undefined {
  return withReader(path, (reader) => reader.patch());
}

function withReader<T>(path: string, use: (reader: GraphReader) => T): T {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'it cannot be read';
    throw new BootError(`${path}: ${why}. Give the path of an ONNX file: npm start path/to/model.onnx`);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new BootError(`${path} is not a file. Give the path of an ONNX file.`);
    return use(new GraphReader(file, stat.size, path));
  } catch (error) {
    if (error instanceof RangeError) throw new BootError(`${path} is not an ONNX model.`);
    throw error;
  } finally {
    closeSync(file);
  }
}

interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes: Field[];
}

class GraphReader {
  readonly graph: Graph;
  private readonly file: ProtobufFile;
  private readonly main: Field;
  private readonly outputs = new Set<string>();
  private readonly locations = new Set<string>();
  private readonly withoutLocale: Field[] = [];
  private readonly zipMapNodes: Node[] = [];

  constructor(
    private readonly descriptor: number,
    size: number,
    private readonly path: string,
  ) {
    this.file = new ProtobufFile(descriptor, size);
    this.graph = {
      zipMaps: new Map(),
      hidden: new Set(),
      mixesRows: false,
      diesOfEmpty: false,
      mayBeSlow: false,
      words: [],
      size,
    };
    const fields = [...this.file.fields(0, size)];
    const main = fields.find((field) => field.number === 7);
    if (!main) throw new BootError(`${path} is not an ONNX model.`);
    this.main = main;
    this.readGraph(main, true);
    // FunctionProto.node is its field 7.
    for (const field of fields)
      if (field.number === 25) this.readParts(field, 7, (node) => this.readNode(node, false));
    for (const node of this.zipMapNodes) {
      const [output] = node.outputs;
      if (this.outputs.has(output))
        this.graph.zipMaps.set(output, { tensor: node.inputs[0], labels: this.labels(node) });
    }
    for (const { tensor } of this.graph.zipMaps.values()) {
      if (!this.outputs.has(tensor)) this.graph.hidden.add(tensor);
    }
    this.findExternalData();
  }

  private readGraph(graph: Field, isMain: boolean): void {
    for (const field of this.file.fields(graph.from, graph.to)) {
      if (field.number === 1) this.readNode(field, isMain);
      if (field.number === 5) this.readInitializer(field);
      if (isMain && field.number === 11) this.checkType(field, 'input');
      if (isMain && field.number === 12) this.outputs.add(this.checkType(field, 'output'));
    }
  }

  private readNode(field: Field, isMain: boolean): void {
    const { file, graph } = this;
    const node: Node = { op: '', inputs: [], outputs: [], attributes: [] };
    for (const part of file.fields(field.from, field.to)) {
      if (part.number === 1) node.inputs.push(file.text(part));
      if (part.number === 2) node.outputs.push(file.text(part));
      if (part.number === 4) node.op = file.text(part);
      if (part.number === 5) node.attributes.push(part);
    }
    if (mixing.test(node.op)) graph.mixesRows = true;
    if (/^(GRU|LSTM|RNN)$/.test(node.op)) graph.diesOfEmpty = true;
    if (slow.test(node.op)) graph.mayBeSlow = true;
    if (node.op === 'ZipMap' && isMain) this.zipMapNodes.push(node);
    if (node.op === 'StringNormalizer' && isMain && !this.attribute(node, 'locale'))
      this.withoutLocale.push(field);
    if (tables.test(node.op)) for (const attribute of node.attributes) this.readWords(attribute);
    if (node.op === 'Constant')
      for (const attribute of node.attributes)
        this.readParts(attribute, 5, (tensor) => this.readInitializer(tensor));
    if (/^(If|Loop|Scan|SequenceMap)$/.test(node.op)) {
      for (const attribute of node.attributes)
        this.readParts(attribute, 6, (inner) => this.readGraph(inner, false));
    }
  }

  private readParts(message: Field, number: number, read: (part: Field) => void): void {
    for (const part of this.file.fields(message.from, message.to)) if (part.number === number) read(part);
  }

  private readWords(attribute: Field): void {
    this.readParts(attribute, 9, (part) => {
      if (this.graph.words.length < 64) this.graph.words.push(this.file.text(part));
    });
  }

  /** Notes the file of a tensor whose data lies outside the model. */
  private readInitializer(tensor: Field): void {
    this.readParts(tensor, 13, (entry) => {
      const [key, value] = [...this.file.fields(entry.from, entry.to)].map((part) => this.file.text(part));
      if (key === 'location') this.locations.add(value);
    });
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
    const { file } = this;
    let name = '';
    let elementType = 0;
    for (const part of file.fields(info.from, info.to)) {
      if (part.number === 1) name = file.text(part);
      if (part.number !== 2) continue;
      this.readParts(part, 1, (tensor) =>
        this.readParts(tensor, 1, ({ value }) => {
          elementType = value;
        }),
      );
    }
    const type = unservable[elementType];
    if (type) {
      throw new BootError(
        `${this.path}: the ${what} ${name} is ${type}, which cannot be served: export the model with float32 or int8.`,
      );
    }
    return name;
  }

  private attribute(node: Node, name: string): Field | undefined {
    return node.attributes.find((attribute) => {
      for (const part of this.file.fields(attribute.from, attribute.to)) {
        if (part.number === 1) return this.file.text(part) === name;
      }
      return false;
    });
  }

  private labels(node: Node): string[] {
    const labels: string[] = [];
    const strings = this.attribute(node, 'classlabels_strings');
    const integers = this.attribute(node, 'classlabels_int64s');
    if (strings) this.readParts(strings, 9, (part) => labels.push(this.file.text(part)));
    else if (integers) {
      this.readParts(integers, 8, (part) => {
        // Packed or not, a repeated integer is a run of varints.
        const bytes = this.file.bytes(part.from, part.to);
        for (let at = 0; at < bytes.length; ) {
          let value = 0n;
          let shift = 0n;
          do value |= BigInt(bytes[at] & 127) << (7n * shift++);
          while (bytes[at++] > 127);
          labels.push(String(BigInt.asIntN(64, value)));
        }
      });
    }
    return labels;
  }

  /**
   * The whole file in one buffer, with two changes:
   * - StringNormalizer nodes get a locale that every host has; the default, en_US.UTF-8, is absent from slim images.
   * - Tensors that feed a ZipMap become outputs. A message that occurs twice is merged, so it is enough to append
   *   a second ModelProto that holds nothing but these outputs.
   */
  patch(): Buffer | undefined {
    const { file, main, descriptor } = this;
    const added = [...this.graph.hidden];
    if (added.length === 0 && this.withoutLocale.length === 0) return undefined;
    const locale = message(5, message(1, 'locale'), message(4, 'C.UTF-8'), number(20, 3));
    const outputs = added.map((tensor) =>
      // ValueInfoProto: a name, and the type tensor(float), which is all that ZipMap takes.
      message(12, message(1, tensor), message(2, message(1, number(1, 1)))),
    );
    const nodes = this.withoutLocale;
    const grown = nodes.map(({ from, to }) => varint(to - from + locale.length));
    const growth = nodes.reduce(
      (sum, { from, lengthAt }, i) => sum + grown[i].length - (from - lengthAt) + locale.length,
      0,
    );
    const graphLength = varint(main.to - main.from + growth);
    const suffix = added.length > 0 ? message(7, ...outputs) : Buffer.alloc(0);

    const size = file.size + growth + graphLength.length - (main.from - main.lengthAt) + suffix.length;
    const result = Buffer.allocUnsafe(size);
    let at = 0;
    let read = 0;
    const keepUntil = (end: number) => {
      while (read < end) {
        const got = readSync(descriptor, result, at, end - read, read);
        if (got === 0) throw new RangeError('the file ended early');
        at += got;
        read += got;
      }
    };
    const put = (bytes: Buffer) => {
      at += bytes.copy(result, at);
    };
    keepUntil(main.lengthAt);
    put(graphLength);
    read = main.from;
    nodes.forEach((node, i) => {
      keepUntil(node.lengthAt);
      put(grown[i]);
      read = node.from;
      keepUntil(node.to);
      put(locale);
    });
    keepUntil(file.size);
    put(suffix);
    return result;
  }
}
