import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expectError, serveOnce } from './ask';
import { near } from './near';
import { closeModels, root } from './serve';

afterAll(closeModels);

interface Request {
  model: string;
  method: string;
  path: string;
  env?: NodeJS.ProcessEnv;
  headers?: Record<string, string> | [string, string][];
  body?: unknown;
  bodyText?: string;
  bodyBase64?: string;
}

/** One of the protocols' own examples, and what is to come back. */
interface Example extends Request {
  source?: string;
  call?: string;
  status: number;
  /** Part of the JSON of the reply. */
  reply?: object;
  /** The bytes behind that JSON. */
  replyBinary?: string;
  replyHeaders?: Record<string, string>;
  /** What no claim is made about. */
  optional?: boolean;
}

function examples(file: string): Example[] {
  return JSON.parse(readFileSync(join(root, 'tests', file), 'utf8'));
}

/** Sends a request as it stands and gives the reply, its body cut in two where a header says that bytes follow. */
async function send({ model, method, path, env, headers = {}, body, bodyText, bodyBase64 }: Request) {
  const { agent } = await serveOnce(model, env);
  const request = method === 'GET' ? agent.get(path) : agent.post(path);
  for (const [name, value] of Array.isArray(headers) ? headers : Object.entries(headers))
    if (name !== 'content-length') request.set(name, value);
  if (method !== 'GET')
    request.send(
      bodyBase64 === undefined ? (bodyText ?? JSON.stringify(body)) : Buffer.from(bodyBase64, 'base64'),
    );
  const reply = await request.buffer(true).parse((stream, done) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => done(null, Buffer.concat(chunks)));
  });
  const bytes: Buffer = reply.body;
  const length = Number(reply.get('Inference-Header-Content-Length') ?? bytes.length);
  return {
    status: reply.status,
    type: reply.type,
    headers: reply.headers,
    body: JSON.parse(bytes.subarray(0, length).toString()),
    binary: bytes.subarray(length).toString('base64'),
  };
}

async function replay(example: Example): Promise<void> {
  const reply = await send(example);
  expect(reply).toMatchObject({ status: example.status, body: example.reply ?? {} });
  if (example.status >= 400) expectError(reply, example.status);
  expect(reply.binary).toBe(example.replyBinary ?? '');
  for (const [name, value] of Object.entries(example.replyHeaders ?? {}))
    expect(reply.headers[name.toLowerCase()]).toBe(value);
}

test.each(
  examples('protocols.json')
    .filter(({ optional }) => !optional)
    .map((example) => [example.method, example.path, example.status, example.source, example] as const),
)('%s %s is a %i, as %s says', (_method, _path, _status, _source, example) => replay(example));

test.each(
  examples('triton-requests.json').map((example) => [example.call, example.status, example] as const),
)("a request that Triton's Python client sent: %s is a %i", (_call, _status, example) => replay(example));

const iris = [5.1, 3.5, 1.4, 0.2];

describe('another name or version is a 404 that names what is served', () => {
  test.each([
    ['GET', '/v1/models/other'],
    ['GET', '/v1/models/add/versions/2'],
    ['POST', '/v1/models/other:predict'],
    ['POST', '/v1/models/add/versions/2:predict'],
    ['GET', '/v2/models/other'],
    ['GET', '/v2/models/other/ready'],
    ['POST', '/v2/models/other/infer'],
    ['GET', '/v2/models/add/versions/2'],
    ['GET', '/v2/models/add/versions/2/ready'],
    ['POST', '/v2/models/add/versions/2/infer'],
    ['POST', '/predictions/other'],
    ['POST', '/predictions/add/2.0'],
    ['POST', '/predictions/__proto__'],
  ])('%s %s', async (method, path) => {
    const reply = await send({ model: 'add', method, path, body: { feature1: 1, feature2: 2 } });
    expectError(reply, 404);
    expect(reply.body.error).toContain('add');
  });
});

