import { allNodes, type Node, type OnnxFile } from './onnx';

/** A column of an input, with a category that its encoder knows. */
export interface InputColumn {
  category?: string | number;
}

const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;

/** The columns of inputs of which encoders read some: a list is one column, a matrix as many as it is wide. */
export function findCategories({ graph }: OnnxFile): Map<string, InputColumn[]> {
  const inputs = graph.inputs.map(({ name, dims }): [string, InputColumn[]] => [name, columnsOf(dims)]);
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

function columnsOf([, width = 1, ...rest]: readonly number[] = []): InputColumn[] {
  const length = rest.length === 0 && width > 0 ? width : 0;
  return Array.from({ length }, () => ({}));
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
