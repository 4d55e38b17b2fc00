import { RunError } from '../../model/errors';
import type { Output, Signature } from '../../model/signature';
import { Column, type Columns } from '../../model/values/column';
import { JsonText, writeList } from '../../model/values/json';
import type { Dialect } from './dialect';
import { writeInferReply } from './open-inference';

/** The usual script in Flask: the prediction under the reply's key, other outputs beside it. */
export const flask = dialect('outputs', showBeside);

/** MLflow's clients look for `predictions` in every reply. */
export const mlflow = dialect('predictions', showBeside);

/**
 * TensorFlow Serving, and KServe v1: each prediction is the only output's value, or an object of all outputs; shapes are kept.
 * https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md
 */
export const tensorflow = dialect('outputs', showTogether);

type ReplyToRows = 'prediction' | 'predictions';

/** An output of an answer; what a wrapper adds is not declared. */
interface AnsweredOutput {
  readonly name: string;
  readonly column: Columns[string];
  readonly declared: Output | undefined;
}

function dialect(tensorsKey: string, show: typeof showBeside): Dialect {
  return (answer, { reply, rows }, model) => {
    if (typeof reply === 'object') return writeInferReply(answer, reply, model.name);
    const outputs = inOrder(answer, model.signature);
    if (reply === 'tensors') return { json: new Map([[tensorsKey, showTensors(outputs)]]) };
    checkRowCount(outputs, rows);
    const isEmpty = outputs[0].column.length === 0;
    return { json: isEmpty ? { predictions: [] } : show(outputs, reply, model.signature) };
  };
}

/** In the signature's order; what a wrapper adds comes last. */
function inOrder(answer: Columns, { outputs }: Signature): AnsweredOutput[] {
  const declared = new Map(outputs.map((output) => [output.name, output]));
  const names = new Set([...declared.keys(), ...Object.keys(answer)]);
  const given = [...names].filter((name) => Object.hasOwn(answer, name));
  return given.map((name) => ({ name, column: answer[name], declared: declared.get(name) }));
}

/** Throws RunError where a batch that came in one piece was answered with another number of rows. */
function checkRowCount(outputs: readonly AnsweredOutput[], rows: number | undefined): void {
  if (rows === undefined) return;
  const misfit = outputs.find(({ column }) => column instanceof Column && column.length !== rows);
  if (misfit) throw new RunError(`the output ${misfit.name} has ${misfit.column.length} rows for ${rows}`);
}

function showBeside(outputs: readonly AnsweredOutput[], reply: ReplyToRows, { prediction }: Signature) {
  const primary = outputs.find(({ name }) => name === prediction) ?? outputs[0];
  const others = outputs.filter((output) => output !== primary);
  // What an output is called whose name is the reply's key.
  let free = `${reply}_output`;
  while (others.some(({ name }) => name === free)) free += '_output';
  const shown = new Map([[reply as string, showRows(bareRows(primary), reply)]]);
  for (const output of others)
    shown.set(output.name === reply ? free : output.name, showRows(bareRows(output), reply));
  return shown;
}

function showTogether(outputs: readonly AnsweredOutput[], reply: ReplyToRows) {
  const [{ column: first }] = outputs;
  if (outputs.length === 1) return new Map([[reply, showRows(first, reply)]]);
  const rowOf = (row: number) => new Map(outputs.map(({ name, column }) => [name, showRow(column, row)]));
  const rows = () => new JsonText(writeList(first.length, rowOf));
  return new Map([[reply, reply === 'prediction' ? rowOf(0) : rows()]]);
}

/** A column whose rows are lists of a single value, without the lists; an object by a single label stays one. */
function bareRows({ column, declared }: AnsweredOutput): Columns[string] {
  if (!(column instanceof Column && declared) || declared.labels) return column;
  const { batch, dims } = declared;
  const row = batch ? dims.slice(1) : dims;
  return row.length === 1 && row[0] === 1 ? column.bare() : column;
}

function showRows(column: Columns[string], reply: ReplyToRows): unknown {
  if (reply === 'prediction') return showRow(column, 0);
  return column instanceof Column ? column.rowsJson() : column;
}

function showRow(column: Columns[string], row: number): unknown {
  return column instanceof Column ? column.rowJson(row) : column.at(row);
}

/** Whole tensors as the run gave them, bare where there is only one; of a wrapper's list all rows, or the value that is not rows. */
function showTensors(outputs: readonly AnsweredOutput[]): unknown {
  const tensors = outputs.map(({ name, column, declared }): [string, unknown] => {
    if (column instanceof Column) return [name, column.json()];
    return [name, declared?.batch === false ? column.at(0) : column];
  });
  return tensors.length === 1 ? tensors[0][1] : new Map(tensors);
}
