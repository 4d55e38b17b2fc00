import { BadInput } from '../../model/errors';
import type { Input, Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { byName } from '../../model/values/column';
import { checkRows, encodeValue } from '../../model/values/encode';
import { measure } from '../../model/values/shapes';
import { arrayAt, isObject, type Query } from './dialect';
import { readWrapper } from './keys';
import { isInferRequest, readInferRequest } from './open-inference';
import { isBare, readInstance, readRecords, readRows, readSplit } from './rows';
import { columnFor, readTensors } from './tensors';

/** How the value of each wrapper is read. A new one goes here, and its name into model/signature.ts. */
const readers: Record<string, (value: unknown, signature: Signature) => Query> = {
  instances: (value, signature) => readRows(value, signature, ['instances']),
  dataframe_records: readRecords,
  dataframe_split: readSplit,
  inputs: readTensors,
};

/** Reads a body of any form, the first that fits: whole tensors with their values, rows by their keys only. Throws BadInput. */
export function readForm(json: unknown, signature: Signature, binary?: Buffer): Query {
  if (isInferRequest(json)) return readInferRequest(json, signature, binary);
  if (binary) throw new BadInput('bytes may follow the JSON of the Open Inference Protocol only');
  const wrapper = isObject(json) && readWrapper(json);
  if (wrapper) return readers[wrapper](json[wrapper], signature);
  // Told by the first, so that an odd one among them is named by its place.
  const isList = Array.isArray(json) && !isBare(json[0], signature);
  return isList ? readRows(json, signature, []) : readValues(json, signature);
}

/** One instance or, where its values have the inputs' full rank, a batch. */
function readValues(body: unknown, signature: Signature): Query {
  const { inputs, kind } = signature;
  const instance = readInstance(body, signature, []);
  const { by, values } = instance;
  const mayBeBatch = kind === 'batched' && by !== 'features';
  const batches = inputs.filter((input, i) => mayBeBatch && holdsBatch(values[i], input));
  if (batches.length === 0) return readRows([body], signature, undefined, () => instance);
  const [{ name: first }] = batches;
  const other = inputs.find((input) => !batches.includes(input));
  if (other)
    throw new BadInput(`${first} holds a batch but ${other.name} one instance: send both the same way`);
  const columns = byName(inputs, (input, i) => {
    const [value, path] = [values[i], [input.name]];
    return isBase64(value) ? columnFor(encodeValue(value, input, path), input, kind) : arrayAt(value, path);
  });
  const rows = columns[first].length;
  for (const { name } of inputs) checkRows(name, columns[name].length, first, rows);
  return { columns, reply: 'predictions' };
}

function holdsBatch(value: unknown, { type, dims }: Input): boolean {
  // An empty array is a batch of no rows, unless an instance can be empty.
  if (Array.isArray(value) && value.length === 0)
    return dims.length === 1 || (typeof dims[1] === 'number' && dims[1] > 0);
  const rank = measure(value).length;
  const one = Array.isArray(value) ? value.at(0) : value;
  if (type === 'string' || !isBase64(one)) return rank === dims.length;
  return rank + (Array.isArray(one.shape) ? one.shape.length : dims.length - 1) === dims.length;
}
