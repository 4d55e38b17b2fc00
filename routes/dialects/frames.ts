import { BadInput, kindOf, nameOf } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { byName } from '../../model/values/record';
import { isObject, type Query } from './dialect';
import { byFeature, matchNames, plain, show } from './names';
import { type Keyed, namer, placeIn, readRows } from './rows';

// Data frames, as pandas and MLflow write them.

export function readRecords({ dataframe_records: records }: Keyed, signature: Signature): Query {
  if (!Array.isArray(records))
    throw new BadInput(`dataframe_records must be an array, not ${kindOf(records)}`);
  const where = placeIn('dataframe_records');
  const odd = records.findIndex((record) => !isObject(record));
  if (odd >= 0) throw new BadInput(`${where(odd)} must be an object, not ${kindOf(records[odd])}`);
  const rows = needsFeatures(signature)
    ? records.map((record) => (checkColumns(Object.keys(record), signature) ? Object.values(record) : record))
    : records;
  return readRows(rows, signature, where);
}

export function readSplit({ dataframe_split: split }: Keyed, signature: Signature): Query {
  if (!isObject(split)) throw new BadInput(`dataframe_split must be an object, not ${kindOf(split)}`);
  const unknown = Object.keys(split).find((key) => !['columns', 'data', 'index'].includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} in dataframe_split`);
  const { columns: given, data } = split;
  const where = placeIn('dataframe_split.data');
  // MLflow's serving_input of a frame without names has no columns.
  if (given === undefined && Array.isArray(data) && needsFeatures(signature))
    return readRows(data, signature, where);
  if (!Array.isArray(given) || !given.every((name) => typeof name === 'string' || Number.isInteger(name))) {
    throw new BadInput('dataframe_split.columns must be an array of names');
  }
  if (!Array.isArray(data)) throw new BadInput('dataframe_split.data must be an array of rows');
  const names = given.map(String);
  const odd = data.findIndex((row) => !Array.isArray(row) || row.length !== names.length);
  const byPosition = needsFeatures(signature) && checkColumns(names, signature);
  const { inputs } = signature;
  const features = signature.features && byFeature(names, signature) ? signature.features : undefined;
  const known = features ?? inputs.map(({ name }) => name);
  const own = byPosition ? [] : matchNames(names, known, 'dataframe_split.columns');
  if (odd >= 0) throw new BadInput(`${where(odd)} must be an array of ${names.length} values`);
  if (byPosition) return readRows(data, signature, where);
  // Without inputs, rows are still counted.
  if (inputs.length === 0) return { columns: { data }, reply: 'many', nameOf };
  const places = own.map((name) => names.indexOf(name));
  const columns = features
    ? { [inputs[0].name]: data.map((row) => places.map((place) => row[place])) }
    : byName(inputs, (_, i) => data.map((row) => row[places[i]]));
  return {
    columns,
    reply: 'many',
    nameOf: namer(signature, where, features ? 'features' : 'inputs'),
  };
}

/** Whether a data frame's columns cannot be told by name. */
function needsFeatures({ inputs, features }: Signature): boolean {
  return inputs.length === 1 && !features;
}

/**
 * Whether the columns of a frame are unnamed, 0 to k−1 as pandas numbers them, and so read by position. Throws BadInput
 * for columns that a one-input model cannot tell apart.
 */
function checkColumns(columns: readonly string[], { inputs }: Signature): boolean {
  const [{ name: own }] = inputs;
  if (columns.length === 1 && columns[0] === own) return false;
  if (columns.length > 0 && columns.every((name, i) => name === String(i))) return true;
  if (columns.every((name) => plain(name) === plain(own))) return false;
  throw new BadInput("a data frame needs the names of the model's columns: set FEATURES");
}
