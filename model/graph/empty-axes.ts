import { allNodes, type OnnxFile } from './onnx';

const copying = /^(Cast|Identity)$/;
/** Operators that ask for lengths only. */
const measuring = /^(Shape|Size)$/;

/**
 * For an input, the axes along which it may be empty, since no node behind its first readers sees that: a decoder's empty
 * past is joined to what follows it, and its length is asked for. Many operators end the process where a length is 0.
 */
export function findEmptyAxes(file: OnnxFile): Map<string, number[]> {
  const { inputs, nodes } = file.graph;
  // The input of which a tensor is a copy.
  const inputOf = new Map(inputs.map(({ name }) => [name, name]));
  for (const { op, inputs, outputs } of nodes) {
    const input = inputOf.get(inputs[0]);
    if (input !== undefined && copying.test(op)) inputOf.set(outputs[0], input);
  }
  const readers = [...allNodes(file)]
    .filter(({ op }) => !copying.test(op) && !measuring.test(op))
    .map(({ op, inputs, attributes }) => ({
      read: inputs.map((tensor) => inputOf.get(tensor)),
      joined: op === 'Concat' ? Number(attributes.get('axis')?.i) : Number.NaN,
    }));
  return new Map(
    inputs.map(({ name, dims = [] }) => {
      const own = readers.filter(({ read }) => read.includes(name));
      // Of inputs that are joined one may be empty.
      const isFirst = own.every(({ read }) => read.find(Boolean) === name && new Set(read).size > 1);
      const isJoined = (axis: number) =>
        own.every(({ joined }) => joined === axis || joined + dims.length === axis);
      return [name, [...dims.keys()].filter((axis) => isFirst && isJoined(axis))];
    }),
  );
}