test.each([
  ['POST', '/v1/models/add:classify', ':predict'],
  ['POST', '/v1/models/add/versions/1:regress', ':predict'],
  ['POST', '/v1/models/add:explain', ':predict'],
  ['GET', '/v1/models/add:explain', ':predict'],
  // Triton's statistics, repository and trace, MLflow's version.
  ['GET', '/v2/models/add/stats', 'POST /predict'],
  ['GET', '/v2/models/stats', 'add'],
  ['POST', '/v2/repository/index', 'POST /predict'],
  ['POST', '/v2/repository/models/add/load', 'POST /predict'],
  ['GET', '/v2/trace/setting', 'POST /predict'],
  ['GET', '/version', 'POST /predict'],
])('%s %s is a 404 that says %s is served', async (method, path, served) => {
  const reply = await send({ model: 'add', method, path, body: {} });
  expectError(reply, 404);
  expect(reply.body.error).toContain(served);
  expect(reply.body.error).toContain('The model takes feature1');
});

test.each([
  ['GET', '/v2/models/add/infer', 'POST'],
  ['GET', '/v1/models/add:predict', 'POST'],
  ['GET', '/invocations', 'POST'],
  ['GET', '/predictions/add', 'POST'],
  ['POST', '/v2/models/add', 'GET'],
  ['POST', '/v2/models/add/ready', 'GET'],
  ['POST', '/v2/health/live', 'GET'],
  ['POST', '/v2', 'GET'],
  ['POST', '/v1/models/add', 'GET'],
  ['POST', '/ping', 'GET'],
  ['POST', '/', 'GET'],
  ['POST', '/v1/models/add/metadata', 'GET'],
])('%s %s is a 405 that allows %s', async (method, path, allowed) => {
  const reply = await send({ model: 'add', method, path, body: {} });
  expectError(reply, 405);
  expect(reply.headers.allow.split(', ')).toContain(allowed);
});

test('MODEL_NAME is the name in paths and replies', async () => {
  const env = { MODEL_NAME: 'süm' };
  const path = `/v2/models/${encodeURIComponent('süm')}`;
  expect((await send({ model: 'add', env, method: 'GET', path })).body.name).toBe('süm');
  expectError(await send({ model: 'add', env, method: 'GET', path: '/v2/models/add' }), 404);
});

