import { BadInput, kindOf } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isObject, type Query } from './dialect';
import { columnsOf, featuresRow, namer, placeIn, readRows } from './instances';
import { matchKeys, plain, show } from './names';

// Data frames, as pandas and MLflow write them.

export function readRecords(records: unknown, signature: Signature): Query {
  if (!Array.isArray(records))
    throw new BadInput(`dataframe_records must be an array, not ${kindOf(records)}`);
  const nameRow = placeIn('dataframe_records');
  const misfit = records.findIndex((record) => !isObject(record));
  if (misfit >= 0) throw new BadInput(`${nameRow(misfit)} must be an object, not ${kindOf(records[misfit])}`);
  const rows = records.map((record) =>
    isByPosition(Object.keys(record), signature) ? Object.values(record) : record,
  );
  return readRows(rows, signature, nameRow);
}

export function readSplit(split: unknown, signature: Signature): Query {
  if (!isObject(split)) throw new BadInput(`dataframe_split must be an object, not ${kindOf(split)}`);
  const unknown = Object.keys(split).find((key) => !['columns', 'data', 'index'].includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} in dataframe_split`);
  const { columns, data } = split;
  const nameRow = placeIn('dataframe_split.data');
  // MLflow's serving_input of a frame without names has no columns.
  if (columns === undefined && Array.isArray(data) && needsFeatures(signature))
    return readRows(data, signature, nameRow);
  if (!Array.isArray(columns) || !columns.every(isColumnName)) {
    throw new BadInput('dataframe_split.columns must be an array of names');
  }
  if (!Array.isArray(data)) throw new BadInput('dataframe_split.data must be an array of rows');
  const names = columns.map(String);
  const matched = isByPosition(names, signature)
    ? undefined
    : matchKeys(names, signature, 'dataframe_split.columns');
  const misfit = data.findIndex((row) => !Array.isArray(row) || row.length !== names.length);
  if (misfit >= 0) throw new BadInput(`${nameRow(misfit)} must be an array of ${names.length} values`);
  if (!matched) return readRows(data, signature, nameRow);
  const { by, keys } = matched;
  const places = keys.map((key) => names.indexOf(key));
  const rows = data.map((row, i) => {
    const values = places.map((place) => row[place]);
    return by === 'inputs' ? values : [featuresRow(values, signature, nameRow(i))];
  });
  const namedBy = rows.map(() => by);
  return {
    columns: columnsOf(rows, signature.inputs),
    reply: 'many',
    nameOf: namer(signature, nameRow, namedBy),
  };
}

function isColumnName(name: unknown): name is string | number {
  return typeof name === 'string' || Number.isInteger(name);
}

/** Whether a data frame's columns cannot be told by name. */
function needsFeatures({ inputs, features }: Signature): boolean {
  return inputs.length === 1 && !features;
}

/**
 * Whether the columns of a frame are unnamed, 0 to k−1 as pandas numbers them, and so read by position. Throws BadInput
 * for columns that a one-input model cannot tell apart.
 */
function isByPosition(columns: readonly string[], signature: Signature): boolean {
  if (!needsFeatures(signature)) return false;
  const [{ name: input }] = signature.inputs;
  if (columns.length === 1 && columns[0] === input) return false;
  if (columns.length > 0 && columns.every((name, i) => name === String(i))) return true;
  if (columns.every((name) => plain(name) === plain(input))) return false;
  throw new BadInput("a data frame needs the names of the model's columns: set FEATURES");
}
