import { BadInput, showPath } from '../../model/errors';
import type { Model, Tensors } from '../../model/model';
import { type Dim, exampleOf, type Input, type Signature, valueAt } from '../../model/signature';
import { decodeText } from '../../model/values/base64';
import { readBytes } from '../../model/values/bytes';
import { TensorColumn } from '../../model/values/decode';
import { elementOf, numericDatatypes } from '../../model/values/elements';
import type { GivenTensor } from '../../model/values/encode';
import { byName } from '../../model/values/record';
import { fits, isShape } from '../../model/values/shapes';
import { sizeOf, type Tensor } from '../../model/values/tensor';
import { type Asked, type InferRequest, isObject } from './asked';
import { checkWrapper, matchInputs, show } from './names';

// Open Inference Protocol v2: https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data
// extension: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

interface InferBody extends Record<string, unknown> {
  inputs: InferInput[];
}

interface InferInput {
  name: string;
  datatype: string;
  shape?: unknown;
  data?: unknown;
  parameters?: unknown;
}

/** Whether a body is in the protocol's form: `inputs` is a list whose elements name themselves and their datatype. */
export function isInferRequest(body: unknown, { inputs }: Signature): body is InferBody {
  if (!isObject(body) || !Array.isArray(body.inputs) || (body.inputs.length === 0 && inputs.length > 0))
    return false;
  return body.inputs.every(
    (input) => isObject(input) && typeof input.name === 'string' && typeof input.datatype === 'string',
  );
}

/** Cuts a body in two, of which a header says how many bytes are JSON. Throws BadInput. */
export function splitBody(bytes: Buffer, header: string): { json: Buffer; binary: Buffer } {
  if (!/^\d{1,15}$/.test(header) || Number(header) > bytes.length) {
    throw new BadInput(
      `Inference-Header-Content-Length must be a number of bytes within the body's ${bytes.length}`,
    );
  }
  // Parsing may free the memory of what it is given, in which the binary data lie.
  return { json: Buffer.from(bytes.subarray(0, Number(header))), binary: bytes.subarray(Number(header)) };
}

/** Reads the body of an `infer` path. Throws BadInput. */
export function readInferBody(body: unknown, binary: Uint8Array | undefined, signature: Signature): Asked {
  if (!isInferRequest(body, signature)) {
    throw new BadInput('inputs must be an array of objects with name, shape, datatype and data');
  }
  checkWrapper(body);
  return readInferRequest(body, signature, binary);
}

/** Reads a request whose tensors lie in the JSON or, in their order, in the bytes behind it. Throws BadInput. */
export function readInferRequest(
  body: InferBody,
  signature: Signature,
  binary: Uint8Array = new Uint8Array(),
): Asked {
  const { inputs } = signature;
  const given = body.inputs.map(({ name }) => name);
  // The names in KServe's documented requests and of MLServer's codecs stand for the one input of any name.
  const isDocumented =
    inputs.length === 1 && given.length === 1 && (given[0] === 'input-0' || given[0] === 'input-1');
  const names = isDocumented ? given : matchInputs(given, inputs, '');
  const places = names.map((name) => given.indexOf(name));
  const chunks = cutBinary(body.inputs, binary);
  const tensors = byName(inputs, (input, i) => {
    const place = places[i];
    return readTensor(body.inputs[place], input, `inputs[${place}]`, chunks[place]);
  });
  const { id, outputs, parameters } = body;
  if (id !== undefined && typeof id !== 'string') throw new BadInput('id must be a string');
  const isBinary = parameter(parameters, 'binary_data_output') === true;
  return {
    form: 'whole',
    values: { tensors },
    infer: { id, outputs: readOutputs(outputs, signature, isBinary) },
    nameOf: nameInData(inputs, places),
  };
}

/** Names places in the data of inputs, which stand at these places of the request. */
function nameInData(inputs: readonly Input[], places: readonly number[]): Asked['nameOf'] {
  return ({ input, path }) =>
    `inputs[${places[inputs.findIndex(({ name }) => name === input)]}].data${showPath(path)}`;
}

/** The bytes of each input that has some. */
function cutBinary(inputs: readonly InferInput[], binary: Uint8Array): (Uint8Array | undefined)[] {
  let at = 0;
  const chunks = inputs.map(({ parameters, data }, i) => {
    const size = parameter(parameters, 'binary_data_size');
    if (size === undefined) return undefined;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new BadInput(`inputs[${i}].parameters.binary_data_size must be a whole number of bytes`);
    }
    if (data !== undefined) throw new BadInput(`inputs[${i}] has both data and binary_data_size`);
    at += size;
    return binary.subarray(at - size, at);
  });
  if (at !== binary.length) {
    throw new BadInput(
      `the inputs' binary_data_size sum up to ${at} bytes, but ${binary.length} follow the JSON`,
    );
  }
  return chunks;
}

function parameter(parameters: unknown, name: string): unknown {
  return isObject(parameters) ? parameters[name] : undefined;
}

