import type { Signature } from '../../model/signature';
import { Column, type Columns } from '../../model/values/column';
import { listJson } from '../../model/values/json';
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

/** Outputs in the signature's order; those that a wrapper adds come last. */
type Outputs = readonly [name: string, column: Columns[string]][];

function dialect(tensorsKey: string, show: typeof showBeside): Dialect {
  return (columns, { reply }, { name, signature }) => {
    if (typeof reply === 'object') return writeInferReply(columns, reply, name);
    const outputs = inOrder(columns, signature);
    if (reply === 'tensors') return { json: new Map([[tensorsKey, showTensors(outputs)]]) };
    const [[, first]] = outputs;
    return { json: first.length === 0 ? { predictions: [] } : show(outputs, reply, signature) };
  };
}

function inOrder(columns: Columns, { outputs }: Signature): Outputs {
  const names = new Set([...outputs.map(({ name }) => name), ...Object.keys(columns)]);
  return [...names].filter((name) => Object.hasOwn(columns, name)).map((name) => [name, columns[name]]);
}

function showBeside(outputs: Outputs, reply: ReplyToRows, { prediction }: Signature): Map<string, unknown> {
  const show = (column: Columns[string]) =>
    showRows(column instanceof Column ? column.bare() : column, reply);
  const [primary, first] = outputs.find(([name]) => name === prediction) ?? outputs[0];
  // What an output is called whose name is the reply's key.
  let free = `${reply}_output`;
  while (outputs.some(([name]) => name === free && name !== primary)) free += '_output';
  const shown = new Map([[reply as string, show(first)]]);
  for (const [name, column] of outputs) {
    if (name !== primary) shown.set(name === reply ? free : name, show(column));
  }
  return shown;
}

function showTogether(outputs: Outputs, reply: ReplyToRows): Map<string, unknown> {
  const [[, first]] = outputs;
  if (outputs.length === 1) return new Map([[reply, showRows(first, reply)]]);
  const rowOf = (row: number) => new Map(outputs.map(([name, column]) => [name, showRow(column, row)]));
  if (reply === 'prediction') return new Map([[reply, rowOf(0)]]);
  return new Map([[reply, listJson(first.length, rowOf)]]);
}

function showRows(column: Columns[string], reply: ReplyToRows): unknown {
  if (reply === 'prediction') return showRow(column, 0);
  return column instanceof Column ? column.rowsJson() : column;
}

function showRow(column: Columns[string], row: number): unknown {
  return column instanceof Column ? column.rowJson(row) : column.at(row);
}

/** Whole tensors as the run gave them, and a wrapper's lists as they stand; bare where there is only one. */
function showTensors(outputs: Outputs): unknown {
  const json = (column: Columns[string]) => (column instanceof Column ? column.json() : column);
  if (outputs.length === 1) return json(outputs[0][1]);
  return new Map(outputs.map(([name, column]) => [name, json(column)]));
}
