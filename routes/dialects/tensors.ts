import { type Input, type Kind, type Signature, tensorDims } from '../../model/signature';
import { byName, Column } from '../../model/values/column';
import { elements } from '../../model/values/elements';
import { checkRows, encodeValue } from '../../model/values/encode';
import type { Tensor } from '../../model/values/tensor';
import type { NamedBy, Query } from './dialect';
import { readInstance } from './rows';

/** `inputs`: whole tensors by input, columns by feature or, for a one-input model, a bare tensor. */
export function readTensors(value: unknown, signature: Signature): Query {
  const { by, values } = readInstance(value, signature, ['inputs']);
  const read = (input: Input, i: number) =>
    encodeValue(values[i], { ...input, dims: tensorDims(input) }, [input.name]);
  return { columns: tensorColumns(by, signature, read), reply: 'tensors' };
}

/** The columns of a tensor for each input or, put together, for each feature. */
export function tensorColumns(by: NamedBy, signature: Signature, read: (input: Input, i: number) => Tensor) {
  const { inputs, features = [], kind } = signature;
  const readFeature = (name: string, i: number) =>
    read({ ...inputs[0], name, dims: [inputs[0].dims[0], 1] }, i);
  const tensors = by === 'features' ? [joinFeatures(features.map(readFeature), features)] : inputs.map(read);
  return byName(inputs, (input, i) => columnFor(tensors[i], input, kind).inOnePiece());
}

/** A whole tensor as an input's column: a whole value is one row, and rows of a single value are bare as in instances. */
export function columnFor(tensor: Tensor, { dims }: Input, kind: Kind): Column {
  if (kind === 'unbatched') return Column.ofRows({ ...tensor, shape: [1, ...tensor.shape] });
  return Column.ofRows(tensor, { dims, batch: true }).bare();
}

function joinFeatures(columns: readonly Tensor[], features: readonly string[]): Tensor {
  const [{ type, data: first }] = columns;
  const rows = first.length;
  const element = elements[type];
  const data = element.create(rows * columns.length);
  for (const [place, column] of columns.entries()) {
    checkRows(features[place], column.data.length, features[0], rows);
    element.copy(data, place, column.data, columns.length);
  }
  return { type, shape: [rows, columns.length], data };
}
