import { BadInput } from '../../model/errors';
import { type Input, runsTogether, type Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { byName, type Columns } from '../../model/values/column';
import { checkRows, encodeValue } from '../../model/values/encode';
import { arrayAt, isObject, type Query } from './dialect';
import { readWrapper } from './keys';
import { isInferRequest, readInferRequest } from './open-inference';
import { isBare, readInstance, readRecords, readRows, readSplit } from './rows';
import { inputColumn, readTensors } from './tensors';

/** How the value of each wrapper is read. A new one goes here, and its name into model/signature.ts. */
const readers: Record<string, (value: unknown, signature: Signature) => Query> = {
  instances: (value, signature) => readRows(value, signature, ['instances']),
  dataframe_records: readRecords,
  dataframe_split: readSplit,
  inputs: readTensors,
};

/** Reads a body of any form, the first that fits: whole tensors with their values, of rows the keys only. Throws BadInput. */
export function readForm(json: unknown, signature: Signature, binary?: Uint8Array): Query {
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
  const columns = byName(inputs, (input, i) => readColumn(values[i], input, signature));
  const rows = columns[first].length;
  for (const { name } of inputs) checkRows(name, columns[name].length, first, rows);
  return { columns, reply: 'predictions', rows };
}

/** The rows of a batch: arrays as they are; bytes in one piece where rows may run together, else taken apart. */
function readColumn(value: unknown, input: Input, signature: Signature): Columns[string] {
  if (!isBase64(value)) return arrayAt(value, [input.name]);
  const column = inputColumn(encodeValue(value, input, [input.name]), input, signature.kind);
  return runsTogether(signature) ? column : [...column];
}

function holdsBatch(value: unknown, { type, dims }: Input): boolean {
  // An empty array is a batch of no rows, unless an instance can be empty.
  if (Array.isArray(value) && value.length === 0)
    return dims.length === 1 || (typeof dims[1] === 'number' && dims[1] > 0);
  let rank = 0;
  let inner = value;
  for (; Array.isArray(inner); inner = inner.at(0)) rank++;
  if (type !== 'string' && isBase64(inner))
    rank += Array.isArray(inner.shape) ? inner.shape.length : dims.length - 1;
  return rank === dims.length;
}
