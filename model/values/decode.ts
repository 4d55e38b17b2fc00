import { RunError } from '../errors';
import { type Output, type Signature, showDims } from '../signature';
import { byName, Column } from './column';
import { elements } from './elements';
import type { Encoded } from './encode';
import type { Tensor } from './tensor';

/** A column for each output of the runs. Throws RunError for another number of rows than were asked, unless in one piece. */
export function decode(
  answers: readonly (readonly Tensor[])[],
  { rows, isOnePiece }: Encoded,
  { outputs }: Signature,
): Record<string, Column> {
  return byName(outputs, (output, i) => {
    const { name, batch } = output;
    const [tensor = noRows(output), ...others] = answers.map((tensors) => tensors[i]);
    if (others.length > 0) {
      // A run for each row.
      const withoutBatch = (one: Tensor) =>
        batch && one.shape[0] === 1 ? { ...one, shape: one.shape.slice(1) } : one;
      return Column.ofValues([tensor, ...others].map(withoutBatch), output);
    }
    const { shape, data } = tensor;
    if (batch && shape[0] === rows) return Column.ofRows(tensor, output);
    // Rows in one piece have all of it, and so has a single one, whatever its shape: where it is squeezed away, too.
    if (isOnePiece || rows === 1) return Column.ofValues([tensor], output);
    if (data.length === rows) return Column.ofRows({ ...tensor, shape: [rows] }, output);
    throw new RunError(`the output ${name} has the shape ${showDims(shape)} for ${rows} rows`);
  });
}

function noRows({ type, dims, labels }: Output): Tensor {
  const inner = labels ? [labels.length] : dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0));
  return { type, shape: [0, ...inner], data: elements[type].create(0) };
}
