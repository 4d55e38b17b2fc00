import { RunError } from '../errors';
import { type Signature, showDims } from '../signature';
import { byName, Column } from './column';
import type { Encoded } from './encode';
import type { Tensor } from './tensor';

/** A column for each output of the runs. Throws RunError for another number of rows than were asked, unless in one piece. */
export function decode(results: readonly Tensor[][], { rows, isOnePiece }: Encoded, { outputs }: Signature) {
  return byName(outputs, (output, i) => {
    const { name, batch } = output;
    const tensors = results.map((outputs) => outputs[i]);
    if (tensors.length !== 1) {
      // A run for each row.
      const withoutBatch = (one: Tensor) =>
        batch && one.shape[0] === 1 ? { ...one, shape: one.shape.slice(1) } : one;
      return Column.ofValues(tensors.map(withoutBatch), output);
    }
    const [tensor] = tensors;
    const { shape, data } = tensor;
    if (batch && shape[0] === rows) return Column.ofRows(tensor, output);
    // Rows in one piece, or a single one, get the whole output, whatever its shape: a model may squeeze a batch of one away.
    if (isOnePiece || rows === 1) return Column.ofValues([tensor], output);
    if (data.length === rows) return Column.ofRows({ ...tensor, shape: [rows] }, output);
    throw new RunError(`the output ${name} has the shape ${showDims(shape)} for ${rows} rows`);
  });
}
