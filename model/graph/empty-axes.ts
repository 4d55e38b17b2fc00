import { allNodes, type Node, type OnnxFile } from './onnx';

/**
 * For an input, the axes along which it may be empty, since no node behind its first readers sees that: a decoder's empty
 * past is joined to what follows it, and its length is asked for. Many operators end the process where a length is 0.
 */
export function findEmptyAxes(file: OnnxFile): Map<string, number[]> {
  const { inputs, initializers } = file.graph;
  const constants = new Map(initializers.map(({ name, integers }) => [name, integers]));
  const emptyAxes = new Map(inputs.map(({ name, dims = [] }) => [name, [...dims.keys()]]));
  // The input of which a tensor is a copy.
  const copied = new Map(inputs.map((input) => [input.name, input]));
  for (const node of allNodes(file)) {
    const read = node.inputs.map((tensor) => copied.get(tensor));
    const [first] = read.filter((input) => input !== undefined);
    for (const input of new Set(read)) {
      if (!input) continue;
      if (/^(Cast|Identity)$/.test(node.op)) copied.set(node.outputs[0], input);
      // Of inputs that are joined one may be empty.
      const isRest = node.op === 'Concat' && (input !== first || read.every((other) => other === input));
      const { name, dims = [] } = input;
      const hidden = isRest ? [] : hiddenAxes(node, dims.length, constants.get(node.inputs[1]));
      emptyAxes.set(name, emptyAxes.get(name)?.filter((axis) => hidden.includes(axis)) ?? []);
    }
  }
  return emptyAxes;
}

/** The axes of a tensor of some rank whose lengths its reader's outputs do not have, or of which a longer one is made. */
function hiddenAxes({ op, inputs, attributes }: Node, rank: number, axesOperand: readonly number[] = []) {
  const all = Array.from({ length: rank }, (_, axis) => axis);
  if (/^(Cast|Identity|Shape|Size)$/.test(op)) return all;
  if (op === 'Concat') return [all.at(attributes.get('axis')?.i ?? 0)];
  if (!op.startsWith('Reduce')) return [];
  const axes = attributes.get('axes')?.ints.map(Number) ?? (inputs.length === 1 ? all : axesOperand);
  return axes.map((axis) => all.at(axis));
}
