import { RunError } from '../../model/errors';
import type { Output, Signature } from '../../model/signature';
import { Column, type Columns } from '../../model/values/column';
import type { Dialect } from './dialect';
import { readForm, readInferForm } from './forms';
import { writeInferReply } from './open-inference';

/** The column of an output, or what a wrapper has put in its place; what a wrapper adds is not declared. */
export interface Given {
  readonly name: string;
  readonly column: Columns[string];
  readonly declared?: Output;
}

type ReplyToRows = 'prediction' | 'predictions';

/** How rows are shown, the value of the only one or of all, under the reply's key. */
type ShowRows = (outputs: readonly Given[], reply: ReplyToRows, signature: Signature) => Map<string, unknown>;

/** The usual script in Flask: the prediction under the reply's key, other outputs beside it. */
export const flask = formsDialect('outputs', showPredictions);

/** MLflow's clients look for `predictions` in every reply. */
export const mlflow = formsDialect('predictions', showPredictions);

/** The `infer` paths take one form only. */
export const openInference: Dialect = { ...flask, read: readInferForm };

/** A dialect that reads bodies of every form. Whole tensors stand under this key. */
export function formsDialect(tensorsKey: string, showRows: ShowRows): Dialect {
  return {
    read: readForm,
    write(answer, { reply, rows }, model) {
      if (typeof reply === 'object') return writeInferReply(answer, reply, model);
      const outputs = inOrder(answer, model.signature);
      if (reply === 'tensors') return { json: new Map([[tensorsKey, showTensors(outputs)]]) };
      checkRowCount(outputs, rows);
      const isEmpty = outputs[0].column.length === 0;
      return { json: isEmpty ? { predictions: [] } : showRows(outputs, reply, model.signature) };
    },
  };
}

/** In the signature's order; what a wrapper adds comes last. */
function inOrder(answer: Columns, { outputs }: Signature): Given[] {
  const given = outputs.filter(({ name }) => Object.hasOwn(answer, name));
  const added = Object.keys(answer).filter((name) => !outputs.some((output) => output.name === name));
  return [
    ...given.map((declared) => ({ name: declared.name, column: answer[declared.name], declared })),
    ...added.map((name) => ({ name, column: answer[name] })),
  ];
}

/** Throws RunError where a batch that came in one piece was answered with another number of rows. */
function checkRowCount(outputs: readonly Given[], rows: number | undefined): void {
  if (rows === undefined) return;
  const misfit = outputs.find(({ column }) => column instanceof Column && column.length !== rows);
  if (misfit) throw new RunError(`the output ${misfit.name} has ${misfit.column.length} rows for ${rows}`);
}

function showPredictions(
  outputs: readonly Given[],
  reply: ReplyToRows,
  { prediction }: Signature,
): Map<string, unknown> {
  const primary = outputs.find(({ name }) => name === prediction) ?? outputs[0];
  const others = outputs.filter((output) => output !== primary);
  // What an output is called whose name is the reply's key.
  let free = `${reply}_output`;
  while (others.some(({ name }) => name === free)) free += '_output';
  const shown = new Map([[reply as string, show(bare(primary), reply)]]);
  for (const output of others)
    shown.set(output.name === reply ? free : output.name, show(bare(output), reply));
  return shown;
}

/** A column whose rows are lists of a single value, without the lists. */
function bare({ column, declared }: Given): Columns[string] {
  if (!(column instanceof Column && declared)) return column;
  const { batch, dims } = declared;
  const row = batch ? dims.slice(1) : dims;
  return row.length === 1 && row[0] === 1 ? column.bare() : column;
}

/** The value of the only row, or of all. */
export function show(column: Columns[string], reply: ReplyToRows): unknown {
  if (reply === 'prediction') return showRow(column, 0);
  return column instanceof Column ? column.rowsJson() : column;
}

export function showRow(column: Columns[string], row: number): unknown {
  return column instanceof Column ? column.rowJson(row) : column.at(row);
}

/** Whole tensors as the run gave them, bare where there is only one; of a wrapper's list all rows, or the value that is not rows. */
function showTensors(outputs: readonly Given[]): unknown {
  const tensors = outputs.map(({ name, column, declared }): [string, unknown] => {
    if (column instanceof Column) return [name, column.json()];
    return [name, declared?.batch === false ? column.at(0) : column];
  });
  return tensors.length === 1 ? tensors[0][1] : new Map(tensors);
}
