import { writeFileSync } from 'node:fs';
import type { Tensor } from 'onnxruntime-node';
import { readOnnx } from '../../../model/graph/onnx';
import { integerField, messageField } from '../../../model/graph/protobuf';
import { type Known as Proved, rowAxis } from '../../../model/independence/rules';
import { followRows } from '../../../model/independence/walk';
import { sizeOf } from '../../../model/values/tensor';
import { makersFor, operatorNames, sinceOf } from './operators';
import { type MadeNode, rawOf, Type, writeNode, writeValue } from './written';

/** What is proved of a tensor: its lengths, those of one row where `axis` is the rows'. */
export interface Known {
  readonly shape: readonly number[];
  readonly axis?: number;
}

export function knownOf(proved: Proved): Known {
  const axis = rowAxis(proved);
  return { shape: proved.shape.map(Math.abs), axis: axis < 0 ? undefined : axis };
}

export interface MadeValue {
  readonly name: string;
  readonly type: number;
  /** Undefined where nothing is proved of it. */
  readonly known?: Known;
}

export type Rows = Record<string, { type: Tensor.Type; dims: number[]; data: (number | string)[] }>;

const words = ['', 'a', 'bb', 'a bb', 'A b', '#', 'c a a'];
/** What moves rows to other places, after which rules are hardest. */
const regrouping =
  'Reshape Transpose Transpose Flatten Squeeze Unsqueeze Gather Slice Concat MatMul Gemm Softmax ReduceMax ArgMax Add Where'.split(
    ' ',
  );
