import { allNodes, type OnnxFile } from './onnx';

/**
 * For an input, the axes along which it may be empty, since no node sees that: a decoder's empty past is joined to what
 * follows it, and its length is asked for. Many operators end the process where a length is 0.
 */
export function findEmptyAxes(file: OnnxFile): Map<string, number[]> {
  const { inputs } = file.graph;
  const emptyAxes = new Map(inputs.map(({ name, dims = [] }) => [name, [...dims.keys()]]));
  // The input of which a tensor is a copy.
  const copied = new Map(inputs.map((input) => [input.name, input]));
  for (const { op, inputs, outputs, attributes } of allNodes(file)) {
    const read = inputs.map((tensor) => copied.get(tensor));
    const first = read.find((input) => input !== undefined);
    if (/^(Cast|Identity)$/.test(op) && first) copied.set(outputs[0], first);
    if (/^(Cast|Identity|Shape|Size)$/.test(op)) continue;
    // Of inputs that are joined, the first may be empty.
    const isJoined = op === 'Concat' && read.some((other) => other !== first);
    for (const input of read) {
      if (!input) continue;
      const { name, dims = [] } = input;
      const joined =
        isJoined && input === first ? [...dims.keys()].at(attributes.get('axis')?.i ?? 0) : undefined;
      emptyAxes.set(name, emptyAxes.get(name)?.filter((axis) => axis === joined) ?? []);
    }
  }
  return emptyAxes;
}
