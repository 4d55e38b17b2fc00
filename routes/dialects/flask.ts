import { RunError } from '../../model/errors';
import { isSingleValue, type Signature } from '../../model/signature';
import { bytesOfColumns, Column, type Columns } from '../../model/values/column';
import type { AskedFor, Dialect } from './dialect';
import { readForm } from './forms';
import { writeInferReply } from './open-inference';

/** A column that the model has given, or what a wrapper has put in its place. */
type Given = Columns[string];

/** Columns by output, in the signature's order. */
export type Outputs = readonly (readonly [name: string, column: Given])[];

/** How rows are shown, under the key `prediction` or `predictions`. */
type ShowRows = (outputs: Outputs, reply: 'one' | 'many', signature: Signature) => Map<string, unknown>;

/** The usual script in Flask: the prediction under the reply's key, other outputs beside it. */
export const flask = formsDialect('outputs', showPredictions);

/** MLflow's clients look for `predictions` in every reply. */
export const mlflow = formsDialect('predictions', showPredictions);

/** A dialect that reads bodies of every form. Whole tensors stand under this key. */
export function formsDialect(tensorsKey: string, showRows: ShowRows): Dialect {
  const replyJson = (answer: Columns, { reply, rows }: AskedFor, signature: Signature): unknown => {
    const outputs = inOrder(answer, signature);
    if (reply === 'tensors') return showTensors(outputs, tensorsKey, signature);
    checkRowCount(outputs, rows);
    return outputs[0][1].length === 0 ? { predictions: [] } : showRows(outputs, reply, signature);
  };
  return {
    read: readForm,
    write: (answer, query, model) =>
      query.wanted
        ? writeInferReply(answer, query.wanted, model)
        : { json: replyJson(answer, query, model.signature), bytes: bytesOfColumns(answer) },
  };
}

/** What a wrapper adds comes last. */
function inOrder(answer: Columns, { outputs }: Signature): Outputs {
  const declared = outputs.map(({ name }) => name).filter((name) => Object.hasOwn(answer, name));
  const added = Object.keys(answer).filter((name) => !declared.includes(name));
  return [...declared, ...added].map((name) => [name, answer[name]]);
}

/** Throws RunError where a batch that came in one piece was answered with another number of rows. */
function checkRowCount(outputs: Outputs, rows: number | undefined): void {
  if (rows === undefined) return;
  const misfit = outputs.find(([, column]) => column instanceof Column && column.length !== rows);
  if (misfit) throw new RunError(`the output ${misfit[0]} has ${misfit[1].length} rows for ${rows}`);
}

function showPredictions(
  outputs: Outputs,
  reply: 'one' | 'many',
  signature: Signature,
): Map<string, unknown> {
  const key = reply === 'one' ? 'prediction' : 'predictions';
  const primary = outputs.find(([name]) => name === signature.prediction) ?? outputs[0];
  const others = outputs.filter((output) => output !== primary);
  const show = reply === 'one' ? firstOf : allOf;
  const shown = new Map([[key, show(bare(primary, signature))]]);
  for (const output of others) {
    const [name] = output;
    shown.set(name === key ? renamed(name, others) : name, show(bare(output, signature)));
  }
  return shown;
}

/** What an output is called whose name is the reply's own key. */
function renamed(name: string, outputs: Outputs): string {
  const free = `${name}_output`;
  return outputs.some(([other]) => other === free) ? renamed(free, outputs) : free;
}

/** A column whose rows are lists of a single value, without the lists. */
function bare([name, column]: Outputs[number], { outputs, kind }: Signature): Given {
  const output = outputs.find((one) => one.name === name);
  return output && column instanceof Column && isSingleValue(output, kind) ? column.bare() : column;
}

/** The value of the only row. */
export function firstOf(column: Given): unknown {
  return valueAtRow(column, 0);
}

export function valueAtRow(column: Given, row: number): unknown {
  return column instanceof Column ? column.rowJson(row) : column.at(row);
}

/** The values of all rows. */
export function allOf(column: Given): unknown {
  return column instanceof Column ? column.rowsJson() : column;
}

/** Whole tensors, bare where there is only one. */
function showTensors(outputs: Outputs, tensorsKey: string, signature: Signature): Map<string, unknown> {
  const tensors = outputs.map(([name, column]): [string, unknown] => [
    name,
    showTensor(name, column, signature),
  ]);
  return new Map([[tensorsKey, tensors.length === 1 ? tensors[0][1] : new Map(tensors)]]);
}

/** A tensor as the run gave it; of a wrapper's list all rows or, where these are none, the only value. */
function showTensor(name: string, column: Given, { outputs, kind }: Signature): unknown {
  if (column instanceof Column) return column.json();
  const isRows = kind !== 'unbatched' && (outputs.find((output) => output.name === name)?.batch ?? true);
  return isRows ? column : column.at(0);
}
