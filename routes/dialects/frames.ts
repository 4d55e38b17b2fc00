import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { objectAt, type Query } from './dialect';
import { bare, type Instance, readInstance, readRows } from './instances';
import { matchKeys, show } from './names';

// Data frames, as pandas and MLflow write them.

export function readRecords(records: unknown, signature: Signature): Query {
  return readRows(records, signature, ['dataframe_records'], (record, _, at) => {
    const keyed = objectAt(record, at);
    const isUnnamed = areUnnamed(Object.keys(keyed), signature);
    return isUnnamed ? readUnnamed(Object.values(keyed), signature) : readInstance(keyed, signature, at);
  });
}

export function readSplit(split: unknown, signature: Signature): Query {
  const frame = ['dataframe_split'];
  const { columns, data, index, ...rest } = objectAt(split, frame);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new BadInput(`has an unknown key ${show(unknown)}`, frame);
  const list = [...frame, 'data'];
  // MLflow's serving_input of a frame without names has no columns.
  if (columns === undefined && mayBeUnnamed(signature)) return readRows(data, signature, list, readUnnamed);
  if (!Array.isArray(columns) || columns.some((name) => typeof name === 'object'))
    throw new BadInput('must be an array of names', [...frame, 'columns']);
  const names = columns.map(String);
  const matched = areUnnamed(names, signature)
    ? undefined
    : matchKeys(names, signature, [...frame, 'columns']);
  const places = matched?.keys.map((key) => names.indexOf(key)) ?? [];
  return readRows(data, signature, list, (row, _, at) => {
    if (!Array.isArray(row) || row.length !== names.length)
      throw new BadInput(`must be an array of ${names.length} values`, at);
    return matched
      ? { by: matched.by, values: places.map((place) => row[place]) }
      : readUnnamed(row, signature);
  });
}

/** A row whose columns are unnamed: the value of the one input, which may be a single one. */
function readUnnamed(row: unknown, { inputs: [{ dims }] }: Signature): Instance {
  return bare(dims.length === 1 && Array.isArray(row) && row.length === 1 ? row[0] : row);
}

/** Whether a data frame's columns may be told by position. */
function mayBeUnnamed({ inputs, features }: Signature): boolean {
  return inputs.length === 1 && !features;
}

/** Whether the columns of a frame are unnamed, 0 to k−1 as pandas numbers them, and so read by position. */
function areUnnamed(columns: readonly string[], signature: Signature): boolean {
  if (!mayBeUnnamed(signature) || columns.length === 0) return false;
  const isInput = columns.length === 1 && columns[0] === signature.inputs[0].name;
  return !isInput && columns.every((name, i) => name === String(i));
}
