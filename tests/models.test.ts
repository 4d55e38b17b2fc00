import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { BootError } from '../model/errors';
import { applyEdits, editsFor } from '../model/graph/edits';
import { findEmptyAxes } from '../model/graph/inputs';
import { readOnnx } from '../model/graph/onnx';
import { integerField, messageField } from '../model/graph/protobuf';
import { mayRunInline } from '../model/runtime/inline';
import { ask } from './ask';
import { near } from './near';
import { closeModels, modelPath, openModel, root, serveModel } from './serve';

afterAll(closeModels);

type Values = Record<string, unknown>;
interface Rows {
  instances: unknown[];
  outputs: Record<string, unknown[]>;
}
interface Tensors {
  inputs: Values;
  outputs: Values;
}

/** What scikit-learn, NumPy and PyTorch say; the scripts beside the models write these files. */
function answers<T>(file: string): Record<string, T> {
  return JSON.parse(readFileSync(join(root, 'tests', 'models', file), 'utf8'));
}
const sklearn = Object.entries(answers<Rows>('sklearn.json'));
const tensors = { ...answers<Tensors>('hand.json'), ...answers<Tensors>('torch.json') };

const single = ['cnn-fixed', 'single', 'slow-single'];
const whole = ['gru-state', 'matmul-open', 'no-inputs', 'scalar', 'unknown-rank', 'whole'];
// Batched models with an output that has no batch dimension.
const oneByOne = ['no-batch-output', 'twice', 'unnamed-outputs'];
const batched = Object.keys(tensors).filter((name) => ![...single, ...whole, ...oneByOne].includes(name));

async function predict(name: string, body: unknown): Promise<Values> {
  const reply = await ask(name, JSON.stringify(body));
  expect(reply.body).not.toHaveProperty('error');
  expect(reply.status).toBe(200);
  return reply.body;
}

function expectNear(actual: unknown, expected: unknown): void {
  expect(near(actual, expected)).toEqual(expected);
}

function mapValues<T>(values: Record<string, T>, change: (value: T, key: string) => unknown): Values {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value, key)]));
}

/** The primary output under `key`, the others beside it. */
function predicted(key: 'prediction' | 'predictions', outputs: Values): Values {
  const primary = 'prediction' in outputs ? 'prediction' : Object.keys(outputs)[0];
  const { [primary]: value, ...others } = outputs;
  return { [key]: value, ...others };
}

/** Whole outputs, which stand bare where there is one. */
function bareIfOne(outputs: Values): unknown {
  const values = Object.values(outputs);
  return values.length === 1 ? values[0] : outputs;
}

/** `[x]` as an instance's output shows it. */
function bare(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 && !Array.isArray(value[0]) ? value[0] : value;
}

function row(values: Values, i: number): Values {
  return mapValues(values, (rows) => bare((rows as unknown[])[i]));
}

describe.each(sklearn)('%s answers as scikit-learn does', (name, { instances, outputs }) => {
  test('POST /predict with instances', async () => {
    expectNear(await predict(name, { instances }), predicted('predictions', outputs));
  });

  test('POST /predict with each instance alone', async () => {
    for (const [i, instance] of instances.entries())
      expectNear(await predict(name, instance), predicted('prediction', row(outputs, i)));
  });

  test('POST /predict with inputs', async () => {
    const [first] = instances as [Values];
    const keyed = typeof first === 'object' && !Array.isArray(first);
    const inputs = keyed
      ? mapValues(first, (_, key) => instances.map((instance) => (instance as Values)[key]))
      : instances;
    const reply = (await predict(name, { inputs })).outputs as Values;
    const whole = Object.keys(outputs).length === 1 ? { [Object.keys(outputs)[0]]: reply } : reply;
    // A regressor's whole output is [N,1], where scikit-learn gives [N].
    expectNear(
      mapValues(whole, (rows) => (rows as unknown[]).map(bare)),
      outputs,
    );
  });
});

test.each(Object.entries(tensors))('POST /predict to %s with inputs', async (name, { inputs, outputs }) => {
  expectNear(await predict(name, { inputs }), { outputs: bareIfOne(outputs) });
});

