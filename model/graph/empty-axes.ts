import { allNodes, type OnnxFile } from './onnx';

/** For an input, the axes along which it may be empty, as a decoder's past: many operators end the process where another is. */
export function findEmptyAxes(file: OnnxFile): Map<string, number[]> {
  const { inputs } = file.graph;
  const emptyAxes = new Map(inputs.map(({ name, dims = [] }) => [name, [...dims.keys()]]));
  // The input of which a tensor is a copy.
  const copied = new Map(inputs.map((input) => [input.name, input]));
  for (const { op, inputs, outputs, attributes } of allNodes(file)) {
    const read = inputs.map((tensor) => copied.get(tensor));
    const known = read.filter((input) => input !== undefined);
    const [first] = known;
    if (/^(Cast|Identity)$/.test(op) && first) copied.set(outputs[0], first);
    if (/^(Cast|Identity|Shape|Size)$/.test(op)) continue;
    // Of inputs that are joined, the first may be empty.
    const isJoined = op === 'Concat' && read.some((other) => other !== first);
    for (const { name, dims = [] } of known) {
      const axis = isJoined && name === first.name ? (attributes.get('axis')?.i ?? 0) : Number.NaN;
      const joined = axis < 0 ? axis + dims.length : axis;
      emptyAxes.set(name, emptyAxes.get(name)?.filter((axis) => axis === joined) ?? []);
    }
  }
  return emptyAxes;
}
