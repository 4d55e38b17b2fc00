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
    if (answers.length === 1) return columnOf(answers[0][i], encoded, output);
    return Column.ofValues(
      answers.map((tensors) => rowValueOf(tensors[i], output)),
      output.labels,
    );
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

/** What a run for one row gave it. */
function rowValueOf(tensor: Tensor, { batch }: Output): Tensor {
  return batch && tensor.shape[0] === 1 ? { ...tensor, shape: tensor.shape.slice(1) } : tensor;
}

/** The answer to no rows, without a run: some operators end the process on them. */
export function noRows({ outputs }: Signature): Tensor[] {
  return outputs.map(({ type, dims, labels }) => {
    const inner = labels ? [labels.length] : dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0));
    return { type, shape: [0, ...inner], data: elementOf(type).create(0) };
  });
}