/** Operators of tensors of rank 3 or 4. */
const images = /Pool|Conv|LRN|^(Instance|Group)Norm/;
/** Each graph begins with one of these, in turn; operators with a rule of their own more often than elementwise ones. */
const firstOperators = operatorNames.flatMap((name) =>
  /^m[ls]|Norm|^Str|^Tf/.test(name) || images.test(name) ? [name, name, name] : name,
);
const extremes = [1e30, -1e30, Number.NaN, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const extremeIntegers = [0, 3, -1, 2 ** 40];
const extremeWords = ['', 'a bb '.repeat(20), 'x'.repeat(300), 'c a '];

/** A graph of a few random nodes, the same for the same seed, written to `path` while it grows. */
export class RandomGraph {
  readonly opset: number;
  private readonly ml: number;
  private readonly givesAll: boolean;
  readonly inputs: { name: string; type: number; dims: (string | number)[] }[] = [];
  private readonly initializers: Buffer[] = [];
  private readonly nodes: (MadeNode & { outputs: string[] })[] = [];
  private values: MadeValue[] = [];
  private names = 0;
  private state: number;

  constructor(
    seed: number,
    private readonly path: string,
  ) {
    this.state = (seed * 2654435761) >>> 0;
    const first = firstOperators[seed % firstOperators.length];
    this.opset = this.oneOf([7, 9, 11, 13, 17, 18, 20, 24].filter((opset) => opset >= sinceOf(first)));
    this.givesAll = this.chance(0.3);
    this.ml = first === 'ml.TreeEnsemble' ? 5 : this.oneOf([2, 3, 4]);
    const ranks = images.test(first) ? [2, 3] : /^ml/.test(first) ? [1, 1, 1, 2] : [0, 1, 1, 1, 2, 2, 3];
    this.addInput(Type.float, this.oneOf(ranks));
    if (this.chance(0.3))
      this.addInput(this.oneOf([Type.int64, Type.float, Type.bool]), this.oneOf([0, 1, 1, 2]));
    if (/String|Regex|Token|TfIdf/.test(first) || this.chance(0.2))
      this.addInput(Type.string, this.oneOf([0, 0, 0, 1]));
    if (this.chance(0.5)) this.grow(this.oneOf(regrouping), 3);
    this.grow(first, 20);
    for (let more = this.below(7); more > 0; more--)
      this.grow(this.oneOf(this.chance(0.5) ? regrouping : operatorNames), 3);
  }

  /** Adds a node, most likely one that keeps rows apart. */
  private grow(op: string, attempts: number): void {
    for (; attempts > 0; attempts--) {
      const before = [this.initializers.length, this.nodes.length, this.values.length];
      const made = makersFor(op)(this, op)
        ?.map((node) => this.add(node))
        .at(-1);
      if (made?.known?.axis !== undefined || (made && this.chance(0.05))) return;
      this.initializers.length = before[0];
      this.nodes.length = before[1];
      this.values.length = before[2];
    }
  }

  /** Adds a node; gives its first output. */
  add(node: MadeNode): MadeValue {
    const outputs = node.types.map(() => this.name());
    this.nodes.push({ ...node, outputs });
    writeFileSync(this.path, this.bytes());
    const factOf = followRows(readOnnx(this.path), this.inputs);
    const values = outputs.map((name, i): MadeValue => {
      const fact = factOf(name);
      return { name, type: node.types[i], known: 'shape' in fact ? knownOf(fact) : undefined };
    });
    this.values.push(...values);
    return values[0];
  }

  private addInput(type: number, rank: number): void {
    const row = Array.from({ length: rank }, () => this.oneOf([1, 2, 3, 4, 4, 6]));
    const name = this.name();
    this.inputs.push({ name, type, dims: ['N', ...row] });
    this.values.push({ name, type, known: { shape: [1, ...row], axis: 0 } });
  }

  /** A value of one of the types; rather a late one, and made by a Cast where there is none. */
  pick(types: readonly number[], suits?: (known: Known) => boolean): MadeValue | undefined {
    const fit = this.values.filter(
      ({ type, known }) =>
        types.includes(type) &&
        (known ? known.axis !== undefined && (!suits || suits(known)) : !suits && this.chance(0.02)),
    );
    if (fit.length > 0) return this.chance(0.5) ? fit[fit.length - 1] : this.oneOf(fit);
    const [type] = types;
    if (type === Type.float || type === Type.string) return undefined;
    const x = this.pick([Type.float], suits);
    return x && this.add({ op: 'Cast', inputs: [x.name], types: [type], attributes: { to: type } });
  }

  /** A constant, as an initializer or a node; its values are made up where they are not given. */
  constant(type: number, dims: readonly number[], values?: readonly (number | string)[]): string {
    const tensor = this.tensor(type, dims, values);
    if (this.chance(0.3))
      return this.add({ op: 'Constant', inputs: [], types: [type], attributes: { value: tensor } }).name;
    const name = this.name();
    this.initializers.push(Buffer.concat([tensor, messageField(8, name)]));
    return name;
  }

  integers(...values: number[]): string {
    return this.constant(Type.int64, [values.length], values);
  }

  tensor(type: number, dims: readonly number[], values?: readonly (number | string)[]): Buffer {
    const cells = values ?? Array.from({ length: sizeOf(dims) }, () => this.cell(type));
    const head = [...dims.map((length) => integerField(1, length)), integerField(2, type)];
    if (type === Type.string)
      return Buffer.concat([...head, ...cells.map((cell) => messageField(6, String(cell)))]);
    return Buffer.concat([...head, messageField(9, rawOf(type, cells.map(Number)))]);
  }

  private cell(type: number): number | string {
    if (type === Type.string) return this.oneOf(words);
    if (type === Type.bool) return this.below(2);
    if (type !== Type.float && type !== Type.double) return 1 + this.below(3);
    return this.chance(0.7) ? this.below(17) / 4 - 2 || 0.25 : this.random() * 4 - 2;
  }

  /** One row for each input. */
  rows(count: number): Rows {
    return this.rowsOf(count, (type) => this.cell(type));
  }

  neighbour(row: Rows, isExtreme: boolean): Rows {
    if (!isExtreme) return this.rows(1);
    if (this.chance(0.1)) return row;
    const [float, integer, word] = [
      this.oneOf(extremes),
      this.oneOf(extremeIntegers),
      this.oneOf(extremeWords),
    ];
    const isMixed = this.chance(0.3);
    return this.rowsOf(1, (type) => {
      if (type === Type.bool || (isMixed && this.chance(0.5))) return this.cell(type);
      return type === Type.string ? word : type === Type.float ? float : integer;
    });
  }

  private rowsOf(count: number, cell: (type: number) => number | string): Rows {
    const names: Record<number, Tensor.Type> = { 1: 'float32', 7: 'int64', 8: 'string', 9: 'bool' };
    const rows = this.inputs.map(({ name, type, dims: [, ...row] }) => {
      const dims = [count, ...row.map(Number)];
      const cells = Array.from({ length: sizeOf(dims) }, () => cell(type));
      return [name, { type: names[type], dims, data: cells }];
    });
    return Object.fromEntries(rows);
  }

  stack(all: readonly Rows[]): Rows {
    const joined = this.inputs.map(({ name }) => {
      const parts = all.map((rows) => rows[name]);
      const [
        {
          type,
          dims: [, ...row],
        },
      ] = parts;
      return [name, { type, dims: [all.length, ...row], data: parts.flatMap(({ data }) => data) }];
    });
    return Object.fromEntries(joined);
  }

  /** The places of rows among so many, in a random order. */
  places(size: number): number[] {
    const places = Array.from({ length: size }, (_, i) => ({ i, by: this.random() }));
    return places.sort((one, other) => one.by - other.by).map(({ i }) => i);
  }

  /** The operators on which outputs depend. */
  operatorsOf(outputs: readonly string[]): Set<string> {
    const wanted = new Set(outputs);
    const operators = new Set<string>();
    for (const { op, inputs, outputs: given } of this.nodes.toReversed()) {
      if (!given.some((name) => wanted.has(name))) continue;
      operators.add(op);
      for (const name of inputs) wanted.add(name);
    }
    return operators;
  }

  text(): string {
    const nodes = this.nodes.map(({ op, inputs, outputs, attributes = {} }) => {
      const given = Object.entries(attributes).filter(
        ([, value]) => value !== undefined && !Buffer.isBuffer(value),
      );
      return `${outputs} = ${op}${JSON.stringify(Object.fromEntries(given))}(${inputs})`;
    });
    return `opset ${this.opset} ${JSON.stringify(this.inputs.map(({ dims }) => dims))}: ${nodes.join('; ')}`;
  }

  /** The model. Its outputs are what no node reads; in some graphs, all. */
  bytes(givesAll = this.givesAll): Buffer {
    const read = new Set(givesAll ? [] : this.nodes.flatMap(({ inputs }) => inputs));
    const outputs = this.nodes.flatMap(({ outputs, types }) =>
      outputs.map((name, i) => ({ name, type: types[i] })),
    );
    const graph = [
      ...this.nodes.map(writeNode),
      messageField(2, 'g'),
      ...this.initializers.map((tensor) => messageField(5, tensor)),
      ...this.inputs.map((input) => messageField(11, writeValue(input))),
      ...outputs.filter(({ name }) => !read.has(name)).map((output) => messageField(12, writeValue(output))),
    ];
    const imports = { '': this.opset, 'ai.onnx.ml': this.ml, 'com.microsoft': 1 };
    const opsets = Object.entries(imports).map(([domain, version]) =>
      messageField(8, messageField(1, domain), integerField(2, version)),
    );
    return Buffer.concat([integerField(1, 9), messageField(7, ...graph), ...opsets]);
  }

  private name(): string {
    return `v${this.names++}`;
  }

  /** https://github.com/cprosche/mulberry32 */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  below(end: number): number {
    return Math.floor(this.random() * end);
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}
