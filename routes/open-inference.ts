import { BadInput } from '../model/errors';
import type { Model } from '../model/model';
import { isShape, readBuffer, readElement, readTensor } from '../model/read';
import { constant, type Input, sampleFeeds } from '../model/sample';
import { type ElementType, type Feeds, sizeOf, type Tensor } from '../model/tensor';
import { type Output, writeTensor } from '../model/write';
import { checkNames, checkRows, isObject, namesOf, wrapperOf } from './bodies';

// Open Inference Protocol v2: https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data
// extension: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

/** A request in the protocol's form: its one run, and which outputs it wants. */
export interface InferRequest {
  feeds: Feeds;
  id?: string;
  outputs: { index: number; binary: boolean }[];
}

/** A reply: JSON and, where an output was asked for as bytes, what follows it. */
export interface InferReply {
  json: object;
  binary: Uint8Array[];
}

const datatypes: Record<ElementType, string> = {
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};

/** Whether a body is in the protocol's form: `inputs` is a list whose elements name themselves and their datatype. */
export function isInferRequest(body: unknown): body is { inputs: InferInput[] } {
  return (
    isObject(body) &&
    Array.isArray(body.inputs) &&
    body.inputs.every(
      (input) => isObject(input) && typeof input.name === 'string' && typeof input.datatype === 'string',
    )
  );
}

interface InferInput {
  name: string;
  datatype: string;
  shape?: unknown;
  data?: unknown;
  parameters?: unknown;
}

/** Reads a request whose tensors lie in the JSON or, in their order, in the bytes behind it. Throws BadInput. */
export function readInferRequest(body: unknown, binary: Uint8Array, model: Model): InferRequest {
  if (!isInferRequest(body)) {
    throw new BadInput('inputs must be an array of objects with name, shape, datatype and data');
  }
  wrapperOf(body, ['outputs', 'model_name', 'model_version']);
  checkNames(
    body.inputs.map(({ name }) => name),
    namesOf(model.inputs),
    '',
  );
  let at = 0;
  const feeds: Feeds = [];
  body.inputs.forEach((given, i) => {
    const where = `inputs[${i}]`;
    const place = model.inputs.findIndex(({ name }) => name === given.name);
    const size = binarySize(given, where);
    const bytes = size === undefined ? undefined : binary.subarray(at, at + size);
    feeds[place] = readInput(given, model.inputs[place], where, bytes);
    at += size ?? 0;
  });
  if (at !== binary.length) {
    throw new BadInput(
      `the inputs' binary_data_size sum up to ${at} bytes, but ${binary.length} follow the JSON`,
    );
  }
  checkRows(feeds, model);
  const { id, outputs, parameters } = body as { id?: unknown; outputs?: unknown; parameters?: unknown };
  if (id !== undefined && typeof id !== 'string') throw new BadInput('id must be a string');
  return {
    feeds,
    id,
    outputs: readOutputs(outputs, model, parameter(parameters, 'binary_data_output') === true),
  };
}

function parameter(parameters: unknown, name: string): unknown {
  return isObject(parameters) ? parameters[name] : undefined;
}

function binarySize({ parameters, data }: InferInput, where: string): number | undefined {
  const size = parameter(parameters, 'binary_data_size');
  if (size === undefined) return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    throw new BadInput(`${where}.parameters.binary_data_size must be a whole number of bytes`);
  }
  if (data !== undefined) throw new BadInput(`${where} has both data and binary_data_size`);
  return size as number;
}

function readInput(given: InferInput, input: Input, where: string, bytes: Uint8Array | undefined): Tensor {
  const { type, shape: dims, name } = input;
  if (given.datatype !== datatypes[type]) {
    throw new BadInput(`${where}.datatype must be ${datatypes[type]} for ${name}`);
  }
  const { shape } = given;
  if (!isShape(shape)) {
    throw new BadInput(`${where}.shape must be an array of lengths that a tensor can have`);
  }
  const fits =
    dims.length === 0 ||
    (dims.length === shape.length &&
      dims.every((dim, axis) => typeof dim === 'string' || dim === shape[axis]));
  if (!fits)
    throw new BadInput(
      `${where}.shape must be [${dims.map((dim) => (typeof dim === 'number' ? dim : -1))}] for ${name}`,
    );
  const size = sizeOf(shape);
  if (bytes) {
    const data =
      type === 'string'
        ? readTexts(bytes, size, where)
        : readBuffer(bytes, type, shape, `the binary data of ${where}`);
    return { type, shape, data };
  }
  if (!Array.isArray(given.data)) throw new BadInput(`${where}.data must be an array`);
  // Data may be nested as the shape says, or flat in row-major order.
  const nested = given.data.some(Array.isArray);
  if (nested) return readTensor(given.data, { type, dims: shape }, `${where}.data`);
  return { ...readTensor(given.data, { type, dims: [size] }, `${where}.data`), shape };
}