describe.each(batched)('%s, row by row', (name) => {
  const { inputs, outputs } = tensors[name];
  const count = (Object.values(inputs)[0] as unknown[]).length;
  const instances = Array.from({ length: count }, (_, i) => row(inputs, i));
  const expected = predicted(
    'predictions',
    mapValues(outputs, (rows) => (rows as unknown[]).map(bare)),
  );

  test('POST /predict with instances', async () => {
    expectNear(await predict(name, { instances }), expected);
  });

  test('POST /predict with an array of instances', async () => {
    expectNear(await predict(name, instances), expected);
  });

  if (name !== 'wrapper-name')
    test('POST /predict with a batch', async () => {
      expectNear(await predict(name, inputs), expected);
    });
});

test.each(single)('POST /predict to %s with or without the first dimension', async (name) => {
  const { inputs, outputs } = tensors[name];
  const expected = predicted('prediction', row(outputs, 0));
  expectNear(await predict(name, inputs), expected);
  expectNear(await predict(name, row(inputs, 0)), expected);
  expectNear(await predict(name, { instances: [inputs, row(inputs, 0)] }), {
    ...mapValues(predicted('predictions', row(outputs, 0)), (value) => [value, value]),
  });
});

test.each(whole)('POST /predict to %s with whole instances', async (name) => {
  const { inputs, outputs } = tensors[name];
  expectNear(await predict(name, inputs), predicted('prediction', outputs));
  expectNear(await predict(name, { instances: [inputs, inputs] }), {
    ...mapValues(predicted('predictions', outputs), (value) => [value, value]),
  });
});

test.each([
  ['no-batch-output', { predictions: [[1, 2, 3], [3, 4, 8]], mean: [[1, 2, 3], [3, 4, 8]] }], // biome-ignore format: rows
  ['unnamed-outputs', { predictions: [[1, 2, 3], [3, 4, 8]], mean: [[1, 2, 3], [3, 4, 8]] }], // biome-ignore format: rows
  ['twice', { predictions: [[[1, 2], [1, 2]], [[3, 4], [3, 4]]] }], // biome-ignore format: rows
])('POST /predict to %s runs instances one by one', async (name, expected) => {
  const [instances] = Object.values(tensors[name].inputs);
  expect(await predict(name, { instances })).toEqual(expected);
});

test('POST /predict with a batch as bytes to a model whose rows are run one by one', async () => {
  const x = { b64: Buffer.from(Float32Array.of(1, 2, 3, 3, 4, 8).buffer).toString('base64'), shape: [2, 3] };
  expect(await predict('no-batch-output', x)).toEqual({ predictions: [[1, 2, 3], [3, 4, 8]], mean: [[1, 2, 3], [3, 4, 8]] }); // biome-ignore format: rows
});

test.each([
  // Shortest digits as NumPy prints them.
  ['float16', [65504, 0.1], [65500, 0.1]],
  ['float16', [null, '-Infinity'], [null, '-Infinity']],
  ['float16', [6e-8, -0.5], [6e-8, -0.5]],
  ['float32', [0.97, 1e-45], [0.97, 1e-45]],
  ['float32', [3.4028235e38, 'NaN'], [3.4028235e38, null]],
  ['float64', [0.1, 5e-324], [0.1, 5e-324]],
  ['float64', [1.7976931348623157e308, 'Infinity'], [1.7976931348623157e308, 'Infinity']],
  ['int8', [-128, 127], [-128, 127]],
  ['int16', [-32768, 32767], [-32768, 32767]],
  ['int32', [-2147483648, 2147483647], [-2147483648, 2147483647]],
  ['int64', ['-9223372036854775808', '9223372036854775807'], ['-9223372036854775808', '9223372036854775807']],
  ['int64', [-9007199254740991, '42'], [-9007199254740991, 42]],
  ['uint8', [0, 255], [0, 255]],
  ['uint16', [0, 65535], [0, 65535]],
  ['uint32', [0, 4294967295], [0, 4294967295]],
  ['uint64', [0, '18446744073709551615'], [0, '18446744073709551615']],
  ['bool', [true, 0], [true, false]],
  ['string', ['', 'é中😀"\\'], ['', 'é中😀"\\']],
])('POST /predict gives back %s %j', async (type, x, prediction) => {
  expect(await predict(`identity-${type}`, { x })).toEqual({ prediction });
});

