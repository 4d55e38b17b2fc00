import http from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { readOptions } from '../routes/http/options';
import { createHttpServer } from '../routes/http/server';
import { exchange, repliesIn } from './process';
import { closeModels, modelPath, root, serveModel } from './serve';

/** Change it to look elsewhere: SEED=… npx jest hostile. */
const seed = Number(process.env.SEED ?? 20_260_101);

/** Models that cannot fail on valid values, one of each kind, with a body that each answers. */
const models: [name: string, env: NodeJS.ProcessEnv, valid: object, types: 'number' | 'text'][] = [
  ['model', {}, { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 }, 'number'],
  ['single', {}, { x: [1, 2, 3] }, 'number'],
  [
    'whole',
    {},
    {
      a: [
        [1, 2, 3],
        [4, 5, 6],
      ],
      b: [
        [1, 0],
        [0, 1],
        [2, 2],
      ],
    },
    'number',
  ],
  ['column', {}, { x: 'a' }, 'text'],
  ['identity-int8', {}, { x: [1, -128] }, 'number'],
  ['identity-int64', {}, { x: [1, '9223372036854775807'] }, 'number'],
  ['identity-float16', {}, { x: [1, null] }, 'number'],
  ['four_features', { FEATURES: 'a,b,c,d' }, { a: 1, b: 2, c: 3, d: 4 }, 'number'],
  ['image', {}, { x: Array(3).fill(Array(8).fill(Array(8).fill(1))) }, 'number'],
  ['unknown-rank', {}, { x: [[1, 2]] }, 'number'],
  [
    'conv-open',
    {},
    {
      x: [
        [
          [1, 2, 3],
          [4, 5, 6],
          [7, 8, 9],
        ],
      ],
    },
    'number',
  ],
  ['scalar', {}, { x: 1.5 }, 'number'],
];

const servers: http.Server[] = [];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

afterAll(async () => {
  agent.destroy();
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
  await closeModels();
});

/** Serves a model in this process, on a port of its own. */
async function listen(name: string, env: NodeJS.ProcessEnv = {}): Promise<number> {
  const { app } = await serveModel(name, env);
  const server = createHttpServer(app, readOptions({ LOG_FORMAT: 'off', ...env }, [modelPath(name)]));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return (server.address() as AddressInfo).port;
}

interface Answer {
  status: number;
  type?: string;
  length?: string;
  text: string;
}

function send(port: number, options: http.RequestOptions, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', agent, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode as number,
          type: response.headers['content-type'],
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** What holds whatever was sent: no 5xx, JSON, and no word of how the server is made. */
function expectGood({ status, text }: Answer, method = 'POST'): void {
  if (status < 200 || status >= 500) throw new Error(`${status} ${text}`);
  if (method === 'HEAD' || status === 204) return;
  const reply = JSON.parse(text);
  if (status < 400) return;
  if (Object.keys(reply).join() !== 'error' || typeof reply.error !== 'string' || reply.error === '')
    throw new Error(`not an error's form: ${text}`);
  if (
    /\n\s*at |node_modules|node:internal|onnxruntime|Non-zero status/.test(reply.error) ||
    reply.error.includes(root)
  )
    throw new Error(`says too much: ${text}`);
}

const paths = [
  '/predict',
  '/invocations',
  '/predictions/NAME',
  '/v1/models/NAME:predict',
  '/v2/models/NAME/infer',
];

const oddNumbers = fc.constantFrom(
  0,
  -0,
  1,
  -1,
  1.5,
  127,
  128,
  -129,
  255,
  256,
  65504,
  65520,
  1e39,
  -1e39,
  2 ** 53,
  1e308,
  5e-324,
);
const oddTexts = fc.constantFrom(
  '',
  'a',
  'NaN',
  'Infinity',
  '-Infinity',
  '1',
  ' 1',
  '0x10',
  '9223372036854775808',
  '\0',
  '\ud800',
  '__proto__',
  'constructor',
  'é',
);
const base64 = fc.oneof(fc.base64String({ maxLength: 24 }), fc.string({ maxLength: 8 }));
const lengths = fc.constantFrom(0, 1, 2, 3, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, '1', null);

/** Values for an input: odd scalars, bytes, and arrays of them in any rank, even or ragged. */
function values(kind: 'number' | 'text') {
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: 'medium' },
      kind === 'number' ? oddNumbers : oddTexts,
      fc.oneof(oddNumbers, oddTexts, fc.boolean(), fc.constant(null)),
      fc.record(
        { b64: fc.oneof(base64, fc.constant(null)), shape: fc.array(lengths, { maxLength: 4 }) },
        { requiredKeys: ['b64'] },
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .tuple(tie('value'), fc.integer({ min: 1, max: 8 }))
        .map(([value, times]) => Array(times).fill(value)),
    ),
  })).value;
}

