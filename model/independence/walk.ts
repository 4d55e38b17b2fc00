import type { Node, OnnxFile } from '../graph/onnx';
import { Call, type Known, Mixes } from './known';
import { rules } from './rules';

/**
 * What the graph tells of a tensor: its rows; that its length follows the values, as that of a list of hits does (`loose`);
 * or that nothing is known. The latter two say which operator it is that makes it so.
 */
export type Fact = Known | { readonly loose: string } | { readonly unknown: string };

/** Operators whose outputs are as long as the values say. */
const loose = /^(NonZero|NonMaxSuppression|Unique|Compress|StringSplit)$/;
/** Operators with a rule whose outputs are not as long as their operands. */
const counting = /^(Reduce.*|Arg.*|TopK)$/;
/** Operators without a rule whose outputs are as long as their operands. */
const picking = /^(GatherND|GatherElements|RoiAlign)$/;

/** Operators of earlier versions broadcast otherwise. */
const oldestOpset = 7;

/** Follows the rows of the inputs whose first dimension is open through the graph; gives what it tells of a tensor. */
export function followRows(
  { graph, opsets, functions }: OnnxFile,
  inputs: readonly { name: string; dims: readonly (number | string)[] }[],
): (tensor: string) => Fact {
  const names = [
    ...graph.initializers.map(({ name }) => name),
    ...graph.sparseInitializers,
    ...graph.nodes.flatMap(({ outputs }) => outputs.filter((tensor) => tensor !== '')),
  ];
  // Of constants of one name, the runtime takes the last for all who read it.
  const twice = new Set(names).size < names.length && names.find((name, i) => names.indexOf(name, i + 1) > 0);
  if (twice) return () => ({ unknown: `${twice} in the graph is given twice` });
  const facts = new Map<string, Fact>();
  const factOf = (tensor: string) => facts.get(tensor) ?? { unknown: `${tensor} is not in the graph` };
  for (const { name, dims, integers } of graph.initializers) facts.set(name, { shape: dims, integers });
  for (const { name, dims } of inputs) facts.set(name, rowsOfInput(name, dims));
  const local = new Set(functions.map(({ domain, name }) => prefixOf(domain) + name));
  for (const node of graph.nodes) {
    const name = prefixOf(node.domain) + node.op;
    const opset = local.has(name) ? undefined : opsetOf(node.domain, opsets);
    const operands = node.inputs.map((tensor) => (tensor === '' ? undefined : factOf(tensor)));
    const found = follow(name, node, opset, operands);
    for (const [i, tensor] of node.outputs.entries()) {
      const fact = Array.isArray(found) ? found[i] : found;
      if (tensor !== '') facts.set(tensor, fact ?? unknown(node, 'is followed to its first outputs only'));
    }
  }
  return (tensor) => {
    const fact = factOf(tensor);
    if (!('shape' in fact) || fact.padding === undefined) return fact;
    return { unknown: `Tokenizer in front of ${tensor} fills texts up to the longest of a run` };
  };
}

function rowsOfInput(name: string, [first, ...row]: readonly (number | string)[]): Fact {
  if (typeof first !== 'string') return { unknown: `${name} has no first dimension that counts rows` };
  return { shape: [1, ...row.map((dim) => (typeof dim === 'number' ? dim : Number.NaN))], axis: 0 };
}

/** What a node gives: one fact for all of its outputs, or a list for the first ones. */
function follow(
  name: string,
  node: Node,
  opset: number | undefined,
  operands: readonly (Fact | undefined)[],
): Fact | readonly Known[] {
  const known = operands.filter((fact) => !fact || 'shape' in fact);
  const isConstant = known.length === operands.length && known.every((fact) => fact?.axis === undefined);
  if (loose.test(node.op) || node.attributes.has('stopwords')) {
    const fact = unknown(node, 'gives as many entries as the values say');
    return isConstant ? fact : { loose: fact.unknown };
  }
  const rule = opset === undefined || isInTraining(node) ? undefined : rules.get(name);
  const open = operands.find((fact) => fact && 'loose' in fact);
  if (open && 'loose' in open) {
    const isAsLong = (rule && !counting.test(node.op)) || picking.test(node.op);
    return isAsLong ? open : { unknown: open.loose };
  }
  const mixed = operands.find((fact) => fact && 'unknown' in fact);
  if (mixed) return mixed;
  if (!rule || opset === undefined) return unknown(node, 'is not known to keep rows apart');
  try {
    const outputs = [rule(new Call(node, opset, known))].flat();
    // Of an empty tensor, the runtime's reductions and others give other shapes than are documented.
    if (outputs.some(({ shape, axis }) => axis !== undefined && shape.includes(0)))
      throw new Mixes('gives an empty tensor');
    return outputs;
  } catch (error) {
    if (error instanceof Mixes) return unknown(node, error.message);
    throw error;
  }
}

function unknown({ op, name, outputs }: Node, what: string): { unknown: string } {
  return { unknown: `${op} in ${name || outputs[0]} ${what}` };
}

/** Dropout's third operand says whether it trains; before opset 14, BatchNormalization's other outputs do. */
function isInTraining({ op, inputs, outputs, attributes }: Node): boolean {
  if (attributes.get('training_mode')?.i) return true;
  return (op === 'Dropout' && Boolean(inputs[2])) || (op === 'BatchNormalization' && outputs.length > 1);
}

/** The version of a domain's operators; undefined where it is not followed, or the file names two. */
function opsetOf(domain: string, opsets: OnnxFile['opsets']): number | undefined {
  const versions = opsets.filter((one) => prefixOf(one.domain) === prefixOf(domain));
  const [{ version } = { version: 0 }] = versions;
  if (versions.some((other) => other.version !== version)) return undefined;
  return prefixOf(domain) === '' && version < oldestOpset ? undefined : version;
}

/** What stands before the operators of a domain, as the rules have them. */
function prefixOf(domain: string): string {
  if (domain === '' || domain === 'ai.onnx') return '';
  return { 'ai.onnx.ml': 'ml.', 'com.microsoft': 'ms.' }[domain] ?? `${domain}.`;
}
