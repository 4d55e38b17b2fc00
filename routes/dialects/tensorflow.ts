import { JsonText, writeList } from '../../model/values/json';
import { allOf, firstOf, formsDialect, type Outputs, valueAtRow } from './flask';

// TensorFlow Serving, and KServe v1: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md

/** Each prediction is the only output's value, or an object of all outputs; shapes are kept. */
export const tensorflow = formsDialect('outputs', (outputs, reply) => {
  const [[, only]] = outputs;
  const isOne = outputs.length === 1;
  return reply === 'one'
    ? new Map([['prediction', isOne ? firstOf(only) : rowOf(outputs, 0)]])
    : new Map([
        [
          'predictions',
          isOne ? allOf(only) : new JsonText(writeList(only.length, (row) => rowOf(outputs, row))),
        ],
      ]);
});

function rowOf(outputs: Outputs, row: number): Map<string, unknown> {
  return new Map(outputs.map(([name, column]) => [name, valueAtRow(column, row)]));
}