/** Bodies of every form, near to what the model takes and far from it. */
function bodies(valid: object, kind: 'number' | 'text'): fc.Arbitrary<string> {
  const names = Object.keys(valid);
  const name = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...names) },
    oddTexts,
    fc.constantFrom('instances', 'inputs', 'b64', 'x', 'id'),
  );
  const value = fc.oneof(
    { weight: 3, arbitrary: values(kind) },
    fc.constantFrom(...Object.values(valid)),
    fc.jsonValue(),
  );
  const exact = fc.record(Object.fromEntries(names.map((key) => [key, value])));
  const near = fc.oneof(fc.constant(valid), exact, exact, fc.dictionary(name, value, { maxKeys: 4 }));
  const tensor = fc.record(
    {
      name,
      datatype: fc.oneof(
        fc.constantFrom('FP32', 'FP16', 'INT8', 'INT64', 'BYTES', 'BOOL', 'fp32', ''),
        value,
      ),
      shape: fc.oneof(fc.array(lengths, { maxLength: 4 }), value),
      data: value,
      parameters: fc.dictionary(fc.constantFrom('binary_data_size', 'a'), lengths),
    },
    { requiredKeys: ['name', 'datatype'] },
  );
  const list = fc.array(fc.oneof(near, value), { maxLength: 4 });
  const split = fc.record(
    {
      columns: fc.oneof(fc.constant(names), fc.array(name, { maxLength: 5 }), value),
      data: fc.oneof(fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 3 }), value),
      index: value,
    },
    { requiredKeys: [] },
  );
  const wrapped = fc.record(
    {
      instances: fc.oneof(list, value),
      inputs: fc.oneof(near, value, fc.array(tensor, { maxLength: 3 })),
      dataframe_records: fc.oneof(list, value),
      dataframe_split: fc.oneof(split, value),
      outputs: fc.oneof(fc.array(fc.record({ name: oddTexts }), { maxLength: 2 }), value),
      id: value,
      parameters: value,
      signature_name: value,
    },
    { requiredKeys: [] },
  );
  const one = fc.oneof(
    list.map((instances) => ({ instances })),
    near.map((inputs) => ({ inputs })),
    fc.array(tensor, { minLength: 1, maxLength: 3 }).map((inputs) => ({ inputs })),
    list.map((records) => ({ dataframe_records: records })),
    split.map((frame) => ({ dataframe_split: frame })),
  );
  const text = fc.oneof(near, near, list, value, one, one, wrapped).map((body) => JSON.stringify(body) ?? '');
  // Cut short, or with something put in.
  const broken = fc
    .tuple(text, fc.nat(), fc.constantFrom('', ',', '{', '"', '\\u0000', '1e999', 'NaN', '\ufeff', '[[[['))
    .map(
      ([body, at, put]) =>
        body.slice(0, at % (body.length + 1)) + put + (at % 2 ? body.slice(at % (body.length + 1)) : ''),
    );
  return fc.oneof({ weight: 6, arbitrary: text }, broken);
}

test.each(models)(
  `Whatever body is POSTed to %s is answered with 2xx or 4xx, in JSON (seed ${seed})`,
  async (name, env, valid, kind) => {
    const port = await listen(name, env);
    const expected = (await send(port, { method: 'POST', path: '/predict' }, JSON.stringify(valid))).text;
    expect(JSON.parse(expected)).toHaveProperty('prediction');
    let good = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), bodies(valid, kind), async (path, body) => {
        const answer = await send(port, { method: 'POST', path: path.replace('NAME', name) }, body);
        expectGood(answer);
        if (answer.status === 200) good++;
      }),
      { seed, numRuns: 1400 },
    );
    // Not all of it was refused at the door.
    expect(good).toBeGreaterThan(20);
    expect((await send(port, { method: 'POST', path: '/predict' }, JSON.stringify(valid))).text).toBe(
      expected,
    );
  },
);

const valid = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}';
const headerText = fc.string({
  unit: fc
    .integer({ min: 0x20, max: 0xff })
    .filter((c) => c !== 0x7f)
    .map((c) => String.fromCharCode(c)),
  maxLength: 40,
});
const headerValue = (...known: string[]) => fc.oneof(fc.constantFrom(...known), headerText);

