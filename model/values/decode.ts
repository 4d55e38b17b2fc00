import { RunError } from '../errors';
import { type Output, type Signature, showDims } from '../signature';
import { Column } from './column';
import { elementOf } from './elements';
import type { Encoded } from './encode';
import { byName } from './names';
import type { Tensor } from './tensor';

/**
 * A column for each output of the runs that answered what was encoded. Throws RunError where an output has another number
 * of rows than were asked, unless they came in one piece.
 */
export function decode(
  answers: readonly (readonly Tensor[])[],
  encoded: Omit<Encoded, 'runs'>,
  { outputs }: Signature,
): Record<string, Column> {
  return byName(outputs, (output, i) => {
    const [tensor = noRows(output), ...others] = answers.map((tensors) => tensors[i]);
    if (others.length === 0) return columnOf(tensor, encoded, output);
    // A run for each row.
    const values = [tensor, ...others].map((one) =>
      output.batch && one.shape[0] === 1 ? { ...one, shape: one.shape.slice(1) } : one,
    );
    return Column.ofValues(values, output.labels);
  });
}

function columnOf(tensor: Tensor, { rows, isOnePiece }: Omit<Encoded, 'runs'>, output: Output): Column {
  const { shape, data } = tensor;
  const { name, batch, labels } = output;
  if (batch && shape[0] === rows) return Column.ofRows(tensor, labels);
  // Rows in one piece have all of it, and so has a single one, whatever its shape: where it is squeezed away, too.
  if (isOnePiece || rows === 1) return Column.ofValues([tensor], labels);
  if (data.length === rows) return Column.ofRows({ ...tensor, shape: [rows] }, labels);
  throw new RunError(`the output ${name} has the shape ${showDims(shape)} for ${rows} rows`);
}

/** What answers no rows. */
function noRows({ type, dims, labels }: Output): Tensor {
  const inner = labels ? [labels.length] : dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0));
  return { type, shape: [0, ...inner], data: elementOf(type).create(0) };
}
