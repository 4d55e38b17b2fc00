import { isTypedArray } from 'node:util/types';
import { BadInput, kindOf, type Path } from '../errors';
import { type Input, instanceDims, type Kind, type Signature, showDims } from '../signature';
import { type Base64, decodeBase64, isBase64 } from './base64';
import { Column, type Columns } from './column';
import { type Data, type ElementType, elements } from './elements';
import { completeShape, type Expected, findUneven, fitFlat, fitShape, measure } from './shapes';
import { rowsOf, type Shape, sameShape, sizeOf, stack, type Tensor } from './tensor';

/** The feeds of the runs that answer so many rows: in one run, or each in its own; none for no rows. */
export interface Encoded {
  readonly runs: Tensor[][];
  readonly rows: number;
  readonly isOnePiece: boolean;
}

/** The feeds of the runs that answer these columns. Throws BadInput with the path to the first value that does not fit. */
export function encode(columns: Columns, { inputs, outputs, kind }: Signature): Encoded {
  const rows = countRows(columns, inputs);
  const isOnePiece =
    kind !== 'unbatched' && Object.values(columns).some((one) => one instanceof Column && one.isOnePiece);
  if (!isOnePiece) for (const { name } of inputs) checkRows(name, columns[name].length, inputs[0].name, rows);
  const tensors = inputs.map((input) => encodeColumn(columns[input.name], input, kind));
  // No run for no rows, on which some operators end the process; an empty list has made no tensor.
  if (rows === 0 && tensors.every(([one]) => !one?.shape[0])) return { runs: [], rows, isOnePiece };
  const uneven = tensors.findIndex(({ length }) => length !== 1);
  if (isOnePiece && uneven >= 0) throw new BadInput(`${inputs[uneven].name} must have rows of one shape`);
  // Outputs without a batch dimension would not tell rows apart that ran together.
  const mayRunTogether = isOnePiece || (kind === 'batched' && outputs.every(({ batch }) => batch));
  const isOneRun = mayRunTogether && uneven < 0;
  if (!isOneRun && rows > mostRuns)
    throw new BadInput(`${rows} rows would need a run each: send at most ${mostRuns}, or rows of one shape`);
  const runs = isOneRun ? [tensors.map(([tensor]) => tensor)] : runsByRow(tensors, rows, kind);
  return { runs, rows, isOnePiece };
}

/** Most rows of a request that need a run each: so many take long already. */
const mostRuns = 10_000;
/** Most rows that are encoded one by one, where not all are plain JSON of one shape: each needs some memory of its own. */
const mostLoneRows = 100_000;

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
  const { name, type } = input;
  const rowDims = instanceDims(input, kind);
  const dims = rowDims && ['', ...rowDims];
  if (column instanceof Column && column.stacked) {
    const { type: given, shape, data } = column.stacked;
    if (given !== type) throw new BadInput(`must be ${type}, not ${given}`, [name]);
    // In memory of its own: a run may take over its feeds', and code may read a Column again.
    return [{ type, shape: fitShape(shape, { type, dims }, [name]), data: data.slice() }];
  }
  const rows = column instanceof Column ? [...column] : column;
  if (rows.length === 0) return [];
  const lengths = measure(rows);
  const shape = completeShape(lengths, dims);
  const encoded = shape && encodeNested(rows, type, lengths, shape);
  if (encoded && !Array.isArray(encoded)) return [encoded];
  const expected = { ...input, dims: rowDims, kind };
  // The first row that is not like those before: most often the mistake.
  const [misfit] = encoded ?? [0];
  const first = encodeValue(rows[misfit], expected, [name, misfit]);
  if (rows.length > mostLoneRows)
    throw new BadInput(`${rows.length} rows are not all plain values: send at most ${mostLoneRows} at once`);
  const tensors = Array.from(rows, (value, row) => {
    const tensor = row === misfit ? first : encodeValue(value, expected, [name, row]);
    return { ...tensor, shape: [1, ...tensor.shape] };
  });
  return tensors.every(({ shape }) => sameShape(shape, tensors[0].shape)) ? [stack(tensors)] : tensors;
}

/** The rows of columns that are what they must be, one for each input; their lengths may still differ. Throws BadInput. */
function countRows(columns: Columns, inputs: readonly Input[]): number {
  const names = Object.keys(columns);
  if (inputs.length === 0) return columns[names[0]]?.length ?? 1;
  for (const { name } of inputs) {
    if (!Object.hasOwn(columns, name)) throw new BadInput(`missing input ${JSON.stringify(name)}`);
    const column = columns[name];
    // Code gives columns, too: a text has a length and would be read letter by letter.
    if (!Array.isArray(column) && !(column instanceof Column))
      throw new BadInput(`${name} must be an array of one value a row`);
  }
  if (names.length > inputs.length) {
    const unknown = names.find((key) => inputs.every(({ name }) => name !== key));
    throw new BadInput(`unknown input ${JSON.stringify(unknown)}`);
  }
  return columns[inputs[0].name].length;
}