test('text models load without the locale en_US.UTF-8, and fold case', async () => {
  const reply = await predict('text', { text: [['WARM, clever and FUNNY'], ['warm, clever and funny']] });
  expect(reply.predictions).toEqual(['good', 'good']);
  const [upper, lower] = reply.output_probability as unknown[];
  expect(upper).toEqual(lower);
});

test.each([
  ['sequence-and-tensor', ['y'], 'parts'],
  ['optional-output', ['y'], 'maybe'],
])('%s leaves an output out and says so', async (name, outputs, leftOut) => {
  const { model } = await serveModel(name);
  expect(model.signature.outputs.map(({ name }) => name)).toEqual(outputs);
  expect(model.notes).toEqual([expect.stringContaining(leftOut)]);
});

test('sequence-used gives the tensors of a sequence that another node reads, and what that node gives', async () => {
  const x = [1, 2];
  expect(await predict('sequence-used', { x })).toEqual({ prediction: x, parts_1: [2, 4], second: [2, 4] });
});

test.each<[string, Values, Values]>([
  [
    'inputs',
    { inputs: { input_ids: [[1, 2, 3]], 'past_key_values.0.key': [[[]]] } },
    { logits: [6], 'present.0.key': [[[[1], [2], [3]]]] },
  ],
])('POST /predict to past with an empty past in %s', async (_form, body, outputs) => {
  expect(await predict('past', body)).toEqual({ outputs });
});

test.each<[string, Record<string, number[]>]>([
  // Joined along axis 2; of two that are joined, the first may be empty.
  ['past', { input_ids: [], 'past_key_values.0.key': [2] }],
  ['gru-rows', { x: [], state: [] }],
  ['mean-of-all', { x: [] }],
])('%s takes a length of 0 along the axes that only its first nodes see', (name, axes) => {
  expect(Object.fromEntries(findEmptyAxes(readOnnx(modelPath(name))))).toEqual(axes);
});

test('helper17, of the IR version that onnx 1.23 writes, answers', async () => {
  expect(await predict('helper17', { x: [[1, -2]] })).toEqual({ predictions: [[1, 0]] });
});

