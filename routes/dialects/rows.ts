import { BadInput, type Path } from '../../model/errors';
import { instanceDims, type Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { byName } from '../../model/values/column';
import { completeShape, measure } from '../../model/values/shapes';
import { arrayAt, isObject, type NamedBy, objectAt, type Query } from './dialect';
import { matchKeys, showName } from './keys';

/** The value of each input or, where these name them, of each feature of the one input. */
export interface Instance {
  readonly by: NamedBy;
  readonly values: readonly unknown[];
}

/** Asks for the predictions of the instances of a list or, where no path to it is given, of its only one. Throws BadInput. */
export function readRows(list: unknown, signature: Signature, listPath?: Path, read = readInstance): Query {
  const { inputs, features = [] } = signature;
  const columns = inputs.map((): unknown[] => []);
  const namedBy: NamedBy[] = [];
  // Nothing else is kept of a row: there may be millions.
  for (const [row, instance] of arrayAt(list, listPath ?? []).entries()) {
    const path = listPath ? [...listPath, row] : [];
    const { by, values } = read(instance, signature, path);
    namedBy.push(by);
    const misfit = by === 'features' ? values.findIndex(Array.isArray) : -1;
    if (misfit >= 0)
      throw new BadInput('must be one value, not an array as in {"inputs": …}', [...path, features[misfit]]);
    for (let i = 0; i < columns.length; i++) columns[i].push(by === 'features' ? values : values[i]);
  }
  return {
    // Without inputs, rows are still counted.
    columns: inputs.length === 0 ? { namedBy } : byName(inputs, (_, i) => columns[i]),
    reply: listPath ? 'predictions' : 'prediction',
    rows: { listPath, namedBy },
  };
}

/** Rethrows an error; a BadInput with its path as the body spells it: `instances[2].age`, not `age[2]`. */
export function rethrowInBody(error: unknown, { rows }: Pick<Query, 'rows'>, signature: Signature): never {
  if (!(error instanceof BadInput && error.path && rows)) throw error;
  const { inputs, features = [] } = signature;
  const [input, row = 0, ...inner] = error.path;
  // A column that code around the model gives is not in the body.
  if (inputs.every(({ name }) => name !== input)) throw error;
  const by = rows.namedBy[Number(row)];
  const named = by === 'features' ? [features[Number(inner[0])] ?? input] : [input, ...inner];
  const inRow = by === 'nothing' ? inner : named;
  throw new BadInput(error.problem, rows.listPath ? [...rows.listPath, row, ...inRow] : named);
}

/** The values of inputs or of features, by their names; for a one-input model also its bare value. Throws BadInput. */
export function readInstance(value: unknown, signature: Signature, path: Path): Instance {
  if (isBare(value, signature)) return { by: 'nothing', values: [value] };
  const { inputs } = signature;
  const keyed = objectAt(value, path, `an object with the model's ${inputs.length} inputs`);
  const names = Object.keys(keyed);
  // Nearly all are keyed by just the inputs.
  if (names.length === inputs.length && inputs.every(({ name }) => Object.hasOwn(keyed, name)))
    return { by: 'inputs', values: inputs.map(({ name }) => keyed[name]) };
  const { by, keys } = matchKeys(names, signature, path);
  return { by, values: keys.map((key) => keyed[key]) };
}

/** Whether this is the value of a one-input model, and not an object keyed by names; bytes are an object in place of arrays. */
export function isBare(value: unknown, { inputs, features }: Signature): boolean {
  if (inputs.length !== 1) return false;
  return !isObject(value) || (isBase64(value) && inputs[0].name !== 'b64' && !features?.includes('b64'));
}

export function readRecords(records: unknown, signature: Signature): Query {
  return readRows(records, signature, ['dataframe_records'], (record, _, path) => {
    const keyed = objectAt(record, path);
    const isUnnamed = areUnnamed(Object.keys(keyed), signature);
    return isUnnamed ? readUnnamed(Object.values(keyed), signature) : readInstance(keyed, signature, path);
  });
}

export function readSplit(split: unknown, signature: Signature): Query {
  const path = ['dataframe_split'];
  const { columns, data, index, ...rest } = objectAt(split, path);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new BadInput(`has an unknown key ${showName(unknown)}`, path);
  const dataPath = [...path, 'data'];
  if (areUnnamed(columns, signature)) return readRows(data, signature, dataPath, readUnnamed);
  const columnsPath = [...path, 'columns'];
  if (!Array.isArray(columns) || columns.some((name) => typeof name === 'object'))
    throw new BadInput('must be an array of names', columnsPath);
  const names = columns.map(String);
  const { by, keys } = matchKeys(names, signature, columnsPath);
  const places = keys.map((key) => names.indexOf(key));
  return readRows(data, signature, dataPath, (row, _, path) => {
    if (!Array.isArray(row) || row.length !== names.length)
      throw new BadInput(`must be an array of ${names.length} values`, path);
    return { by, values: places.map((place) => row[place]) };
  });
}

/** A row whose columns are unnamed: the value of the one input, which may lie in one of them. */
function readUnnamed(row: unknown, { inputs: [input], kind }: Signature): Instance {
  const dims = instanceDims(input, kind);
  const isOne = dims && Array.isArray(row) && row.length === 1 && completeShape(measure(row[0]), dims);
  return { by: 'nothing', values: [isOne ? row[0] : row] };
}

/** pandas numbers unnamed columns from 0 to k−1, and MLflow's serving_input leaves them out. */
function areUnnamed(columns: unknown, { inputs, features }: Signature): boolean {
  if (inputs.length !== 1 || features) return false;
  if (!Array.isArray(columns)) return columns === undefined;
  return columns.length > 0 && columns.every((name, i) => name === i || name === String(i));
}
