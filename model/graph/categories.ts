import { allNodes, type Node, type OnnxFile } from './onnx';

/** For the columns of an input, by their place, a category that the encoder which reads the column knows. */
type Categories = Map<string, (string | number)[]>;

interface InputColumn {
  input: string;
  place: number;
}

const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;

/** Follows the columns of the inputs to the encoders that read them, through nodes that hand on, pick or join columns. */
export function findCategories({ graph }: OnnxFile): Categories {
  const categories: Categories = new Map();
  const columns = new Map(graph.inputs.map(({ name, dims }) => [name, columnsOf(name, dims)]));
  const constants = new Map(graph.initializers.map(({ name, integers = [] }) => [name, integers]));
  for (const node of graph.nodes) {
    const operands = node.inputs.map((tensor) => columns.get(tensor) ?? []);
    const picked = constants.get(node.inputs[1]) ?? [];
    columns.set(node.outputs[0], columnsBehind(node.op, operands, picked));
    const [first = []] = operands;
    const category = encoders.test(node.op) ? firstCategory(node) : undefined;
    if (category === undefined || first.length !== 1) continue;
    const [{ input, place }] = first;
    const ofInput = categories.get(input) ?? [];
    ofInput[place] ??= category;
    categories.set(input, ofInput);
  }
  return categories;
}

/** The strings that a model knows, from the tables of its encoders and vocabularies. */
export function findWords(file: OnnxFile): string[] {
  const tables = [...allNodes(file)].filter(({ op }) => encoders.test(op) || op === 'TfIdfVectorizer');
  return tables.flatMap(({ attributes }) => [...attributes.values()].flatMap(({ strings }) => strings));
}

/** A list is one column, a matrix as many as it is wide; nothing is told of other inputs. */
function columnsOf(input: string, dims: readonly number[] = []): InputColumn[] {
  const length = dims.length === 1 ? 1 : dims.length === 2 && dims[1] > 0 ? dims[1] : 0;
  return Array.from({ length }, (_, place) => ({ input, place }));
}

/** The columns that a node gives, none where they are not followed. */
function columnsBehind(op: string, operands: readonly InputColumn[][], picked: readonly number[]) {
  const [first = []] = operands;
  if (/^(Cast|Identity|Imputer)$/.test(op)) return first;
  if (/^(Gather|ArrayFeatureExtractor)$/.test(op)) return picked.flatMap((place) => first.at(place) ?? []);
  return op === 'Concat' && operands.every(({ length }) => length > 0) ? operands.flat() : [];
}

function firstCategory({ attributes }: Node): string | number | undefined {
  const lists = ['cats_strings', 'keys_strings', 'cats_int64s', 'keys_int64s'];
  const [found] = lists.flatMap((name) => attributes.get(name) ?? []);
  return found?.strings[0] ?? (found?.ints.length ? Number(found.ints[0]) : undefined);
}