describe('model metadata', () => {
  test.each([
    [
      'mixed',
      [
        { name: 'city', datatype: 'BYTES', shape: [-1, 1] },
        { name: 'age', datatype: 'FP32', shape: [-1, 1] },
        { name: 'visits', datatype: 'INT64', shape: [-1, 1] },
      ],
      [
        { name: 'output_label', datatype: 'BYTES', shape: [-1] },
        { name: 'output_probability', datatype: 'FP32', shape: [-1, 2] },
      ],
    ],
    [
      'conv-open',
      [{ name: 'x', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
      [{ name: 'y', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
    ],
    [
      'unnamed',
      [
        { name: 'feature1', datatype: 'FP32', shape: [-1, 1] },
        { name: 'feature2', datatype: 'FP32', shape: [-1, 1] },
      ],
      [{ name: 'sum', datatype: 'FP32', shape: [-1, 1] }],
    ],
    // Declared [1], and seen to follow the rows.
    [
      'label-of-one',
      [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      [{ name: 'label', datatype: 'INT64', shape: [-1] }],
    ],
    ['scalar', [{ name: 'x', datatype: 'FP32', shape: [] }], [{ name: 'y', datatype: 'FP32', shape: [] }]],
    ['no-inputs', [], [{ name: 'y', datatype: 'FP32', shape: [2] }]],
  ])('GET /v2/models/%s', async (model, inputs, outputs) => {
    const { status, body } = await send({ model, method: 'GET', path: `/v2/models/${model}` });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: model, versions: ['1'], inputs, outputs });
  });
});

// KServe v1's liveness: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
test('GET / is alive, and says how to ask', async () => {
  const { status, body } = await send({ model: 'add', method: 'GET', path: '/' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'alive', model: 'add' });
  expect(body.usage).toMatch(
    /^POST \/predict\. The model takes feature1: .* Try \{"feature1":0,"feature2":0\}$/,
  );
});

test('GET /v2 names the server and its extension', async () => {
  const { body } = await send({ model: 'add', method: 'GET', path: '/v2' });
  expect(body).toEqual({
    name: expect.any(String),
    version: expect.any(String),
    extensions: ['binary_tensor_data'],
  });
});

const healthPaths = ['/health', '/ping', '/v2/health/ready', '/v2/models/scalar/ready'];

test.each(healthPaths)('GET %s is a 503 while the server drains', async (path) => {
  const { app, agent } = await serveOnce('scalar');
  expect((await agent.get(path)).status).toBe(200);
  app.locals.draining = true;
  const reply = await agent.get(path);
  app.locals.draining = false;
  expectError(reply, 503);
  expect(Number(reply.get('Retry-After'))).toBeGreaterThan(0);
});

test.each(['/', '/v2', '/v2/health/live', '/v1/models/scalar'])('GET %s is a 200 meanwhile', async (path) => {
  const { app, agent } = await serveOnce('scalar');
  app.locals.draining = true;
  const reply = await agent.get(path);
  app.locals.draining = false;
  expect(reply.status).toBe(200);
});

describe('POST /v2/models/:name/infer', () => {
  const infer = (model: string, body: object, rest: Partial<Request> = {}) =>
    send({ model, method: 'POST', path: `/v2/models/${model}/infer`, body, ...rest });

  test.each([
    ['float16', 'FP16', [0.1, null]],
    ['float32', 'FP32', [0.97, '-Infinity']],
    ['float64', 'FP64', [0.1, 1e300]],
    ['int8', 'INT8', [-128, 127]],
    ['int16', 'INT16', [-32768, 32767]],
    ['int32', 'INT32', [-2147483648, 2147483647]],
    ['int64', 'INT64', [-1, '9223372036854775807']],
    ['uint8', 'UINT8', [0, 255]],
    ['uint16', 'UINT16', [0, 65535]],
    ['uint32', 'UINT32', [0, 4294967295]],
    ['uint64', 'UINT64', [0, '18446744073709551615']],
    ['bool', 'BOOL', [true, false]],
    ['string', 'BYTES', ['é', '']],
  ])('takes and gives %s as %s, nested, flat and as bytes', async (type, datatype, data) => {
    const model = `identity-${type}`;
    const x = { name: 'x', datatype, shape: [1, 2] };
    const reply = { model_name: model, outputs: [{ name: 'y', datatype, shape: [1, 2], data }] };
    for (const given of [data, [data]])
      expect((await infer(model, { inputs: [{ ...x, data: given }] })).body).toEqual(reply);

    const bytes = await infer(model, {
      inputs: [{ ...x, data }],
      outputs: [{ name: 'y', parameters: { binary_data: null } }],
      parameters: { binary_data_output: true },
    });
    const binary = Buffer.from(bytes.binary, 'base64');
    expect(bytes.body.outputs[0].parameters).toEqual({ binary_data_size: binary.length });
    const header = JSON.stringify({ inputs: [{ ...x, parameters: { binary_data_size: binary.length } }] });
    const back = await infer(
      model,
      {},
      {
        headers: { 'Inference-Header-Content-Length': String(Buffer.byteLength(header)) },
        bodyBase64: Buffer.concat([Buffer.from(header), binary]).toString('base64'),
      },
    );
    expect(back.body).toEqual(reply);
  });

  test('takes and gives large tensors as JSON, and on every path', async () => {
    const data = Array.from({ length: 100_000 }, (_, i) => i / 2);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [50_000, 2], data }];
    const outputs = [{ name: 'y', datatype: 'FP32', shape: [50_000, 2], data }];
    const model = 'identity-float32';
    for (const path of [`/v2/models/${model}/infer`, '/predict']) {
      const { status, body } = await send({ model, method: 'POST', path, body: { inputs } });
      expect({ status, body }).toEqual({ status: 200, body: { model_name: model, outputs } });
    }
    const parameters = { binary_data_size: 8 };
    expectError(await infer(model, { inputs: [{ ...inputs[0], parameters }] }), 400);
    expectError(
      await infer(model, {
        inputs: [{ ...inputs[0], data: undefined, parameters }],
        id: 'x'.repeat(100_000),
      }),
      400,
    );
  });

  test('gives the outputs that were asked for, in that order, and the id', async () => {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }];
    const doubled = { name: 'doubled', datatype: 'FP32', shape: [1, 3], data: [2, 4, 6] };
    const total = { name: 'total', datatype: 'FP32', shape: [1, 1], data: [6] };
    const model_name = 'two-outputs';
    expect((await infer(model_name, { inputs })).body).toEqual({ model_name, outputs: [doubled, total] });
    const named = { inputs, id: 'a', outputs: [{ name: 'total' }], model_name, model_version: '1' };
    expect((await infer(model_name, named)).body).toEqual({
      model_name,
      id: 'a',
      outputs: [total],
    });
    const outputs = [{ name: 'total' }, { name: 'doubled' }];
    expect((await infer(model_name, { inputs, outputs })).body).toEqual({
      model_name,
      outputs: [total, doubled],
    });
  });

  test('gives the probabilities of a ZipMap as numbers, with the labels in parameters', async () => {
    const inputs = [{ name: 'X', datatype: 'FP32', shape: [1, 4], data: iris }];
    const { body } = await infer('logreg', { inputs });
    const [label, probabilities] = body.outputs;
    expect(label).toEqual({ name: 'output_label', datatype: 'BYTES', shape: [1], data: ['setosa'] });
    expect(probabilities).toMatchObject({ name: 'output_probability', datatype: 'FP32', shape: [1, 3] });
    const expected = [0.9815832518125266, 0.018416733681098616, 1.4506374615672708e-8];
    expect(near(probabilities.data, expected)).toEqual(expected);
    expect(JSON.stringify(probabilities.parameters)).toMatch(/setosa.*versicolor.*virginica/);
  });

  test('gives no rows their shape, too', async () => {
    const inputs = [{ name: 'X', datatype: 'FP32', shape: [0, 4], data: [] }];
    const { body } = await infer('logreg', { inputs });
    expect(body.outputs).toMatchObject([
      { name: 'output_label', shape: [0], data: [] },
      { name: 'output_probability', shape: [0, 3], data: [] },
    ]);
  });

  const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
  test.each([
    ['FP64', 'float32'],
    ['INT64', 'float16'],
    ['FP32', 'int8'],
    ['UINT8', 'uint64'],
  ])('reads JSON data of datatype %s for %s value by value', async (datatype, type) => {
    const { body } = await infer(`identity-${type}`, { inputs: [{ ...x, datatype }] });
    expect(body.outputs).toMatchObject([{ shape: [1, 2], data: [1, 2] }]);
  });

  test.each([
    ['INT64', 'int64', '1,9007199254740993', [1, '9007199254740993']],
    ['UINT64', 'uint64', '18446744073709551615,1', ['18446744073709551615', 1]],
    ['FP32', 'float32', 'NaN,-Infinity', [null, '-Infinity']],
  ])(
    'reads %s data as Python writes them, with bytes behind the JSON or without',
    async (datatype, type, data, expected) => {
      const path = `/v2/models/identity-${type}/infer`;
      const bodyText = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[1,2],"data":[${data}]}]}`;
      for (const headers of [undefined, { 'Inference-Header-Content-Length': String(bodyText.length) }]) {
        const { body } = await send({ model: `identity-${type}`, method: 'POST', path, bodyText, headers });
        expect(body.outputs).toMatchObject([{ datatype, data: expected }]);
      }
    },
  );

  // KServe's documented requests, and MLServer's request codecs.
  test.each(['input-0', 'input-1'])('takes %s for the one input of another name', async (name) => {
    const { body } = await infer('identity-float32', { inputs: [{ ...x, name }] });
    expect(body.outputs).toMatchObject([{ name: 'y', data: [1, 2] }]);
    const two = await infer('add', { inputs: [{ ...x, name, shape: [2, 1] }] });
    expectError(two, 400);
    expect(two.body.error).toContain(`"${name}"`);
  });

  test('takes null for what is left out, as MLServer’s client writes it', async () => {
    const body = { id: null, parameters: null, outputs: null, inputs: [{ ...x, parameters: null }] };
    expect((await infer('identity-float32', body)).body).toEqual({
      model_name: 'identity-float32',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    });
  });

  test('takes the shape [N] for a column, as JSON and as bytes', async () => {
    const column = { datatype: 'FP64', shape: [2], data: [1, 2] };
    const inputs = ['feature1', 'feature2'].map((name) => ({ ...column, name }));
    const { body } = await infer('add', { inputs });
    expect(body.outputs).toMatchObject([{ shape: [2, 1], data: [2, 4] }]);
    const sizes = inputs.map(({ name }) => ({
      name,
      datatype: 'FP32',
      shape: [2],
      parameters: { binary_data_size: 8 },
    }));
    const header = JSON.stringify({ inputs: sizes });
    const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
    const reply = await infer(
      'add',
      {},
      {
        headers: { 'Inference-Header-Content-Length': String(header.length) },
        bodyBase64: Buffer.concat([Buffer.from(header), bytes]).toString('base64'),
      },
    );
    expect(reply.body.outputs).toMatchObject([{ data: [4, 6] }]);
  });

  test.each<[string, object]>([
    ['flat', { shape: [2], data: [1, 3] }],
    ['upright', { shape: [2, 1], data: [1, 3] }],
    ['nested', { shape: [2, 1], data: [[1], [3]] }],
    ['of another datatype', { shape: [2], data: [1, 3], datatype: 'INT64' }],
  ])('takes columns one by one, where FEATURES names them, %s', async (_what, column) => {
    const a = { name: 'a', datatype: 'FP32', ...column };
    const b = { name: 'b', datatype: 'FP64', shape: [2], data: [2, 4] };
    const reply = await infer('identity-float32', { inputs: [b, a] }, { env: { FEATURES: 'a,b' } });
    expect(reply.body.outputs).toMatchObject([{ shape: [2, 2], data: [1, 2, 3, 4] }]);
  });

  test.each<[object[], string]>([
    [[{ name: 'a', shape: [1], data: ['x'] }], '"b"'],
    [
      [
        { name: 'a', shape: [1], data: ['x'] },
        { name: 'b', shape: [1], data: [1] },
      ],
      'inputs[0].data[0] must be a number',
    ],
    [
      [
        { name: 'a', shape: [1], data: [1] },
        { name: 'b', shape: [2], data: [1, 2] },
      ],
      'b has 2 rows but a has 1',
    ],
    [
      [
        { name: 'a', shape: [1], data: [1] },
        { name: 'x', shape: [1, 2], data: [1, 2] },
      ],
      'unknown input "a"',
    ],
  ])('names what does not fit in columns by feature: %j', async (columns, words) => {
    const inputs = columns.map((column) => ({ datatype: 'FP32', ...column }));
    const reply = await infer('identity-float32', { inputs }, { env: { FEATURES: 'a,b' } });
    expectError(reply, 400);
    expect(reply.body.error).toContain(words);
  });

  test('takes inputs that share a dimension’s name, but not its length, as they are', async () => {
    const tensors = { image: [[1, 2]], text: [[6, 0], [0, 13], [6, 20]] }; // biome-ignore format: rows
    const logits = [[6, 26, 46]];
    const { post } = await serveOnce('images-texts');
    const ask = () => post('/predict', { inputs: tensors });
    // Beside others, whose run it does not share.
    const replies = await Promise.all([
      ask(),
      ask(),
      post('/predict', { inputs: { image: [[1, 2]], text: [[1, 1]] } }),
      ask(),
    ]);
    expect(replies.map(({ body }) => body.outputs)).toEqual([logits, logits, [[3]], logits]);
    const inputs = [
      { name: 'image', datatype: 'FP32', shape: [1, 2], data: [1, 2] },
      { name: 'text', datatype: 'INT64', shape: [3, 2], data: tensors.text.flat() },
    ];
    const { body } = await infer('images-texts', { inputs });
    expect(body.outputs).toMatchObject([{ shape: [1, 3], data: [6, 26, 46] }]);
  });

  test.each<[string, object, string]>([
    ['no datatype', { inputs: [{ ...x, datatype: undefined }] }, 'x must be an array of shape [N,2]'],
    ['no inputs', { inputs: [] }, 'missing input'],
    ['another input', { inputs: [{ ...x, name: 'z' }] }, 'z'],
    ['the same input twice', { inputs: [x, x] }, 'x'],
    ['input-0 beside the input itself', { inputs: [{ ...x, name: 'input-0' }, x] }, 'input-0'],
    ['the datatype of texts', { inputs: [{ ...x, datatype: 'BYTES' }] }, 'FP32'],
    ['a datatype that there is not', { inputs: [{ ...x, datatype: 'BF16' }] }, 'FP32'],
    [
      'a value beyond the range under another datatype',
      { inputs: [{ ...x, datatype: 'FP64', data: [1, 1e39] }] },
      'data[1]',
    ],
    ['no shape', { inputs: [{ ...x, shape: undefined }] }, 'shape'],
    [
      'a shape that does not fit the model',
      { inputs: [{ ...x, shape: [2, 1] }] },
      'inputs[0] must be an array of shape [N,2], not [2,1]',
    ],
    ['a shape that does not fit the data', { inputs: [{ ...x, shape: [2, 2] }] }, 'data'],
    ['a negative length', { inputs: [{ ...x, shape: [-1, 2] }] }, 'shape'],
    ['no data', { inputs: [{ ...x, data: undefined }] }, 'data'],
    ['text among the data', { inputs: [{ ...x, data: [1, 'a'] }] }, 'data[1]'],
    ['ragged data', { inputs: [{ ...x, data: [[1, 2], [3]], shape: [2, 2] }] }, 'data[1]'],
    ['another output', { inputs: [x], outputs: [{ name: 'z' }] }, 'outputs[0].name must be one of y'],
    ['an output named by no text', { inputs: [x], outputs: [{ name: { toString: 1 } }] }, 'outputs[0].name'],
    // Triton's classification extension.
    [
      'the classes of an output',
      { inputs: [x], outputs: [{ name: 'y', parameters: { classification: 1 } }] },
      'classification',
    ],
    ['an output without a name', { inputs: [x], outputs: [{}] }, 'outputs[0]'],
    ['an id that is no string', { inputs: [x], id: 7 }, 'id'],
    ['another wrapper beside', { inputs: [x], instances: [] }, 'instances'],
    ['an unknown key beside', { inputs: [x], nonsense: 1 }, 'nonsense'],
    [
      'bytes that are not there',
      { inputs: [{ ...x, data: undefined, parameters: { binary_data_size: 8 } }] },
      '8',
    ],
    [
      'bytes of another datatype',
      { inputs: [{ ...x, data: undefined, datatype: 'INT32', parameters: { binary_data_size: 0 } }] },
      'inputs[0].datatype must be FP32 for x',
    ],
    ['both data and bytes', { inputs: [{ ...x, parameters: { binary_data_size: 0 } }] }, 'binary_data_size'],
    [
      'a size that is no number',
      { inputs: [{ ...x, parameters: { binary_data_size: '8' } }] },
      'binary_data_size',
    ],
  ])('refuses %s', async (_what, body, named) => {
    const reply = await infer('identity-float32', body);
    expectError(reply, 400);
    expect(reply.body.error).toContain(named);
  });

  test.each(['x', '-1', '1e3', '10000', ''])(
    'refuses Inference-Header-Content-Length: %s',
    async (length) => {
      const headers = { 'Inference-Header-Content-Length': length };
      const reply = await infer('identity-float32', { inputs: [x] }, { headers });
      expectError(reply, 400);
      expect(reply.body.error).toContain('Inference-Header-Content-Length');
    },
  );

  test('refuses bytes behind the JSON of another form', async () => {
    const bodyText = '{"instances":[[1,2]]}';
    const headers = { 'Inference-Header-Content-Length': String(bodyText.length) };
    const path = '/predict';
    const reply = await send({ model: 'identity-float32', method: 'POST', path, bodyText, headers });
    expectError(reply, 400);
    expect(reply.body.error).toContain('bytes may follow');
  });

  test('of several rows that differ in number is a 400', async () => {
    const of = (name: string, rows: number) => ({
      name,
      datatype: 'FP32',
      shape: [rows, 1],
      data: Array(rows).fill(1),
    });
    expectError(await infer('add', { inputs: [of('feature1', 2), of('feature2', 3)] }), 400);
  });
});

// pytorch/serve: docs/inference_api.md shows `curl URL -T file`.
test.each(['/predictions/add', '/predictions/add/1.0'])('PUT %s is answered as POST is', async (path) => {
  const { agent } = await serveOnce('add');
  const reply = await agent.put(path).send({ feature1: 1, feature2: 2 });
  expect(reply.body).toEqual({ prediction: 3 });
});

test.each([
  ['/v1/models/add%3Apredict', 200],
  ['/v1/models/add%3apredict?a=b%3Ac', 200],
  ['/v1/models/add/versions/1%3Apredict', 200],
  ['/v1/models/add%3Aclassify', 404],
])('POST %s, as URL encoders write a colon, is a %i', async (path, status) => {
  const { post } = await serveOnce('add');
  const reply = await post(path, { instances: [{ feature1: 1, feature2: 2 }] });
  expect(reply.status).toBe(status);
  if (status === 200) expect(reply.body).toEqual({ predictions: [[3]] });
});

describe('what paths make of the same body', () => {
  const post = async (model: string, path: string, body: unknown) => {
    const reply = await send({ model, method: 'POST', path, body });
    expect(reply.status).toBe(200);
    return reply.body;
  };
  const inputs = { inputs: [[1, 2, 3]] };
  const instances = { instances: [[1, 2, 3]] };
  const infer = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] };
  const whole = { doubled: [[2, 4, 6]], total: [[6]] };
  const inferred = {
    model_name: 'two-outputs',
    outputs: [
      { name: 'doubled', datatype: 'FP32', shape: [1, 3], data: [2, 4, 6] },
      { name: 'total', datatype: 'FP32', shape: [1, 1], data: [6] },
    ],
  };
  test.each<[string, object, object]>([
    ['/predict', instances, { predictions: [[2, 4, 6]], total: [6] }],
    ['/predictions/two-outputs', instances, { predictions: [[2, 4, 6]], total: [6] }],
    ['/invocations', instances, { predictions: [[2, 4, 6]], total: [6] }],
    ['/v1/models/two-outputs:predict', instances, { predictions: [{ doubled: [2, 4, 6], total: [6] }] }],
    ['/predict', inputs, { outputs: whole }],
    ['/predictions/two-outputs', inputs, { outputs: whole }],
    ['/invocations', inputs, { predictions: whole }],
    ['/v1/models/two-outputs:predict', inputs, { outputs: whole }],
    ['/predict', infer, inferred],
    ['/invocations', infer, inferred],
    ['/v2/models/two-outputs/infer', infer, inferred],
    ['/v2/models/two-outputs/versions/1/infer', infer, inferred],
    ['/v2/models/two-outputs/infer', instances, { predictions: [[2, 4, 6]], total: [6] }],
  ])('POST %s %j', async (path, body, expected) => {
    expect(await post('two-outputs', path, body)).toEqual(expected);
  });

  test('under /v1, shapes are kept and class labels are keys', async () => {
    expect(
      await post('add', '/v1/models/add:predict', { instances: [{ feature1: 1, feature2: 2 }] }),
    ).toEqual({
      predictions: [[3]],
    });
    const reply = await post('logreg', '/v1/models/logreg:predict', { instances: [iris] });
    const output_probability = { setosa: 0.98158, versicolor: 0.018416, virginica: 0 };
    const expected = { predictions: [{ output_label: 'setosa', output_probability }] };
    expect(near(reply, expected)).toEqual(expected);
  });

  test('under /v1, no instances are no predictions', async () => {
    expect(await post('add', '/v1/models/add:predict', { instances: [] })).toEqual({ predictions: [] });
  });
});

// The example of https://www.tensorflow.org/tfx/serving/api_rest#model_metadata_api, whose names are its graph's.
test("GET /v1/models/NAME/metadata is TensorFlow Serving's", async () => {
  const tensor = (name: string) => ({
    dtype: 'DT_FLOAT',
    tensor_shape: {
      dim: [
        { size: '-1', name: '' },
        { size: '1', name: '' },
      ],
      unknown_rank: false,
    },
    name,
  });
  for (const version of ['', '/versions/1']) {
    const path = `/v1/models/add${version}/metadata`;
    expect((await send({ model: 'add', method: 'GET', path })).body).toEqual({
      model_spec: { name: 'add', signature_name: '', version: '1' },
      metadata: {
        signature_def: {
          signature_def: {
            serving_default: {
              inputs: { feature1: tensor('feature1'), feature2: tensor('feature2') },
              outputs: { sum: tensor('sum') },
              method_name: 'tensorflow/serving/predict',
            },
          },
        },
      },
    });
  }
});

// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/types.proto
test.each([
  ['identity-float16', 'DT_HALF', false],
  ['identity-float64', 'DT_DOUBLE', false],
  ['identity-uint8', 'DT_UINT8', false],
  ['identity-int64', 'DT_INT64', false],
  ['identity-bool', 'DT_BOOL', false],
  ['identity-string', 'DT_STRING', false],
  ['unknown-rank', 'DT_FLOAT', true],
])('GET /v1/models/%s/metadata tells of %s, of unknown rank: %s', async (model, dtype, unknown_rank) => {
  const { body } = await send({ model, method: 'GET', path: `/v1/models/${model}/metadata` });
  const { inputs } = body.metadata.signature_def.signature_def.serving_default;
  expect(inputs).toMatchObject({ x: { dtype, tensor_shape: { unknown_rank } } });
});

test('GET /v1/models lists the one model', async () => {
  expect((await send({ model: 'add', method: 'GET', path: '/v1/models' })).body).toEqual({ models: ['add'] });
});