/** BYTES as bytes: each element is a uint32 with its length, little-endian, and so many bytes. */
function readTexts(bytes: Uint8Array, count: number, where: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length && at + 4 + view.getUint32(at, true) <= bytes.length) {
    const end = at + 4 + view.getUint32(at, true);
    const text = readElement({ b64: Buffer.from(bytes.subarray(at + 4, end)).toString('base64') }, 'string');
    if (text === undefined)
      throw new BadInput(`the binary data of ${where}: element ${texts.length} must be UTF-8 without NUL`);
    texts.push(text as string);
    at = end;
  }
  if (at !== bytes.length || texts.length !== count) {
    throw new BadInput(
      `the binary data of ${where} must hold ${count} elements, each with its length before it`,
    );
  }
  return texts;
}

function readOutputs(outputs: unknown, model: Model, binary: boolean): InferRequest['outputs'] {
  if (outputs === undefined || (Array.isArray(outputs) && outputs.length === 0)) {
    return model.outputs.map((_, index) => ({ index, binary }));
  }
  if (!Array.isArray(outputs)) throw new BadInput('outputs must be an array of objects with a name');
  return outputs.map((wanted, i) => {
    const name = isObject(wanted) ? wanted.name : undefined;
    if (typeof name !== 'string') throw new BadInput(`outputs[${i}] must be an object with a name`);
    const index = model.outputs.findIndex((output) => output.name === name);
    const names = model.outputs.map((output) => output.name).join(', ');
    if (index < 0)
      throw new BadInput(`unknown output ${JSON.stringify(name.slice(0, 100))}; the outputs are ${names}`);
    if (parameter(wanted.parameters, 'classification') !== undefined) {
      throw new BadInput(`outputs[${i}].parameters.classification is not supported`);
    }
    return { index, binary: (parameter(wanted.parameters, 'binary_data') ?? binary) === true };
  });
}

/** The reply to a request, given the model's outputs. */
export function writeInferReply(
  model: Model,
  { id, outputs }: InferRequest,
  tensors: readonly Tensor[],
): InferReply {
  const binary: Uint8Array[] = [];
  const written = outputs.map(({ index, binary: asBytes }) => {
    const output = model.outputs[index];
    const tensor = tensors[index];
    const parameters: Record<string, unknown> = output.labels
      ? { labels: JSON.stringify(output.labels) }
      : {};
    const head = { name: output.name, datatype: datatypes[tensor.type], shape: tensor.shape };
    if (asBytes) {
      const bytes = bytesOf(tensor);
      binary.push(bytes);
      return { ...head, parameters: { ...parameters, binary_data_size: bytes.length } };
    }
    const data = valuesOf(tensor);
    return output.labels ? { ...head, parameters, data } : { ...head, data };
  });
  return { json: { model_name: model.name, ...(id !== undefined && { id }), outputs: written }, binary };
}

/** A request that the model takes. */
export function exampleRequest({ inputs, sample: { size, value } }: Model): object {
  const feeds = sampleFeeds(inputs, 1, size, constant(value, 1));
  const tensors = feeds.map((tensor, i) => {
    return {
      name: inputs[i].name,
      datatype: datatypes[tensor.type],
      shape: tensor.shape,
      data: valuesOf(tensor),
    };
  });
  return { inputs: tensors };
}

/** The JSON values of a tensor, flat. */
function valuesOf(tensor: Tensor): unknown {
  return writeTensor({ ...tensor, shape: [tensor.data.length] }, {});
}

function bytesOf({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat(
    data.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

/** The model's metadata, as `GET /v2/models/:name` gives them. */
export function describeModel({ name, inputs, outputs }: Model): object {
  const describe = ({ name, type, shape }: Input | Output) => ({
    name,
    datatype: datatypes[type],
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
  });
  return {
    name,
    versions: ['1'],
    platform: 'onnx_onnxv1',
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
  };
}
