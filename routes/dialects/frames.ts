import { BadInput } from '../../model/errors';
import { instanceDims, type Signature } from '../../model/signature';
import { completeShape, measure } from '../../model/values/shapes';
import { objectAt, type Query } from './dialect';
import { type Instance, readInstance, readRows, unnamed } from './instances';
import { matchKeys, showName } from './keys';

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
  if (unknown !== undefined) throw new BadInput(`has an unknown key ${showName(unknown)}`, frame);
  const list = [...frame, 'data'];
  if (areUnnamed(columns, signature)) return readRows(data, signature, list, readUnnamed);
  const at = [...frame, 'columns'];
  if (!Array.isArray(columns) || columns.some((name) => typeof name === 'object'))
    throw new BadInput('must be an array of names', at);
  const names = columns.map(String);
  const { by, keys } = matchKeys(names, signature, at);
  const places = keys.map((key) => names.indexOf(key));
  return readRows(data, signature, list, (row, _, at) => {
    if (!Array.isArray(row) || row.length !== names.length)
      throw new BadInput(`must be an array of ${names.length} values`, at);
    return { by, values: places.map((place) => row[place]) };
  });
}

/** A row whose columns are unnamed: the value of the one input, which may lie in one of them. */
function readUnnamed(row: unknown, { inputs: [input], kind }: Signature): Instance {
  const dims = instanceDims(input, kind);
  const isOne = dims && Array.isArray(row) && row.length === 1 && completeShape(measure(row[0]), dims);
  return unnamed(isOne ? row[0] : row);
}

/**
 * Whether the columns of a frame are read by position: pandas numbers unnamed ones from 0 to k−1, and MLflow's serving_input
 * leaves them out.
 */
function areUnnamed(columns: unknown, { inputs, features }: Signature): boolean {
  if (inputs.length !== 1 || features) return false;
  if (!Array.isArray(columns)) return columns === undefined;
  return columns.length > 0 && columns.every((name, i) => name === i || name === String(i));
}
