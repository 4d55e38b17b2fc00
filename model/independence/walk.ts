import { mostStrings, type Node, type OnnxFile } from '../graph/onnx';
import type { Input } from '../signature';
import { hasRows, type Known, Mixes, omitted, rules, takeSeveral } from './rules';

/** What is known of a tensor, or the reason why nothing is. The length of a data-dependent one follows the values. */
export type Fact = Known | { readonly reason: string; readonly isDataDependent?: boolean };

/** Operators whose outputs are as long as the values say. */
const dataDependent = /^(NonZero|NonMaxSuppression|Unique|Compress|StringSplit)$/;
/** Operators with a rule whose outputs are not as long as their operands. */
const collapsing = /^(Reduce|Arg)/;
/** Operators without a rule whose outputs are as long as their operands. */
const picking = /^(GatherND|GatherElements|RoiAlign)$/;

/** Follows the rows of the inputs whose first dimension is open through the graph; gives what it tells of a tensor. */
export function followRows(file: OnnxFile, inputs: Pick<Input, 'name' | 'dims'>[]): (tensor: string) => Fact {
  const { initializers, nodes } = file.graph;
  const facts = new Map<string, Fact>();
  const factOf = (tensor: string) => facts.get(tensor) ?? { reason: `${tensor} is not in the graph` };
  for (const { name, dims, integers } of initializers) facts.set(name, { shape: dims, integers });
  for (const { name, dims } of inputs) {
    const [first, ...row] = dims;
    const shape = [-1, ...row.map((dim) => (typeof dim === 'number' ? dim : Number.NaN))];
    const noRows = { reason: `${name} has no first dimension that counts rows` };
    facts.set(name, typeof first === 'string' ? { shape } : noRows);
  }
  for (const node of nodes) {
    const operands = node.inputs.map((tensor) => (tensor === '' ? omitted : factOf(tensor)));
    const found = follow(node, file, operands);
    for (const [i, tensor] of node.outputs.entries()) {
      // Of constants of one name, the runtime takes the last for all who read it.
      if (facts.has(tensor)) return () => ({ reason: `${tensor} in the graph is given twice` });
      const fact = Array.isArray(found) ? found[i] : found;
      if (tensor !== '') facts.set(tensor, fact ?? because(node, 'is followed to its first outputs only'));
    }
  }
  return factOf;
}

/** What a node gives: one fact for all of its outputs, or a list for the first ones. */
function follow(node: Node, file: OnnxFile, operands: readonly Fact[]): Fact | readonly Known[] {
  const known = operands.filter((fact) => 'shape' in fact);
  const unknowns = operands.filter((fact) => 'reason' in fact);
  const isConstant = unknowns.length === 0 && !known.some(hasRows);
  if (dataDependent.test(node.op) || node.attributes.has('stopwords'))
    return { ...because(node, 'gives as many entries as the values say'), isDataDependent: !isConstant };
  const name = nameOf(node.domain, node.op);
  const rule = mayMix(node, file) ? undefined : rules.get(name);
  const first = unknowns.find(({ isDataDependent }) => isDataDependent) ?? unknowns[0];
  if (first) {
    const isAsLong = (rule && !collapsing.test(node.op)) || picking.test(node.op);
    return { ...first, isDataDependent: first.isDataDependent && isAsLong };
  }
  if (!rule) return because(node, 'is not known to keep rows apart');
  const padding = node.attributes.get('pad_value')?.s;
  if (padding !== undefined && isRead(padding, node.outputs[0], file.graph))
    return because(node, 'fills texts up to the longest of a run');
  try {
    const [x = omitted, ...others] = known;
    if (others.some(hasRows) && !takeSeveral.includes(name)) throw new Mixes('takes rows beside rows');
    const outputs = [rule(x, { node, operands: known })].flat();
    for (const { shape } of outputs) {
      // Of an empty tensor, the runtime's reductions and others give other shapes than are documented.
      if (!isConstant && shape.includes(0)) throw new Mixes('gives an empty tensor');
      if (shape.filter((length) => length < 0).length !== Number(!isConstant)) throw new Mixes();
    }
    return outputs;
  } catch (error) {
    if (error instanceof Mixes) return because(node, error.message || 'goes across rows');
    throw error;
  }
}

function because({ op, name, outputs }: Node, what: string) {
  return { reason: `${op} in ${name || outputs[0]} ${what}` };
}

/** Whether what fills the texts in a tensor up is read: a TfIdfVectorizer sees the words that it counts, and no others. */
function isRead(padding: string, tensor: string, graph: OnnxFile['graph']): boolean {
  if (graph.outputs.some(({ name }) => name === tensor)) return true;
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(tensor));
  return readers.some(({ op, outputs, attributes }) => {
    if (op === 'Flatten') return isRead(padding, outputs[0], graph);
    const { strings = [] } = attributes.get('pool_strings') ?? {};
    return op !== 'TfIdfVectorizer' || strings.length >= mostStrings || strings.includes(padding);
  });
}

/** Whether a node's operator may go across rows whatever its rule says. */
function mayMix({ op, domain, inputs, outputs, attributes }: Node, { opsets, functions }: OnnxFile): boolean {
  const versions = opsets.flatMap((one) => (nameOf(one.domain) === nameOf(domain) ? one.version : []));
  const [version = 0] = versions;
  // Operators of versions before 7 broadcast otherwise.
  if (version < (nameOf(domain) === '' ? 7 : 1) || versions.some((other) => other !== version)) return true;
  if (functions.some((one) => nameOf(one.domain, one.name) === nameOf(domain, op))) return true;
  // Dropout's third operand says whether it trains; before opset 14, BatchNormalization's other outputs do.
  const trains = (op === 'Dropout' && inputs[2]) || (op === 'BatchNormalization' && outputs.length > 1);
  return Boolean(trains || attributes.get('training_mode')?.i);
}

/** An operator as the rules name it. */
function nameOf(domain: string, op = ''): string {
  if (domain === '' || domain === 'ai.onnx') return op;
  return ({ 'ai.onnx.ml': 'ml.', 'com.microsoft': 'ms.' }[domain] ?? `${domain}.`) + op;
}