test('a model whose file is replaced or removed answers as it was, or not at all', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'replaced-'));
  const path = join(folder, 'model.onnx');
  try {
    copyFileSync(modelPath('identity-float32'), path);
    const model = await openModel(path);
    const x = Array.from({ length: 100 }, () => [1, 2]);
    for (const change of [() => writeFileSync(path, readFileSync(modelPath('log'))), () => rmSync(path)]) {
      change();
      expect(await model.predict({ x: [[1, 2]] })).toMatchObject({ y: { length: 1 } });
      // A run that is larger than those at boot goes to a thread, which loads the file anew.
      await expect(model.predict({ x })).rejects.toThrow(/has changed: start the server anew|ENOENT/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each(['zipmap-hand', 'zipmap-shown', 'zipmap-only', 'external', 'text', 'default-input'])(
  '%s is served whole, with nothing to note',
  async (name) => {
    expect((await serveModel(name)).model.notes).toEqual([]);
  },
);

// What is wrong, and what to do about it.
test.each([
  ['bfloat16', 'bfloat16', 'export'],
  ['float8', 'float8', 'export'],
  ['int4-input', 'int4', 'export'],
  ['int4-output', 'int4', 'export'],
  ['uint4-output', 'uint4', 'export'],
  ['sequence-input', 'the input x', 'export'],
  ['map-input', 'the input x', 'export'],
  ['sequence-only', 'no output', 'export'],
  ['unknown-domain', 'com.example:Magic', 'export'],
  ['unknown-op', 'Magic', 'export'],
  ['external-missing', 'gone.onnx.data', 'put that file beside it'],
  ['no-such-file', 'no such file', 'path'],
])('%s does not boot: one line names %s and says what to do', async (name, what, remedy) => {
  const error = await serveModel(name).catch((error) => error);
  expect(error).toBeInstanceOf(BootError);
  expect(error.message).toContain(what);
  expect(error.message).toContain(remedy);
  expect(error.message).not.toMatch(/\n|Non-zero status|onnxruntime|\.cc:|session_state/);
});

describe('files written for a test', () => {
  const folder = mkdtempSync(join(tmpdir(), 'models-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function write(name: string, bytes: Buffer | string): string {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  }

  /** A model of one node, or of others, from x to y, both of this element type and shape, of which the first dimension is open. */
  function oneNode(op: string, type: number, width: number, nodes?: Buffer[]): Buffer {
    // onnx.proto: ValueInfoProto.name is 1 and .type 2, TypeProto.tensor_type 1, whose elem_type is 1 and shape 2;
    // TensorShapeProto.dim is 1, whose dim_value is 1 and dim_param 2.
    const shape = messageField(
      2,
      messageField(1, messageField(2, 'N')),
      messageField(1, integerField(1, width)),
    );
    const info = (name: string) =>
      Buffer.concat([messageField(1, name), messageField(2, messageField(1, integerField(1, type), shape))]);
    const node = messageField(1, messageField(1, 'x'), messageField(2, 'y'), messageField(4, op));
    const graph = messageField(
      7,
      ...(nodes ?? [node]),
      messageField(11, info('x')),
      messageField(12, info('y')),
    );
    return Buffer.concat([integerField(1, 8), messageField(8, integerField(2, 17)), graph]);
  }

  test('a locale that a text model has already stays', () => {
    const path = modelPath('text');
    const editsOf = (path: string) => editsFor(readOnnx(path));
    const edits = editsOf(path);
    if (!edits) throw new Error('the model needs no edits');
    expect(editsOf(write('text.onnx', applyEdits(path, edits)))).toBeUndefined();
  });

  // TensorProto.DataType: 1 is float, 11 double, 16 bfloat16. NodeProto.attribute is 5, whose .i is 3 and .type 20.
  const cast = (from: string, to: string, type: number) =>
    messageField(1, messageField(1, from), messageField(2, to), messageField(4, 'Cast'), messageField(5, messageField(1, 'to'), integerField(3, type), integerField(20, 2))); // biome-ignore format: one node
  const inside = (op: string, type: number) => [
    cast('x', 'a', type),
    messageField(1, messageField(1, 'a'), messageField(2, 'b'), messageField(4, op)),
    cast('b', 'y', 1),
  ];

  test.each<[string, Buffer, RegExp]>([
    ['bfloat16 inside', oneNode('Relu', 1, 2, inside('Relu', 16)), /no Relu for .* in float32/],
    ['bfloat16 where it is unknown', oneNode('Sin', 1, 2, inside('Sin', 16)), /no Sin for .* in float32/],
    ['a double inside', oneNode('Erf', 1, 2, inside('Erf', 11)), /no Erf for .* in float32/],
    [
      'an old opset',
      Buffer.concat([oneNode('Relu', 1, 2), messageField(8, integerField(2, 5))]),
      /no Relu for .* with opset_version=17/,
    ],
  ])('a model with %s that no data frame was made for is not told of one', async (_what, bytes, says) => {
    const error = await openModel(write('odd.onnx', bytes)).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toMatch(says);
    expect(error.message).not.toMatch(/frame|FloatTensorType/);
  });

  /** A model of one encoder, of columns of these dimensions behind the first. */
  function oneEncoder(inputs: string[], columns: Buffer[]): Buffer {
    // AttributeProto.name is 1, .i 3, .ints 8 and .type 20; NodeProto.domain 7; OperatorSetIdProto.domain 1.
    const known = messageField(
      5,
      messageField(1, 'cats_int64s'),
      integerField(8, 7),
      integerField(8, 9),
      integerField(20, 7),
    );
    const strict = messageField(5, messageField(1, 'zeros'), integerField(3, 0), integerField(20, 2));
    const ends = [...inputs.map((name) => messageField(1, name)), messageField(2, 'y')];
    const op = [...ends, messageField(4, 'OneHotEncoder'), messageField(7, 'ai.onnx.ml')];
    const shape = messageField(2, messageField(1, messageField(2, 'N')), ...columns);
    const input = messageField(2, messageField(1, integerField(1, 7), shape));
    const graph = messageField(
      7,
      messageField(1, ...op, known, strict),
      messageField(11, messageField(1, 'x'), input),
      messageField(12, messageField(1, 'y')),
    );
    const opset = messageField(8, messageField(1, 'ai.onnx.ml'), integerField(2, 3));
    return Buffer.concat([integerField(1, 8), messageField(8, integerField(2, 17)), opset, graph]);
  }

  test('an encoder that reads a list of codes is shown one that it knows', async () => {
    const { signature } = await openModel(write('codes.onnx', oneEncoder(['x'], [])));
    expect(signature.inputs[0].example).toBe('7');
  });

  test('a dimension of -1 is open', async () => {
    const minusOne = Buffer.from([8, ...Array(9).fill(255), 1]);
    const path = write('minus-one.onnx', oneEncoder(['x'], [messageField(1, minusOne)]));
    const { signature } = await openModel(path);
    expect(signature.inputs[0].dims).toEqual(['N', '']);
    // Else its runs might be done on the thread that serves HTTP, however long they take.
    expect(mayRunInline(readOnnx(path))).toBe(false);
  });

  test('an encoder of nothing does not boot: one line names the file', async () => {
    const error = await openModel(write('nothing.onnx', oneEncoder([], []))).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toMatch(/nothing\.onnx cannot be loaded/);
  });

  test('a model with an operator that takes no doubles does not boot: one line says what to do', async () => {
    const error = await openModel(write('odd.onnx', oneNode('Not', 11, 2))).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toMatch(/odd\.onnx cannot be loaded: .* no Not for values of this type: .*float32/);
  });

  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 5000\n`;
  const page = '\n<!DOCTYPE html>\n<html lang="en"><title>Sign in</title>';
  test.each([
    ['uint2', 25, 'no Identity for values of this type'],
    ['float6e3m2', 28, 'of a type that cannot be served'],
  ])('a model of %s does not boot: one line says what to do', async (_type, code, words) => {
    const error = await openModel(write('odd.onnx', oneNode('Identity', code, 2))).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toContain(words);
    expect(error.message).toContain('export');
  });

  test.each([
    ['a Git LFS pointer', pointer, 'git lfs pull'],
    ['a web page longer than they are', page.repeat(100), 'download'],
  ])('weights that are %s do not boot: one line says what to do', async (_what, bytes, remedy) => {
    write('external.onnx.data', bytes);
    const path = write('odd.onnx', readFileSync(modelPath('external')));
    const error = await openModel(path).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toContain('external.onnx.data');
    expect(error.message).toContain(remedy);
  });

  test.each([
    ['empty', '', 'empty'],
    ['text', 'not a model', ''],
    ['JSON', '{"a": 1}', ''],
    ['an archive of PyTorch', Buffer.from('PK\x03\x04archive/data.pkl', 'latin1'), ''],
    ['cut short', readFileSync(modelPath('logreg')).subarray(0, 300), 'copy it again'],
    ['a Git LFS pointer', pointer, 'git lfs pull'],
    ['a web page', page, 'download'],
    ['a pickle', Buffer.from('\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x08sklearn.', 'latin1'), 'model/convert.py'],
    ['a compressed joblib file', deflateSync('\x80\x04'), 'model/convert.py'],
    ['gzip', gzipSync(readFileSync(modelPath('logreg'))), 'gunzip'],
  ])('a file that is %s is no ONNX model, and the line says what to do', async (_what, bytes, remedy) => {
    const error = await openModel(write('odd.onnx', bytes)).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toMatch(/odd\.onnx.* not an ONNX model/);
    expect(error.message).toContain(remedy);
    expect(error.message).not.toContain('\n');
  });

  // onnx.proto: ModelProto.ir_version is 1 and .opset_import 8, whose version is 2; of two, the last one counts.
  const identity = readFileSync(modelPath('identity-float32'));
  test.each([
    ['a newer IR version', Buffer.concat([identity, integerField(1, 99)]), /IR version: 99, max .*: 13$/],
    ['a newer opset', Buffer.concat([identity, messageField(8, integerField(2, 99))]), /[Oo]pset 99/],
    ['weights that are cut short', readFileSync(modelPath('external')), /weights/],
  ])('a model with %s does not boot: one line says why', async (_what, bytes, says) => {
    write('external.onnx.data', 'too short');
    const error = await openModel(write('odd.onnx', bytes)).catch((error) => error);
    expect(error).toBeInstanceOf(BootError);
    expect(error.message).toMatch(says);
    expect(error.message).not.toMatch(/\n|onnxruntime/);
  });
});
