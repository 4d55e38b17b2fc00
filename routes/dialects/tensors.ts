import { BadInput, kindOf, nameOf } from '../../model/errors';
import type { Input, Kind, Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { Column, type Columns } from '../../model/values/column';
import { elementOf } from '../../model/values/elements';
import { encodeValue } from '../../model/values/encode';
import { byName, checkRows } from '../../model/values/names';
import type { Tensor } from '../../model/values/tensor';
import type { Query } from './dialect';
import { isKeyed } from './instances';
import { matchKeys } from './names';

// Whole tensors, all rows in one piece.

/** `inputs`: whole tensors by input, columns by feature or, for a one-input model, a bare tensor. */
export function readTensors(value: unknown, signature: Signature): Query {
  return { columns: columnsIn(value, signature), reply: 'tensors', nameOf };
}

function columnsIn(value: unknown, signature: Signature): Columns {
  const { inputs, features = [], kind } = signature;
  if (!isKeyed(value, signature)) {
    if (inputs.length !== 1)
      throw new BadInput(`inputs must be an object keyed by input, not ${kindOf(value)}`);
    return { [inputs[0].name]: readTensor(value, inputs[0], kind) };
  }
  const { by, keys } = matchKeys(Object.keys(value), signature, 'inputs');
  if (by === 'inputs') return byName(inputs, (input, i) => readTensor(value[keys[i]], input, kind));
  const columns = keys.map((key, i) => readFeature(value[key], features[i], inputs[0]));
  return { [inputs[0].name]: Column.ofRows(joinFeatures(columns, features)) };
}

function readTensor(value: unknown, input: Input, kind: Kind): Column {
  const { name, type, dims, missingText } = input;
  const expected = { type, dims: dims.length === 0 ? undefined : dims, missingText };
  return columnOf(encodeValue(value, expected, { input: name, path: [] }), input, kind);
}

/** A whole tensor as an input's column: a whole value is one row, and rows of a single value are bare as in instances. */
export function columnOf(tensor: Tensor, { dims }: Input, kind: Kind): Column {
  if (kind === 'unbatched') return Column.ofRows({ ...tensor, shape: [1, ...tensor.shape] });
  const isBare = dims.length === 2 && dims[1] === 1;
  return Column.ofRows(isBare ? { ...tensor, shape: tensor.shape.slice(0, 1) } : tensor);
}

/** A feature's values: a list, upright or flat, or bytes. */
function readFeature(value: unknown, feature: string, { type }: Input): Tensor {
  if (!Array.isArray(value) && !(isBase64(value) && type !== 'string'))
    throw new BadInput(`${feature} must be an array, not ${kindOf(value)}`);
  const list = Array.isArray(value)
    ? value.findIndex((item) => Array.isArray(item) && item.length !== 1)
    : -1;
  if (list >= 0) throw new BadInput(`${feature}[${list}] must be one value, not an array`);
  const isUpright = Array.isArray(value) && Array.isArray(value[0]);
  return encodeValue(value, { type, dims: isUpright ? ['', 1] : [''] }, { input: feature, path: [] });
}

/** The rows of features that were given one by one. Throws BadInput where they differ in number. */
export function joinFeatures(columns: readonly Tensor[], features: readonly string[]): Tensor {
  const [{ type, data: first }] = columns;
  const rows = first.length;
  const element = elementOf(type);
  const data = element.create(rows * columns.length);
  for (const [place, column] of columns.entries()) {
    checkRows(features[place], column.data.length, features[0], rows);
    element.copy(data, place, column.data, columns.length);
  }
  return { type, shape: [rows, columns.length], data };
}
