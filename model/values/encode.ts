import { BadInput, kindOf, type Path } from '../errors';
import { type Input, instanceDims, type Kind, runsTogether, type Signature, showDims } from '../signature';
import { isBase64 } from './base64';
import { readBase64 } from './bytes';
import { Column, type Columns } from './column';
import { type Data, type Element, type ElementType, elementOf, type TypedData } from './elements';
import { checkNames, checkRows } from './names';
import { completeShape, type Expected, findUneven, fitFlat, fitShape, measure } from './shapes';
import { copyOf, rowsOf, type Shape, sameShape, sizeOf, stack, type Tensor } from './tensor';

/** The feeds of the runs that answer so many rows: in one run, or each in its own; none for no rows. */
export interface Encoded {
  readonly runs: Tensor[][];
  readonly rows: number;
  /** Whether the rows came in one piece, so that nobody tells them apart. */
  readonly isOnePiece: boolean;
}

/** The feeds of the runs that answer these columns. Throws BadInput with the place of the first value that does not fit. */
export function encode(columns: Columns, signature: Signature): Encoded {
  const { inputs, kind } = signature;
  const rows = countRows(columns, inputs);
  const isOnePiece = kind !== 'unbatched' && inputs.some(({ name }) => stackedOf(columns[name]));
  if (!isOnePiece) for (const { name } of inputs) checkRows(name, columns[name].length, inputs[0].name, rows);
  const tensors = inputs.map((input) => encodeColumn(columns[input.name], input, kind));
  // Some operators end the process on no rows, of which a wrapper's list makes no tensor.
  if (isOnePiece && tensors.every(([one]) => !one?.shape[0])) return { runs: [], rows, isOnePiece };
  const uneven = tensors.findIndex(({ length }) => length !== 1);
  if (isOnePiece && uneven >= 0) throw new BadInput(`${inputs[uneven].name} must have rows of one shape`);
  const isOneRun = (isOnePiece || runsTogether(signature)) && uneven < 0;
  if (!isOneRun && rows > mostRuns) {
    throw new BadInput(
      `${rows} rows would need a run each, where ${mostRuns} may: send fewer at once, or rows of one shape`,
    );
  }
  const runs = isOneRun ? [tensors.map(([tensor]) => tensor)] : runsByRow(tensors, rows, kind);
  return { runs, rows, isOnePiece };
}

/** Most rows of a request that need a run each: so many take long already. */
const mostRuns = 10_000;
/** Most rows that are not all plain JSON of one shape: each needs some memory of its own. */
const mostOddRows = 100_000;

/** A run for each row; without inputs for each value of any column. */
function runsByRow(columns: readonly Tensor[][], rows: number, kind: Kind): Tensor[][] {
  return Array.from({ length: rows }, (_, row) =>
    columns.map((tensors) => {
      const tensor = tensors.length === 1 ? rowsOf(tensors[0], row, row + 1) : tensors[row];
      return kind === 'unbatched' ? { ...tensor, shape: tensor.shape.slice(1) } : tensor;
    }),
  );
}

/** One tensor of all rows or, where they have different shapes, one a row. */
function encodeColumn(column: Columns[string], input: Input, kind: Kind): Tensor[] {
  const { name, type, missingText } = input;
  const rowDims = instanceDims(input, kind);
  // Of whole values, one behind another.
  const dims = kind === 'unbatched' ? rowDims && ['', ...rowDims] : input.dims;
  const stacked = stackedOf(column);
  if (stacked) return [encodeStacked(stacked, { type, dims }, [name])];
  const rows = column instanceof Column ? [...column] : column;
  if (rows.length === 0) return [];
  const lengths = measure(rows);
  const shape = completeShape(lengths, dims);
  const plain = shape && encodeNested(rows, type, lengths, shape);
  if (plain && 'data' in plain) return [plain];
  const expected = { type, dims: rowDims, kind, missingText };
  // The first row that is not like those before: most often the mistake.
  const [odd] = plain?.misfit ?? [0];
  encodeValue(rows[odd], expected, [name, odd]);
  if (rows.length > mostOddRows)
    throw new BadInput(`${rows.length} rows are not all plain values: send at most ${mostOddRows} at once`);
  const tensors = Array.from(rows, (value, row) => {
    const tensor = encodeValue(value, expected, [name, row]);
    return { ...tensor, shape: [1, ...tensor.shape] };
  });
  return tensors.every(({ shape }) => sameShape(shape, tensors[0].shape)) ? [stack(tensors)] : tensors;
}

