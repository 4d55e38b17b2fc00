import { JsonText, writeList } from '../../model/values/json';
import { formsDialect, show, showRow } from './flask';

// TensorFlow Serving, and KServe v1: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md

/** Each prediction is the only output's value, or an object of all outputs; shapes are kept. */
export const tensorflow = formsDialect('outputs', (outputs, reply) => {
  const [{ column: first }] = outputs;
  if (outputs.length === 1) return new Map([[reply, show(first, reply)]]);
  const rowOf = (row: number) => new Map(outputs.map(({ name, column }) => [name, showRow(column, row)]));
  const rows = () => new JsonText(writeList(first.length, rowOf));
  return new Map([[reply, reply === 'prediction' ? rowOf(0) : rows()]]);
});
