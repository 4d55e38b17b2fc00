import { messageOf } from '../errors';
import type { Node, OnnxFile } from '../graph/onnx';
import { type Known, Mixes, type Rule } from './known';
import { rules } from './rules';

/**
 * What the graph tells of a tensor: its rows; that its length follows the values, as that of a list of hits does (`loose`);
 * or that nothing is known. The latter two say which operator it is that makes it so.
 */
export type Fact = Known | { readonly loose: string } | { readonly unknown: string };

/** Of the operators without a rule, those that are known to mix rows. */
const mixers: [RegExp, string][] = [
  [/^(Random(Normal|Uniform)(Like)?|Multinomial|Bernoulli)$/, 'gives other numbers at each run'],
  [/^DynamicQuantize/, 'scales by all rows of a run'],
  [/./, 'is not known to keep rows apart'],
];

/** Operators whose outputs are as long as the values say. */
const loose = /^(NonZero|NonMaxSuppression|Unique|Compress|StringSplit)$/;
/** Operators with a rule whose outputs are not as long as their operands. */
const counting = /^(Reduce.*|Arg.*|TopK|Shape)$/;
/** Operators without a rule whose outputs are as long as their operands. */
const picking = /^(GatherND|GatherElements|RoiAlign)$/;

/** Operators that tell the word which fills texts up from others, or do not look at it. */
const unpadding = /^(TfIdfVectorizer|Identity|Flatten)$/;

/** Operators of earlier versions broadcast otherwise. */
const oldestOpset = 7;

/** Follows the rows of the inputs whose first dimension is open through the graph; gives what it tells of a tensor. */
export function followRows(
  { graph, opsets, functions }: OnnxFile,
  inputs: readonly { name: string; dims: readonly (number | string)[] }[],
): (tensor: string) => Fact {
  const facts = new Map<string, Fact>();
  const names = [
    ...[...graph.initializers, ...graph.sparseInitializers].map(({ name }) => name),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ];
  const twice = repeated(names);
  const factOf = (tensor: string): Fact => {
    if (twice.has(tensor)) return { unknown: `${tensor} in the graph is given twice` };
    return facts.get(tensor) ?? { unknown: `${tensor} is not in the graph` };
  };
  for (const { name, dims, integers } of graph.initializers) facts.set(name, { shape: dims, integers });
  for (const { name, dims } of inputs) facts.set(name, rowsOfInput(name, dims));
  const local = new Set(functions.map(({ domain, name }) => nameIn(domain, name)));
  for (const node of graph.nodes) {
    const name = nameIn(node.domain, node.op);
    const opset = local.has(name) ? undefined : opsetOf(node.domain, opsets);
    const operands = node.inputs.map((tensor) => (tensor === '' ? undefined : factOf(tensor)));
    const given = apply(name, node, opset, operands);
    for (const [i, tensor] of node.outputs.entries()) {
      const fact = Array.isArray(given) ? given[i] : given;
      if (tensor !== '')
        facts.set(tensor, fact ?? { unknown: says(node, 'is followed to its first output only') });
    }
  }
  return (tensor) => {
    const fact = factOf(tensor);
    if (!('shape' in fact) || fact.padding === undefined) return fact;
    return { unknown: `Tokenizer in front of ${tensor} fills texts up to the longest of a run` };
  };
}

/** Names that occur more than once. Of constants of one name, the runtime takes the last for all who read it. */
function repeated(names: readonly string[]): Set<string> {
  const seen = new Set<string>();
  return new Set(names.filter((name) => seen.size === seen.add(name).size));
}

function rowsOfInput(name: string, [first, ...row]: readonly (number | string)[]): Fact {
  if (typeof first !== 'string') return { unknown: `${name} has no first dimension that counts rows` };
  return { shape: [1, ...row.map((dim) => (typeof dim === 'number' ? dim : Number.NaN))], axis: 0 };
}

/** What a node gives: a fact for each output, or one for all. */
function apply(
  name: string,
  node: Node,
  opset: number | undefined,
  operands: readonly (Fact | undefined)[],
): Fact | readonly Fact[] {
  const rule = rules.get(name);
  const known = operands.filter((fact) => !fact || 'shape' in fact);
  const isConstant = known.length === operands.length && known.every((fact) => fact?.axis === undefined);
  if (dropsEntries(node) && !isConstant)
    return { loose: says(node, 'gives as many entries as the values say') };
  const open = operands.find((fact) => fact && 'loose' in fact);
  if (open) {
    const isAsLong = (rule && !counting.test(node.op)) || picking.test(node.op);
    return isAsLong || !('loose' in open) ? open : { unknown: open.loose };
  }
  const mixed = operands.find((fact) => fact && 'unknown' in fact);
  if (mixed) return mixed;
  const why = whyNotFollowed(node, opset, rule, known);
  if (!rule || opset === undefined || why !== undefined) return { unknown: says(node, why ?? '') };
  try {
    const given = rule({ node, opset, operands: known });
    // Of an empty tensor, the runtime's reductions and others give other shapes than are documented.
    if (given.some(({ shape, axis }) => axis !== undefined && shape.includes(0)))
      throw new Mixes('gives an empty tensor');
    return given;
  } catch (error) {
    if (error instanceof Mixes) return { unknown: says(node, messageOf(error)) };
    throw error;
  }
}

/** Whether the outputs of a node are as long as the values say. */
function dropsEntries({ op, attributes }: Node): boolean {
  return loose.test(op) || attributes.has('stopwords');
}

function whyNotFollowed(
  node: Node,
  opset: number | undefined,
  rule: Rule | undefined,
  operands: readonly (Known | undefined)[],
): string | undefined {
  if (opset === undefined) return 'is a function of the model, or of a version that is not followed';
  if (isInTraining(node)) return 'is in training mode';
  if (!rule) return mixers.find(([operators]) => operators.test(node.op))?.[1];
  const isPadded = operands.some((operand) => operand?.padding !== undefined);
  if (isPadded && !unpadding.test(node.op)) return 'reads what fills texts up to the longest of a run';
  return undefined;
}

/** Dropout's third operand says whether it trains; before opset 14, BatchNormalization's other outputs do. */
function isInTraining({ op, inputs, outputs, attributes }: Node): boolean {
  if ((attributes.get('training_mode')?.i ?? 0n) !== 0n) return true;
  return (op === 'Dropout' && Boolean(inputs[2])) || (op === 'BatchNormalization' && outputs.length > 1);
}

function says({ op, name, outputs }: Node, what: string): string {
  return `${op} in ${name || outputs[0]} ${what}`;
}

/** The version of a domain's operators; undefined where it is not followed, or the file names two. */
function opsetOf(domain: string, opsets: OnnxFile['opsets']): number | undefined {
  const versions = opsets.filter((one) => nameIn(one.domain, '') === nameIn(domain, ''));
  const [{ version } = { version: 0 }] = versions;
  if (versions.some((other) => other.version !== version)) return undefined;
  return nameIn(domain, '') === '' && version < oldestOpset ? undefined : version;
}

/** An operator's name behind its domain's, as the rules have it. */
function nameIn(domain: string, op: string): string {
  const prefixes: Record<string, string> = {
    '': '',
    'ai.onnx': '',
    'ai.onnx.ml': 'ml.',
    'com.microsoft': 'ms.',
  };
  return `${prefixes[domain] ?? `${domain}.`}${op}`;
}
