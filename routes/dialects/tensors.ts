import type { Path } from '../../model/errors';
import { type Input, instanceDims, type Kind, type Signature } from '../../model/signature';
import { Column, type Columns } from '../../model/values/column';
import { elementOf } from '../../model/values/elements';
import { encodeValue } from '../../model/values/encode';
import { byName, checkRows } from '../../model/values/names';
import type { Tensor } from '../../model/values/tensor';
import { objectAt, type Query } from './dialect';
import { isBare } from './instances';
import { matchKeys } from './names';

// Whole tensors, all rows in one piece.

/** `inputs`: whole tensors by input, columns by feature or, for a one-input model, a bare tensor. */
export function readTensors(value: unknown, signature: Signature): Query {
  const { inputs } = signature;
  const at = ['inputs'];
  const tensors = isBare(value, signature)
    ? { [inputs[0].name]: value }
    : objectAt(value, at, `an object with the model's ${inputs.length} inputs`);
  const read = (key: string, input: Input) => {
    const dims = instanceDims(input, 'unbatched');
    return encodeValue(tensors[key], { ...input, dims }, [input.name]);
  };
  return { columns: columnsByKey(Object.keys(tensors), signature, at, read), reply: 'tensors' };
}

/** The columns of tensors that have these keys, those of features put together. Throws BadInput. */
export function columnsByKey(
  given: readonly string[],
  signature: Signature,
  at: Path,
  read: (key: string, input: Input) => Tensor,
): Columns {
  const { inputs, features = [], kind } = signature;
  const { by, keys } = matchKeys(given, signature, at);
  if (by === 'inputs') return byName(inputs, (input, i) => columnOf(read(keys[i], input), input, kind));
  const [input] = inputs;
  const tensors = features.map((name, i) => read(keys[i], { ...input, name, dims: ['', 1] }));
  return { [input.name]: Column.ofRows(joinFeatures(tensors, features)) };
}

/** A whole tensor as an input's column: a whole value is one row, and rows of a single value are bare as in instances. */
export function columnOf(tensor: Tensor, { dims }: Input, kind: Kind): Column {
  if (kind === 'unbatched') return Column.ofRows({ ...tensor, shape: [1, ...tensor.shape] });
  const isBare = dims.length === 2 && dims[1] === 1;
  return Column.ofRows(isBare ? { ...tensor, shape: tensor.shape.slice(0, 1) } : tensor);
}

/** The rows of features that were given one by one. Throws BadInput where they differ in number. */
function joinFeatures(columns: readonly Tensor[], features: readonly string[]): Tensor {
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