/** Throws BadInput where an input has another number of rows than the first. */
export function checkRows(name: string, rows: number, first: string, expected: number): void {
  if (rows !== expected) throw new BadInput(`${name} has ${rows} rows but ${first} has ${expected}`);
}

/** The tensor of one value by itself. Throws BadInput with the path to what does not fit. */
export function encodeValue(value: unknown, expected: Expected, path: Path): Tensor {
  const { type } = expected;
  if (isBase64(value) && type !== 'string') return encodeBase64(value, expected, path);
  const isFlat = isTypedArray(value);
  const lengths = isFlat ? [value.length] : measure(value);
  const shape = isFlat ? fitFlat(value.length, expected, path) : fitShape(lengths, expected, path);
  const encoded = encodeNested(value, type, lengths, shape);
  if (!Array.isArray(encoded)) return encoded;
  const found = encoded.reduce((inner: unknown, i) => Object(inner)[i], value);
  const inner = lengths.slice(encoded.length);
  const takes =
    inner.length > 0 ? `an array of shape ${showDims(inner)} like its neighbours` : elements[type].takes;
  const gets = Array.isArray(found) && inner.length > 0 ? showDims([found.length]) : kindOf(found, type);
  const problem = `must be ${takes}, not ${gets}${adviceFor(found, expected)}`;
  throw new BadInput(problem, [...path, ...encoded]);
}

function encodeBase64(value: Base64, expected: Expected, path: Path): Tensor {
  const { type } = expected;
  const { b64, shape: stated = null, ...rest } = value;
  const bytesPath = [...path, 'b64'];
  const bytes = decodeBase64(b64);
  if (!bytes) throw new BadInput('is not base64', bytesPath);
  if (Object.keys(rest).length > 0) throw new BadInput('has an unknown key beside b64 and shape', path);
  const count = bytes.length / elements[type].bytes;
  if (stated === null && !Number.isInteger(count))
    throw new BadInput(`has ${bytes.length} bytes, not ${type}s`, bytesPath);
  const shape = stated === null ? fitFlat(count, expected, path) : fitShape(stated, expected, path);
  return { type, shape, data: dataFromBytes(bytes, type, shape, bytesPath) };
}

/** Little-endian bytes as the data of a tensor of this shape, in memory of its own. Throws BadInput. */
export function dataFromBytes(bytes: Uint8Array, type: ElementType, shape: Shape, path: Path): Data {
  const { create, bytes: width } = elements[type];
  const size = sizeOf(shape);
  if (bytes.length !== size * width) {
    const takes = `${size * width} bytes for ${type}${showDims(shape)}`;
    throw new BadInput(`must hold ${takes}, not ${bytes.length}`, path);
  }
  if (type === 'bool' && bytes.some((byte) => byte > 1))
    throw new BadInput('must hold only bytes 0 and 1 for bool', path);
  const data = create(size);
  if (!Array.isArray(data)) new Uint8Array(data.buffer).set(bytes);
  return data;
}

/** The tensor of arrays that nest as `lengths`, else the path to the first that does not, or to a value that does not fit. */
function encodeNested(value: unknown, type: ElementType, lengths: Shape, shape: Shape): Tensor | number[] {
  // Before memory is allocated for what the first of each would tell.
  const uneven = isTypedArray(value) ? undefined : findUneven(value, lengths);
  if (uneven) return uneven;
  const tensor = { type, shape, data: elements[type].create(sizeOf(shape)) };
  return fillNested(tensor, 0, [value], lengths)?.slice(1) ?? tensor;
}

/** Stores arrays that nest as `lengths` in a tensor, from `at` on; gives the path to the first value that does not fit. */
function fillNested(tensor: Tensor, at: number, values: unknown[], lengths: Shape): number[] | undefined {
  if (lengths.length === 0) {
    const misfit = elements[tensor.type].fill(tensor.data, at, values);
    return misfit < 0 ? undefined : [misfit];
  }
  const [size, inner] = [sizeOf(lengths), lengths.slice(1)];
  for (let i = 0; i < values.length; i++) {
    const path = fillNested(tensor, at + i * size, values[i] as unknown[], inner);
    if (path) return [i, ...path];
  }
  return undefined;
}

/** What helps where pandas has written a value of another kind: an object by row for a column, null for a missing text. */
function adviceFor(value: unknown, { type, missingText }: Expected): string {
  if (kindOf(value) === 'an object' && !isBase64(value))
    return '; send the rows of a data frame: to_json(orient="records")';
  if (value !== null || type !== 'string') return '';
  const called =
    missingText === undefined ? '"nan" by pandas, "" by an imputer' : JSON.stringify(missingText);
  return `; where the model was trained, a missing text is called ${called}`;
}
