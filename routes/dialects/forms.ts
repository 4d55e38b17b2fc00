import { BadInput, kindOf, nameOf, showPath } from '../../model/errors';
import { type Input, runsTogether, type Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { readBase64 } from '../../model/values/bytes';
import type { Columns } from '../../model/values/column';
import { byName, checkRows } from '../../model/values/names';
import { measure } from '../../model/values/shapes';
import { type Body, isObject, type Query } from './dialect';
import { readRecords, readSplit } from './frames';
import { columnsOf, isKeyed, type Keyed, namer, placeIn, readInstance, readRows } from './instances';
import { findWrapper } from './names';
import { isInferRequest, readInferRequest } from './open-inference';
import { columnOf, readTensors } from './tensors';

/** How the value of each wrapper is read. A new one goes here, and its name into names.ts. */
const readers: Record<string, (value: unknown, signature: Signature) => Query> = {
  instances: readInstances,
  dataframe_records: readRecords,
  dataframe_split: readSplit,
  inputs: readTensors,
};

/** Reads a body of any form: the first that fits. Throws BadInput. */
export function readForm({ json, binary }: Body, signature: Signature): Query {
  const wrapper = isObject(json) ? findWrapper(json) : undefined;
  if (isInferRequest(json, signature)) return readInferRequest(json, signature, binary);
  if (binary) throw new BadInput('bytes may follow the JSON of the Open Inference Protocol only');
  if (isObject(json) && wrapper) return readers[wrapper](json[wrapper], signature);
  if (isListOfObjects(json, signature)) return readRows(json, signature, placeIn(''));
  return isKeyed(json, signature) ? readKeyed(json, signature) : readBare(json, signature);
}

/** Told by the first, so that an odd one among them is named by its place. */
function isListOfObjects(json: unknown, signature: Signature): json is unknown[] {
  if (!Array.isArray(json)) return false;
  return json.length === 0 ? signature.inputs.length !== 1 : isKeyed(json[0], signature);
}

function readInstances(instances: unknown, signature: Signature): Query {
  if (!Array.isArray(instances)) throw new BadInput(`instances must be an array, not ${kindOf(instances)}`);
  return readRows(instances, signature, placeIn('instances'));
}

/** Where the body itself is the row. */
const atTop = () => '';

/** An object keyed by feature or by input: one instance, or a batch where its values have the inputs' full rank. */
function readKeyed(body: Keyed, signature: Signature): Query {
  const { inputs, kind } = signature;
  const { by, values } = readInstance(body, signature, '');
  const holdBatch = inputs.map(
    (input, i) => kind === 'batched' && by === 'inputs' && holdsBatch(values[i], input),
  );
  const batch = holdBatch.indexOf(true);
  if (batch >= 0) {
    const instance = holdBatch.indexOf(false);
    if (instance >= 0) {
      throw new BadInput(
        `${inputs[batch].name} holds a batch but ${inputs[instance].name} one instance: send both as batches or both as single instances`,
      );
    }
    return readBatch(values, signature);
  }
  return {
    columns: columnsOf([values], inputs),
    reply: 'one',
    nameOf: namer(signature, atTop, [by]),
  };
}

function readBare(value: unknown, signature: Signature): Query {
  const { inputs, kind } = signature;
  if (inputs.length !== 1) {
    throw new BadInput(`a body for a model with ${inputs.length} inputs is an object, not ${kindOf(value)}`);
  }
  const [input] = inputs;
  if (kind === 'batched' && holdsBatch(value, input)) return readBatch([value], signature);
  return { columns: { [input.name]: [value] }, reply: 'one', nameOf: nameOfBare };
}

const nameOfBare: Query['nameOf'] = ({ input, path }) => `${input}${showPath(path)}`;

/** A batch for each input. */
function readBatch(values: readonly unknown[], signature: Signature): Query {
  const { inputs } = signature;
  const columns = byName(inputs, (input, i) => readColumn(values[i], input, signature));
  const [{ name: first }] = inputs;
  const rows = columns[first].length;
  for (const { name } of inputs) checkRows(name, columns[name].length, first, rows);
  return { columns, reply: 'many', rows, nameOf };
}

/** The rows of a batch: arrays as they are; bytes in one piece where rows may run together, else taken apart. */
function readColumn(value: unknown, input: Input, signature: Signature): Columns[string] {
  if (Array.isArray(value)) return value;
  const { name, type, dims } = input;
  if (!isBase64(value)) throw new BadInput(`${name} must be an array, not ${kindOf(value)}`);
  const column = columnOf(readBase64(value, type, dims, { input: name, path: [] }), input, signature.kind);
  return runsTogether(signature) ? column : [...column];
}

/** Whether a value for an input of a batched model holds a batch, told by its rank. */
function holdsBatch(value: unknown, { type, dims }: Input): boolean {
  if (typeof value !== 'object' || value === null) return false;
  // An empty array is a batch of no rows, unless an instance can be empty.
  if (Array.isArray(value) && value.length === 0)
    return dims.length === 1 || (typeof dims[1] === 'number' && dims[1] > 0);
  const { length } = measure(value);
  let inner: unknown = value;
  for (let depth = 0; depth < length; depth++) inner = (inner as unknown[]).at(0);
  if (type === 'string' || !isBase64(inner)) return length === dims.length;
  return length + (Array.isArray(inner.shape) ? inner.shape.length : dims.length - 1) === dims.length;
}
