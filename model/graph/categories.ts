import { allNodes, type Node, type OnnxFile } from './onnx';

/** For the columns of an input, by their place, a category that the encoder which reads the column knows. */
export type Categories = Map<string, (string | number)[]>;

/** A column of one of the model's inputs. */
interface Column {
  input: string;
  place: number;
}

const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;
const vocabularies = /^(OneHotEncoder|LabelEncoder|CategoryMapper|TfIdfVectorizer)$/;

/** Follows the columns of the inputs to the encoders that read them, through nodes that hand on, pick or join columns. */
export function findCategories({ graph }: OnnxFile): Categories {
  const categories: Categories = new Map();
  const columns = new Map(graph.inputs.map(({ name, dims }) => [name, columnsOf(name, dims)]));
  const constants = new Map(graph.initializers.map(({ name, integers = [] }) => [name, integers]));
  for (const node of graph.nodes) {
    const operands = node.inputs.map((tensor) => columns.get(tensor) ?? []);
    const [first = []] = operands;
    const give = (given: Column[]) => columns.set(node.outputs[0], given);
    if (/^(Cast|Identity|Imputer)$/.test(node.op)) give(first);
    if (node.op === 'Concat' && operands.every(({ length }) => length > 0)) give(operands.flat());
    if (/^(Gather|ArrayFeatureExtractor)$/.test(node.op))
      give((constants.get(node.inputs[1]) ?? []).flatMap((place) => first.at(place) ?? []));
    const known = encoders.test(node.op) ? firstCategory(node) : undefined;
    if (known === undefined || first.length !== 1) continue;
    const [{ input, place }] = first;
    const ofInput = categories.get(input) ?? [];
    ofInput[place] ??= known;
    categories.set(input, ofInput);
  }
  return categories;
}

/** The strings that a model knows, from the tables of its encoders and vocabularies. */
export function findWords(file: OnnxFile): string[] {
  const tables = [...allNodes(file)].filter(({ op }) => vocabularies.test(op));
  return tables.flatMap(({ attributes }) => [...attributes.values()].flatMap(({ strings }) => strings));
}

/** A list is one column, a matrix as many as it is wide; nothing is told of other inputs. */
function columnsOf(input: string, dims: readonly number[] = []): Column[] {
  const length = dims.length === 1 ? 1 : dims.length === 2 && dims[1] > 0 ? dims[1] : 0;
  return Array.from({ length }, (_, place) => ({ input, place }));
}

function firstCategory({ attributes }: Node): string | number | undefined {
  const lists = ['cats_strings', 'keys_strings', 'cats_int64s', 'keys_int64s'];
  const [found] = lists.flatMap((name) => attributes.get(name) ?? []);
  return found?.strings[0] ?? (found?.ints.length ? Number(found.ints[0]) : undefined);
}
