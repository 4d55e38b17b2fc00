import { allNodes, type Node, type OnnxFile } from './onnx';

/** A column of an input, with a category that its encoder knows. */
type InputColumn = { category?: string | number };

const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;

/** The columns of inputs of which encoders read some: a list is one column, a matrix as many as it is wide. */
export function findCategories({ graph }: OnnxFile): Map<string, InputColumn[]> {
  const inputs = graph.inputs.map(({ name, dims: [, width = 1, ...rest] = [] }): [string, InputColumn[]] => {
    const length = rest.length === 0 && width > 0 ? width : 0;
    return [name, Array.from({ length }, () => ({}))];
  });
  const columns = new Map(inputs);
  const constants = new Map(graph.initializers.map(({ name, integers = [] }) => [name, integers]));
  for (const node of graph.nodes) {
    const operands = node.inputs.map((tensor) => columns.get(tensor) ?? []);
    columns.set(node.outputs[0], columnsBehind(node.op, operands, constants.get(node.inputs[1])));
    const [first = []] = operands;
    if (first.length === 1 && encoders.test(node.op)) first[0].category ??= firstCategory(node);
  }
  return new Map(inputs.filter(([, columns]) => columns.some(({ category }) => category !== undefined)));
}

/** The strings that a model knows, from the tables of its encoders and vocabularies. */
export function findWords(file: OnnxFile): string[] {
  const tables = [...allNodes(file)].filter(({ op }) => encoders.test(op) || op === 'TfIdfVectorizer');
  return tables.flatMap(({ attributes }) => [...attributes.values()].flatMap(({ strings }) => strings));
}

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
      emptyAxes.set(name, emptyAxes.get(name)?.filter((other) => other === joined) ?? []);
    }
  }
  return emptyAxes;
}

/** The columns that a node gives, none where they are not followed. */
function columnsBehind(op: string, operands: readonly InputColumn[][], picked: readonly number[] = []) {
  const [first = []] = operands;
  if (/^(Cast|Identity|Imputer)$/.test(op)) return first;
  if (/^(Gather|ArrayFeatureExtractor)$/.test(op)) return picked.flatMap((place) => first.at(place) ?? []);
  return op === 'Concat' && operands.every(({ length }) => length > 0) ? operands.flat() : [];
}

function firstCategory({ attributes }: Node): string | number | undefined {
  const lists = ['cats_strings', 'keys_strings', 'cats_int64s', 'keys_int64s'];
  const [found] = lists.flatMap((name) => attributes.get(name) ?? []);
  return found && [...found.strings, ...found.ints.map(Number)][0];
}