test(`Whatever headers, path and method are sent, the answer is 2xx or 4xx, in JSON (seed ${seed})`, async () => {
  const port = await listen('model', { API_KEY: 'secret' });
  const headers = fc.record(
    {
      'Content-Type': headerValue(
        'application/json',
        'text/csv',
        'application/json; charset=utf-16',
        '; charset=',
        'multipart/form-data',
      ),
      'Content-Encoding': headerValue('gzip', 'br', 'deflate', 'identity', 'GZIP', 'gzip, gzip'),
      'X-API-Key': headerValue('secret', 'SECRET', ''),
      Authorization: headerValue('Bearer secret', 'Bearer', 'Basic c2VjcmV0', 'bearer  secret '),
      'X-Request-Id': headerValue('a', ''),
      'Inference-Header-Content-Length': headerValue(
        '0',
        '10',
        '-1',
        '1e3',
        '99999999999',
        valid.length.toString(),
      ),
      Accept: headerValue('text/html', '*/*', 'application/xml'),
      'If-None-Match': headerValue('*'),
      Range: headerValue('bytes=0-1'),
      Host: headerValue('', '[', 'a:99999'),
      'X-Forwarded-For': headerText,
      Origin: headerText,
      Cookie: headerText,
    },
    { requiredKeys: [] },
  );
  const segment = fc.oneof(
    fc.constantFrom(
      'predict',
      'v1',
      'v2',
      'models',
      'model',
      'model:predict',
      'infer',
      'health',
      'live',
      'ready',
      'versions',
      '1',
      'ping',
      'invocations',
      'predictions',
      '',
      '.',
      '..',
      '%00',
      '%2f',
      '%zz',
      '%C3',
      '%',
      ':name',
      '__proto__',
      '*',
      '(.*)',
    ),
    fc.webSegment(),
  );
  const query = fc.oneof(
    fc.constantFrom('', '?', '?a=b', '?a[b][__proto__]=c', '?%zz', `?${'a&'.repeat(2000)}`),
    fc.webQueryParameters().map((text) => `?${text}`),
  );
  const known = fc.constantFrom(
    '/predict',
    '/health',
    '/v2',
    '/v2/models/model',
    '/v2/models/model/infer',
    '/v1/models/model:predict',
    '/ping',
    '/invocations',
  );
  const path = fc.oneof(
    known,
    fc.array(segment, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
  );
  const method = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('GET', 'POST') },
    fc.constantFrom(...http.METHODS.filter((name) => name !== 'CONNECT')),
  );
  const body = fc.oneof(
    fc.constant(valid),
    fc.string({ maxLength: 50 }),
    fc.constant(''),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, async (method, path, query, headers, body) => {
      // Without it, Node.js sends the body of a GET as something that is not HTTP.
      const framed = { ...headers, 'Content-Length': Buffer.byteLength(body) };
      expectGood(await send(port, { method, path: path + query, headers: framed }, body), method);
    }),
    { seed, numRuns: 4000 },
  );
  const last = await send(
    port,
    { method: 'POST', path: '/predict', headers: { 'X-API-Key': 'secret' } },
    valid,
  );
  expect(JSON.parse(last.text).prediction).toBe('setosa');
});

test(`Whatever bytes come over a connection, what is answered is 2xx or 4xx, in JSON or without a body (seed ${seed})`, async () => {
  const port = await listen('model', { TIMEOUT: '1' });
  const line = fc.oneof(
    fc.constantFrom(
      'GET /health HTTP/1.1',
      'POST /predict HTTP/1.1',
      'GET / HTTP/1.0',
      'GET /health HTTP/2.0',
      'GET  / HTTP/1.1',
      'PRI * HTTP/2.0',
      '\x16\x03\x01',
      '',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 30 }),
  );
  const header = fc.oneof(
    fc.constantFrom(
      'Host: x',
      'Content-Length: 2',
      'Content-Length: 76',
      'Content-Length: -1',
      'Content-Length: 1, 1',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: x',
      'Connection: upgrade',
      'Upgrade: h2c',
      'Expect: 100-continue',
      'Expect: x',
      'Connection: keep-alive',
      ' folded',
      `A: ${'a'.repeat(17_000)}`,
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 30 }),
  );
  const rest = fc.oneof(
    fc.constantFrom(
      '',
      valid,
      '{}',
      '2\r\n{}\r\n0\r\n\r\n',
      '2;a=b\r\n{}\r\n0\r\nA: b\r\n\r\n',
      'ffffffffffffffffff\r\n',
      '2\r\n{}{}',
    ),
    fc.string({ unit: 'binary-ascii' }),
  );
  const end = fc.constantFrom('\r\n', '\n', '\r');
  const request = fc
    .tuple(line, fc.array(header, { maxLength: 5 }), rest, end)
    .map(([line, headers, rest, end]) => [line, ...headers, '', rest].join(end));
  // What is not closed at once is after TIMEOUT, so many connections at a time.
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(request, request), { minLength: 100, maxLength: 100 }),
      async (pairs) => {
        await Promise.all(
          pairs.map(async ([first, second]) => {
            const received = await exchange(
              port,
              `${first}${second}${first}\r\n\r\nConnection: close\r\n\r\n`,
            );
            for (const { status, body } of repliesIn(received))
              expectGood({ status, text: body }, body ? 'POST' : 'HEAD');
          }),
        );
      },
    ),
    { seed, numRuns: 5, endOnFailure: true },
  );
  expect(JSON.parse((await send(port, { method: 'POST', path: '/predict' }, valid)).text).prediction).toBe(
    'setosa',
  );
});