function readTensor(
  given: InferInput,
  input: Input,
  where: string,
  bytes: Uint8Array | undefined,
): GivenTensor {
  const { type, dims, name } = input;
  checkDatatype(given.datatype, input, where, bytes !== undefined);
  const { shape } = given;
  if (!isShape(shape)) {
    throw new BadInput(`${where}.shape must be an array of lengths that a tensor can have`);
  }
  if (dims.length > 0 && !fits(shape, dims))
    throw new BadInput(`${where}.shape must be [${dims.map(protocolDim)}] for ${name}`);
  if (!bytes) {
    if (!Array.isArray(given.data)) throw new BadInput(`${where}.data must be an array`);
    return { shape, data: given.data };
  }
  const place = { input: `the binary data of ${where}`, path: [] };
  if (type === 'string') return { shape, data: readTexts(bytes, sizeOf(shape), where) };
  return { shape, data: readBytes(bytes, type, shape, place) };
}

/** JSON numbers of another datatype are read as the input's, value by value; bytes are not. */
function checkDatatype(datatype: string, { name, type }: Input, where: string, isBinary: boolean): void {
  const own = elementOf(type).datatype;
  if (datatype === own) return;
  if (!isBinary && numericDatatypes.includes(datatype) && numericDatatypes.includes(own)) return;
  throw new BadInput(`${where}.datatype must be ${own} for ${name}`);
}

/** BYTES as bytes: each element is a uint32 with its length, little-endian, and so many bytes. */
function readTexts(bytes: Uint8Array, count: number, where: string): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length && at + 4 + view.getUint32(at, true) <= bytes.length) {
    const end = at + 4 + view.getUint32(at, true);
    const text = decodeText(bytes.subarray(at + 4, end));
    if (text === undefined || text.includes('\0'))
      throw new BadInput(`the binary data of ${where}: element ${texts.length} must be UTF-8 without NUL`);
    texts.push(text);
    at = end;
  }
  if (at !== bytes.length || texts.length !== count) {
    throw new BadInput(
      `the binary data of ${where} must hold ${count} elements, each with its length before it`,
    );
  }
  return texts;
}

function readOutputs(wanted: unknown, { outputs }: Signature, binary: boolean): InferRequest['outputs'] {
  if (wanted === undefined || (Array.isArray(wanted) && wanted.length === 0)) {
    return outputs.map(({ name }) => ({ name, binary }));
  }
  if (!Array.isArray(wanted)) throw new BadInput('outputs must be an array of objects with a name');
  const named = new Set<string>();
  return wanted.map((one, i) => {
    const name = isObject(one) ? one.name : undefined;
    if (typeof name !== 'string') throw new BadInput(`outputs[${i}] must be an object with a name`);
    if (!outputs.some((output) => output.name === name)) {
      const names = outputs.map((output) => output.name).join(', ');
      throw new BadInput(`unknown output ${show(name)}; the outputs are ${names}`);
    }
    if (named.has(name)) throw new BadInput(`outputs names ${name} twice`);
    named.add(name);
    if (parameter(one.parameters, 'classification') !== undefined) {
      throw new BadInput(`outputs[${i}].parameters.classification is not supported`);
    }
    return { name, binary: (parameter(one.parameters, 'binary_data') ?? binary) === true };
  });
}

/** The reply to a request, given the model's outputs: JSON and, where some were asked for as bytes, what follows it. */
export function writeInferReply(
  { name: model_name, signature }: Model,
  { id, outputs }: InferRequest,
  tensors: Tensors,
): { json: object; binary: Uint8Array[] } {
  const binary: Uint8Array[] = [];
  const written = outputs.map(({ name, binary: asBytes }) => {
    const tensor = tensors[name];
    const labels = signature.outputs.find((output) => output.name === name)?.labels;
    const parameters = labels && { labels: JSON.stringify(labels) };
    const head = { name, datatype: elementOf(tensor.type).datatype, shape: tensor.shape };
    if (!asBytes) return { ...head, ...(parameters && { parameters }), data: flat(tensor) };
    const bytes = toBinary(tensor);
    binary.push(bytes);
    return { ...head, parameters: { ...parameters, binary_data_size: bytes.length } };
  });
  return { json: { model_name, ...(id !== undefined && { id }), outputs: written }, binary };
}

function flat(tensor: Tensor): TensorColumn {
  return new TensorColumn({ ...tensor, shape: [tensor.data.length] });
}

function toBinary({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = Buffer.allocUnsafe(data.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of data) {
    const length = bytes.write(text, at + 4);
    bytes.writeUInt32LE(length, at);
    at += 4 + length;
  }
  return bytes;
}

/** A request that the model takes; of an input with more values than `most`, just one more. */
export function exampleRequest({ inputs, kind }: Signature, most: number): object {
  return {
    inputs: inputs.map((input) => {
      const { name, type } = input;
      const example = exampleOf(input, kind);
      const shape = kind === 'whole' ? example.shape : [1, ...example.shape];
      const element = elementOf(type);
      const data = element.create(Math.min(sizeOf(shape), most + 1));
      for (let i = 0; i < data.length; i++) element.fill(data, i, [valueAt(example, i)]);
      return { name, datatype: element.datatype, shape, data: flat({ type, shape, data }) };
    }),
  };
}

/** A dimension as the protocol shows it. */
export function protocolDim(dim: Dim): number {
  return typeof dim === 'number' ? dim : -1;
}
