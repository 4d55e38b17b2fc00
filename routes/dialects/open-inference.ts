import { BadInput, messageOf, type Path, showPath } from '../../model/errors';
import { type Input, type Output, type Signature, tensorDims } from '../../model/signature';
import { Column, type Columns } from '../../model/values/column';
import { elements } from '../../model/values/elements';
import { dataFromBytes, encodeValue } from '../../model/values/encode';
import { listJson } from '../../model/values/json';
import { completeShape, fitShape } from '../../model/values/shapes';
import { sizeOf, type Tensor } from '../../model/values/tensor';
import { bytesOfTensor, cutBinary, readTexts } from './binary-tensors';
import { arrayAt, isObject, objectAt, type Query, type Reply, type Wanted } from './dialect';
import { matchKeys, readWrapper } from './keys';
import { tensorColumns } from './tensors';

// Open Inference Protocol v2: https://github.com/kserve/open-inference-protocol

type InferBody = Record<string, unknown> & { inputs: (Record<string, unknown> & { name: string })[] };

/** Whether a body is in the protocol's form: `inputs` is a list whose elements name themselves and their datatype. */
export function isInferRequest(body: unknown): body is InferBody {
  if (!isObject(body) || !Array.isArray(body.inputs)) return false;
  return body.inputs.every(
    (input) => isObject(input) && typeof input.name === 'string' && typeof input.datatype === 'string',
  );
}

/** Reads a request whose tensors lie in the JSON or, in their order, in the bytes behind it. Throws BadInput. */
export function readInferRequest(body: InferBody, signature: Signature, binary?: Buffer): Query {
  readWrapper(body, ['outputs', 'model_name', 'model_version']);
  const { inputs } = signature;
  const id = body.id ?? undefined;
  if (id !== undefined && typeof id !== 'string') throw new BadInput('must be a string', ['id']);
  const names = body.inputs.map(({ name }) => name);
  // In KServe's documented requests, and of MLServer's codecs, for the one input of any name.
  if (inputs.length === 1 && names.length === 1 && /^input-[01]$/.test(names[0])) names[0] = inputs[0].name;
  const { by, keys } = matchKeys(names, signature, ['inputs']);
  const chunks = cutBinary(body.inputs, binary ?? Buffer.alloc(0));
  const read = (input: Input, i: number) => {
    const place = names.indexOf(keys[i]);
    return readTensor(body.inputs[place], input, ['inputs', place], chunks[place]);
  };
  const outputs = readOutputs(body, signature);
  return { columns: tensorColumns(by, signature, read), reply: { id, outputs } };
}

function readTensor(given: Record<string, unknown>, input: Input, path: Path, bytes?: Buffer): Tensor {
  const { type, name } = input;
  const { datatype, data } = given;
  const expected = elements[type].datatype;
  // MLServer's codecs call every float FP64: numbers in JSON are read as the input's, value by value; bytes cannot be.
  const areNumbers = [datatype, expected].every((one) => /^(FP|U?INT)(8|16|32|64)$/.test(String(one)));
  if (datatype !== expected && (bytes || !areNumbers))
    throw new BadInput(`must be ${expected} for ${name}`, [...path, 'datatype']);
  const shape = fitShape(given.shape, { type, dims: tensorDims(input) }, path);
  const dataPath = bytes ? [`the binary data of ${showPath(path)}`] : [...path, 'data'];
  if (bytes && type !== 'string') return { type, shape, data: dataFromBytes(bytes, type, shape, dataPath) };
  const values = bytes ? readTexts(bytes, dataPath) : arrayAt(data, dataPath);
  const dims = values.some(Array.isArray) ? shape : [sizeOf(shape)];
  return { ...encodeValue(values, { ...input, dims }, dataPath), shape };
}

function readOutputs(body: InferBody, { outputs }: Signature): Wanted['outputs'] {
  const asked = arrayAt(body.outputs ?? [], ['outputs']);
  const binary = Object(body.parameters).binary_data_output === true;
  if (asked.length === 0) return outputs.map((output) => ({ output, binary }));
  const left = new Set(outputs);
  return asked.map((one, i) => {
    const path = ['outputs', i];
    const { name, parameters } = objectAt(one, path);
    const { classification, binary_data } = Object(parameters);
    const output = outputs.find((output) => output.name === name);
    if (!output || !left.delete(output)) {
      const names = outputs.map(({ name }) => name);
      throw new BadInput(`must be one of ${names.join(', ')}, each once`, [...path, 'name']);
    }
    if (classification !== undefined)
      throw new BadInput('has a classification, which is not supported', [...path, 'parameters']);
    return { output, binary: (binary_data ?? binary) === true };
  });
}

/** The reply to a request. Throws where an output that was asked for is missing, or not of its type. */
export function writeInferReply(columns: Columns, { id, outputs: wanted }: Wanted, modelName: string): Reply {
  const binary: Uint8Array[] = [];
  const outputs = wanted.map(({ output, binary: asBytes }) => {
    const { name } = output;
    if (!Object.hasOwn(columns, name)) throw new Error(`the answer has no output ${name}`);
    const tensor = tensorOf(columns[name], output);
    const bytes = asBytes ? bytesOfTensor(tensor) : undefined;
    if (bytes) binary.push(bytes);
    const labels = output.labels && { labels: JSON.stringify(output.labels) };
    return new Map<string, unknown>([
      ['name', name],
      ['datatype', elements[tensor.type].datatype],
      ['shape', tensor.shape],
      ['parameters', bytes ? { ...labels, binary_data_size: bytes.length } : labels],
      ['data', bytes ? undefined : Column.ofRows({ ...tensor, shape: [tensor.data.length] }).rowsJson()],
    ]);
  });
  const list = listJson(outputs.length, (i) => outputs[i]);
  return { json: new Map(Object.entries({ model_name: modelName, id, outputs: list })), binary };
}

/** An output's tensor; a wrapper's list, and values of several runs, become one of the output's declared type. */
function tensorOf(column: Columns[string], { name, type, dims, batch, labels }: Output): Tensor {
  if (column instanceof Column && column.tensors.length === 1) return column.tensors[0];
  const rows = Array.from(column, (row) => labels?.map((label) => Object(row)[label]) ?? row);
  const value = batch || rows.length !== 1 ? rows : rows[0];
  try {
    const tensor = encodeValue(value, { type }, [name]);
    return { ...tensor, shape: completeShape(tensor.shape, dims) ?? tensor.shape };
  } catch (error) {
    throw new Error(`what was put in place of an output: ${messageOf(error)}`, { cause: error });
  }
}
