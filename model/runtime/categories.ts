/** For the columns of an input, by their place, a category that the encoder which reads the column knows. */
export type Categories = Map<string, (string | number)[]>;

/** A node that hands on, picks, joins or encodes columns. */
export interface ColumnNode {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  /** The first category of an encoder. */
  known?: string | number;
}

/** A column of one of the model's inputs. */
interface InputColumn {
  input: string;
  place: number;
}

export const encoders = /^(OneHotEncoder|LabelEncoder|CategoryMapper)$/;
export const columnOperators = new RegExp(
  `${encoders.source}|^(Concat|Gather|ArrayFeatureExtractor|Cast|Identity|Imputer)$`,
);

/**
 * Follows the columns of the inputs to the encoders that read them, through nodes in their order. Takes how many columns
 * each input has, and the values of the tensors by which nodes pick columns.
 */
export function findCategories(
  nodes: readonly ColumnNode[],
  widths: ReadonlyMap<string, number>,
  indices: ReadonlyMap<string, readonly number[]>,
): Categories {
  const categories: Categories = new Map();
  if (nodes.every(({ known }) => known === undefined)) return categories;
  const columns = new Map<string, readonly InputColumn[]>();
  for (const [input, length] of widths) {
    columns.set(
      input,
      Array.from({ length }, (_, place) => ({ input, place })),
    );
  }
  for (const { op, inputs, outputs, known } of nodes) {
    const given = inputs.map((tensor) => columns.get(tensor) ?? []);
    const [first = []] = given;
    if (encoders.test(op)) {
      if (known === undefined || first.length !== 1) continue;
      const [{ input, place }] = first;
      const ofInput = categories.get(input) ?? [];
      ofInput[place] ??= known;
      categories.set(input, ofInput);
    } else columns.set(outputs[0], columnsOf(op, given, indices.get(inputs[1]) ?? []));
  }
  return categories;
}

/** The columns that a node gives; none where they cannot be told. */
function columnsOf(
  op: string,
  given: readonly (readonly InputColumn[])[],
  picked: readonly number[],
): readonly InputColumn[] {
  const [first] = given;
  if (op === 'Concat') return given.every(({ length }) => length > 0) ? given.flat() : [];
  if (op === 'Gather' || op === 'ArrayFeatureExtractor')
    return picked.flatMap((place) => first.at(place) ?? []);
  return first;
}
