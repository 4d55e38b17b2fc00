import { allNodes, type Node, type OnnxFile } from './onnx';

const copying = /^(Cast|Identity)$/;

/**
 * For an input, the axes along which it may be empty, since no node behind its first readers sees that: a decoder's empty
 * past is joined to what follows it, and its length is asked for. Many operators end the process where a length is 0.
 */
export function findEmptyAxes(file: OnnxFile): Map<string, number[]> {
  const { inputs, nodes, initializers } = file.graph;
  // The input of which a tensor is a copy.
  const inputOf = new Map(inputs.map(({ name }) => [name, name]));
  for (const { op, inputs, outputs } of nodes) {
    const input = inputOf.get(inputs[0]);
    if (input !== undefined && copying.test(op)) inputOf.set(outputs[0], input);
  }
  const constants = new Map(initializers.map(({ name, integers }) => [name, integers]));
  const readers = [...allNodes(file)].map((node) => ({
    node,
    read: node.inputs.map((tensor) => inputOf.get(tensor)),
    axes: axesOf(node, constants.get(node.inputs[1])),
  }));
  return new Map(
    inputs.map(({ name, dims = [] }) => {
      const own = readers.filter(({ read }) => read.includes(name));
      const isOver = (axis: number) =>
        own.every(({ node: { op }, read, axes }) => {
          if (copying.test(op) || axes === 'all') return true;
          // Of inputs that are joined one may be empty.
          const isJoined = read.find(Boolean) === name && read.some((other) => other !== name);
          if (op === 'Concat' && !isJoined) return false;
          return axes.some((given) => given === axis || given + dims.length === axis);
        });
      return [name, [...dims.keys()].filter(isOver)];
    }),
  );
}

/** The axes whose lengths a node's outputs do not have, or of which a longer one is made. */
function axesOf(
  { op, inputs, attributes }: Node,
  constant: readonly number[] = [],
): readonly number[] | 'all' {
  const given = attributes.get('axes')?.ints.map(Number);
  if (op === 'Concat') return [Number(attributes.get('axis')?.i)];
  if (/^(Shape|Size)$/.test(op)) return 'all';
  if (!op.startsWith('Reduce')) return [];
  return given ?? (inputs.length === 1 ? 'all' : constant);
}
