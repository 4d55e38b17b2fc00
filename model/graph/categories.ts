import { allNodes, type Node, type OnnxFile } from './onnx';

/** For the columns of an input, by their place, a category that the encoder which reads the column knows. */
export type Categories = Map<string, (string | number)[]>;

/** A column of one of the model's inputs. */
interface InputColumn {
  input: string;
  place: number;
}

const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;
const movers = /^(Concat|Gather|ArrayFeatureExtractor|Cast|Identity|Imputer)$/;
const tables = /^(OneHotEncoder|LabelEncoder|TfIdfVectorizer|CategoryMapper)$/;

/** Follows the columns of the inputs to the encoders that read them, through nodes that hand on, pick or join columns. */
export function findCategories({ graph }: OnnxFile): Categories {
  const categories: Categories = new Map();
  const columns = new Map<string, readonly InputColumn[]>();
  for (const { name, dims } of graph.inputs) {
    columns.set(
      name,
      Array.from({ length: widthOf(dims) }, (_, place) => ({ input: name, place })),
    );
  }
  const indices = new Map(graph.initializers.map(({ name, integers = [] }) => [name, integers]));
  for (const node of graph.nodes) {
    const given = node.inputs.map((tensor) => columns.get(tensor) ?? []);
    const [first = []] = given;
    if (encoders.test(node.op)) {
      const known = firstCategory(node);
      if (known === undefined || first.length !== 1) continue;
      const [{ input, place }] = first;
      const ofInput = categories.get(input) ?? [];
      ofInput[place] ??= known;
      categories.set(input, ofInput);
    } else if (movers.test(node.op)) {
      columns.set(node.outputs[0], columnsOf(node.op, given, indices.get(node.inputs[1]) ?? []));
    }
  }
  return categories;
}

/** Some strings that a model knows, from the tables of its encoders and vocabularies. */
export function findWords(file: OnnxFile): string[] {
  const words: string[] = [];
  for (const { op, attributes } of allNodes(file)) {
    if (!tables.test(op)) continue;
    for (const { strings } of attributes.values()) words.push(...strings.slice(0, mostWords - words.length));
  }
  return words;
}

const mostWords = 64;

/** The number of columns: one of a list, those of a matrix; 0 for anything else. */
function widthOf(dims: readonly number[] = []): number {
  if (dims.length === 1) return 1;
  return dims.length === 2 && dims[1] > 0 ? dims[1] : 0;
}

function firstCategory({ attributes }: Node): string | number | undefined {
  const lists = ['cats_strings', 'keys_strings', 'cats_int64s', 'keys_int64s'];
  const [known] = lists.flatMap((name) => {
    const { strings = [], ints = [] } = attributes.get(name) ?? {};
    return [...strings, ...ints.map(Number)];
  });
  return known;
}

/** The columns that a node gives; none where they cannot be told. */
function columnsOf(
  op: string,
  given: readonly (readonly InputColumn[])[],
  picked: readonly number[],
): readonly InputColumn[] {
  const [first = []] = given;
  if (op === 'Concat') return given.every(({ length }) => length > 0) ? given.flat() : [];
  if (op === 'Gather' || op === 'ArrayFeatureExtractor')
    return picked.flatMap((place) => first.at(place) ?? []);
  return first;
}
