import type { Model } from '../model/model';
import type { Tensor } from '../model/tensor';
import { type Output, writeTensor } from '../model/write';
import type { Question } from './bodies';

/** Whose clients a reply is for, where their traditions differ. */
export type Style = 'predict' | 'tensorflow' | 'mlflow';

/** The reply in the form that was asked for, given the outputs of each run. */
export function writeReply(
  model: Model,
  form: Question['form'],
  results: readonly Tensor[][],
  style: Style,
): object {
  const { outputs } = model;
  if (form === 'tensors') {
    const [tensors] = results;
    const whole =
      outputs.length === 1
        ? writeTensor(tensors[0], outputs[0])
        : Object.fromEntries(outputs.map((output, i) => [output.name, writeTensor(tensors[i], output)]));
    return { [style === 'mlflow' ? 'predictions' : 'outputs']: whole };
  }
  if (results.length === 0) return { predictions: [] };
  const columns = outputs.map((output, i) =>
    results.length === 1
      ? instancesOf(results[0][i], output, style !== 'tensorflow')
      : results.flatMap((tensors) => instancesOf(tensors[i], output, style !== 'tensorflow')),
  );
  const key = form === 'one' ? 'prediction' : 'predictions';
  const pick = (column: unknown[]) => (form === 'one' ? column[0] : column);
  if (style === 'tensorflow') {
    const rows =
      outputs.length === 1
        ? columns[0]
        : columns[0].map((_, row) =>
            Object.fromEntries(outputs.map(({ name }, i) => [name, columns[i][row]])),
          );
    return { [key]: pick(rows) };
  }
  const primary = Math.max(
    0,
    outputs.findIndex(({ name }) => name === 'prediction'),
  );
  const entries: [string, unknown][] = [[key, pick(columns[primary])]];
  outputs.forEach(({ name }, i) => {
    // An output of the name that the prediction has in the reply does not replace it.
    if (i !== primary && name !== key) entries.push([name, pick(columns[i])]);
  });
  return Object.fromEntries(entries);
}

/** The values of each instance of one run, without the batch dimension; with `bare`, `[x]` becomes `x`. */
function instancesOf(tensor: Tensor, output: Output, bare: boolean): unknown[] {
  const { shape } = tensor;
  const rank = shape.length - (output.batch ? 1 : 0);
  const isOne = bare && !output.labels && rank === 1 && shape.at(-1) === 1;
  const value = writeTensor(isOne ? { ...tensor, shape: shape.slice(0, -1) } : tensor, output);
  return output.batch ? (value as unknown[]) : [value];
}