function countRows(columns: Columns, inputs: readonly Input[]): number {
  if (inputs.length === 0) return Object.values(columns)[0]?.length ?? 1;
  checkNames(columns, inputs);
  for (const { name } of inputs) {
    const column = columns[name];
    // Code gives columns, too: a text has a length and would be read letter by letter.
    if (!Array.isArray(column) && !(column instanceof Column))
      throw new BadInput(`${name} must be an array of one value a row`);
  }
  return columns[inputs[0].name].length;
}

/** The tensor of a column whose rows came in one piece. */
function stackedOf(column: Columns[string]): Tensor | undefined {
  return column instanceof Column ? column.stacked : undefined;
}

/** A tensor of all rows, checked, in memory of its own: a run may take over its feeds', and code may read a Column again. */
function encodeStacked(tensor: Tensor, expected: Expected, place: Path): Tensor {
  const { type } = expected;
  if (tensor.type !== type) throw new BadInput(`must be ${type}, not ${tensor.type}`, place);
  return { ...copyOf(tensor), shape: fitShape(tensor.shape, expected, place) };
}

/** The tensor of one value by itself. Throws BadInput with the place of what does not fit. */
export function encodeValue(value: unknown, expected: Expected, place: Path): Tensor {
  const { type } = expected;
  if (isBase64(value) && type !== 'string') return readBase64(value, expected, place);
  const lengths = isTyped(value) ? [value.length] : measure(value);
  const shape = isTyped(value) ? fitFlat(value.length, expected, place) : fitShape(lengths, expected, place);
  const tensor = encodeNested(value, type, lengths, shape);
  if ('data' in tensor) return tensor;
  const { misfit } = tensor;
  const found = misfit.reduce((inner: unknown, i) => Object(inner)[i], value);
  const inner = lengths.slice(misfit.length);
  const takes =
    inner.length > 0 ? `an array of shape ${showDims(inner)} like its neighbours` : elementOf(type).takes;
  const gets = Array.isArray(found) && inner.length > 0 ? showDims([found.length]) : kindOf(found, type);
  const problem = `must be ${takes}, not ${gets}${adviceFor(found, expected)}`;
  throw new BadInput(problem, [...place, ...misfit]);
}

/** The tensor of arrays that nest as `lengths`, else the path to the first that does not, or to a value that does not fit. */
function encodeNested(
  value: unknown,
  type: ElementType,
  lengths: Shape,
  shape: Shape,
): Tensor | { misfit: number[] } {
  // Before memory is allocated for what the first of each would tell.
  const uneven = isTyped(value) ? undefined : findUneven(value, lengths);
  if (uneven) return { misfit: uneven };
  const element = elementOf(type);
  const data = element.create(sizeOf(shape));
  const misfit = fillNested(element, data, 0, [value], lengths)?.slice(1);
  return misfit ? { misfit } : { type, shape, data };
}

/** Stores values that nest as `lengths` from `at` on; gives the path to the first that does not fit. */
function fillNested(
  element: Element,
  data: Data,
  at: number,
  values: readonly unknown[],
  lengths: Shape,
): number[] | undefined {
  if (lengths.length === 0) {
    const misfit = element.fill(data, at, values);
    return misfit < 0 ? undefined : [misfit];
  }
  const [size, inner] = [sizeOf(lengths), lengths.slice(1)];
  for (let i = 0; i < values.length; i++) {
    const path = fillNested(element, data, at + i * size, values[i] as unknown[], inner);
    if (path) return [i, ...path];
  }
  return undefined;
}

function isTyped(value: unknown): value is TypedData {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** What helps where pandas has written a value of another kind: an object by row for a column, null for a missing text. */
function adviceFor(value: unknown, { type, missingText }: Expected): string {
  if (kindOf(value) === 'an object' && !isBase64(value))
    return '; send the rows of a data frame: to_json(orient="records")';
  if (value !== null || type !== 'string') return '';
  return missingText === undefined
    ? '; where the model was trained, a missing text is called "nan" by pandas, "" by an imputer'
    : `; where this model was trained, a missing text is called ${JSON.stringify(missingText)}`;
}
