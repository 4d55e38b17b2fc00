import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { ask, expectError, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

const flower = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}';
const example = 'Try {"sepal_length":0,"sepal_width":0,"petal_length":0,"petal_width":0}';

const compress = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };

describe.each(Object.entries(compress))('POST /predict with Content-Encoding: %s', (encoding, encode) => {
  const predict = async (body: Buffer, env = {}) => {
    const { agent } = await serveOnce('model', env);
    return agent
      .post('/predict')
      .set('Content-Encoding', encoding)
      .serialize((sent) => sent)
      .send(body);
  };

  test('is answered', async () => {
    const reply = await predict(encode(flower));
    expect(reply.body.prediction).toBe('setosa');
  });

  test.each<[string, Buffer]>([
    ['plain JSON', Buffer.from(flower)],
    ['half of it', encode(flower).subarray(0, 20)],
    ['no bytes', Buffer.alloc(0)],
  ])('and %s is a 400', async (_what, body) => {
    expectError(await predict(body), 400);
  });

  test('and a body that grows beyond BODY_LIMIT is a 413 that names it', async () => {
    const reply = await predict(encode(Buffer.alloc(50_000, ' ')), { BODY_LIMIT: '20kb' });
    expectError(reply, 413);
    expect(reply.body.error).toMatch(/BODY_LIMIT.*\b(20480|20 ?kb)/i);
  });
});

test.each([
  ['Content-Encoding', 'compress', ['content encoding', 'compress']],
  ['Content-Encoding', 'gzip, gzip', ['content encoding', 'gzip, gzip']],
  ['Content-Type', 'application/json; charset=utf-16', ['charset', 'UTF-8']],
  ['Content-Type', 'text/plain;charset="iso-8859-1"', ['charset', 'UTF-8']],
])('POST /predict with %s: %s is a 415 that says so', async (header, value, words) => {
  const { agent } = await serveOnce('model');
  const reply = await agent
    .post('/predict')
    .set(header, value)
    .serialize((sent) => sent)
    .send(flower);
  expectError(reply, 415);
  for (const word of words) expect(reply.body.error).toContain(word);
});

test.each(['utf8', 'UTF-8', 'us-ascii', '"utf-8"'])(
  'POST /predict in the charset %s is answered',
  async (charset) => {
    const { agent } = await serveOnce('model');
    const type = `application/json; charset=${charset}`;
    const reply = await agent
      .post('/predict')
      .set('Content-Type', type)
      .serialize((sent) => sent)
      .send(flower);
    expect(reply.status).toBe(200);
  },
);

test('POST /predict with bytes that are not UTF-8 is a 400 that says so', async () => {
  const { agent } = await serveOnce('model');
  const latin1 = Buffer.from('{"é":1}', 'latin1');
  const reply = await agent
    .post('/predict')
    .serialize((sent) => sent)
    .send(latin1);
  expectError(reply, 400);
  expect(reply.body.error).toContain('UTF-8');
});

test('POST /predict with a body at BODY_LIMIT is read, with a byte more it is a 413 that names it', async () => {
  const { post } = await serveOnce('model', { BODY_LIMIT: '1kb' });
  expect((await post('/predict', flower.padEnd(1024))).body.prediction).toBe('setosa');
  const reply = await post('/predict', flower.padEnd(1025));
  expectError(reply, 413);
  expect(reply.body.error).toMatch(/BODY_LIMIT.*\b(1024|1 ?kb)/i);
});

test.each([
  ['/Predict'],
  ['/predict/'],
  ['/predict/nobody'],
  ['//predict'],
  ['/predict%00'],
  ['/%zz'],
  ['/predictions/%zz'],
  ['/health/'],
  ['/favicon.ico'],
  ['/../../etc/passwd'],
])('POST %s is not found, and told how to ask', async (path) => {
  const { post } = await serveOnce('model');
  const reply = await post(path, flower);
  expectError(reply, path.startsWith('/predictions') ? 400 : 404);
  expect(reply.body.error).toContain(example);
});

describe.each([
  ['/predict', ['GET', 'HEAD', 'POST', 'OPTIONS'], ['PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND']],
  ['/invocations', ['POST', 'OPTIONS'], ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'TRACE']],
  ['/health', ['GET', 'HEAD', 'OPTIONS'], ['POST', 'PUT', 'PATCH', 'DELETE']],
])('%s', (path, allowed, others) => {
  const request = async (method: string) => {
    const { agent } = await serveOnce('model');
    return agent
      .get(path)
      .ok(() => true)
      .use((sent) => Object.assign(sent, { method }));
  };

  test.each(others)(`to %s ${path} is a 405 with Allow`, async (method) => {
    const reply = await request(method);
    expect(reply.status).toBe(405);
    expect(reply.headers.allow.split(', ').toSorted()).toEqual(allowed.toSorted());
    if (method === 'HEAD') expect(reply.text ?? '').toBe('');
    else {
      expectError(reply, 405);
      expect(reply.body.error).toContain(example);
    }
  });

  test(`to OPTIONS ${path} is a 200 with Allow`, async () => {
    const reply = await request('OPTIONS');
    expect(reply.status).toBe(200);
    expect(reply.body.allow).toBe(reply.headers.allow);
    expect(reply.headers.allow.split(', ').toSorted()).toEqual(allowed.toSorted());
  });
});

test('HEAD /health has what GET has, but the body', async () => {
  const { agent } = await serveOnce('model');
  const [head, get] = [await agent.head('/health'), await agent.get('/health')];
  expect(head.status).toBe(200);
  expect(head.text ?? '').toBe('');
  expect(head.headers['content-length']).toBe(get.headers['content-length']);
  expect(head.headers['content-type']).toBe(get.headers['content-type']);
});

describe('with API_KEY=old,new', () => {
  const env = { API_KEY: 'old,new' };

  test.each([
    ['Authorization', 'Bearer old'],
    ['Authorization', 'Bearer new'],
    ['authorization', 'bearer new'],
    ['X-API-Key', 'old'],
    ['x-api-key', 'new'],
  ])('POST /predict with %s: %s is answered', async (header, value) => {
    const { agent } = await serveOnce('model', env);
    const reply = await agent.post('/predict').set(header, value).send(flower);
    expect(reply.body.prediction).toBe('setosa');
  });

  test('POST /predict with its key in X-API-Key beside the token of a gateway is answered', async () => {
    const { agent } = await serveOnce('model', env);
    const both = { Authorization: 'Bearer of-the-gateway', 'X-API-Key': 'new' };
    expect((await agent.post('/predict').set(both).send(flower)).body.prediction).toBe('setosa');
  });

  test.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['another key', { 'X-API-Key': 'olds' }],
    ['both keys in one', { 'X-API-Key': 'old,new' }],
    ['an empty key', { 'X-API-Key': '' }],
    ['an empty token', { Authorization: 'Bearer ' }],
    ['a key that is no Bearer token', { Authorization: 'old' }],
    ['a key as a password', { Authorization: `Basic ${btoa('old:old')}` }],
  ])('POST /predict with %s is a 401 that says how to send one', async (_what, headers) => {
    const { agent } = await serveOnce('model', env);
    const reply = await agent.post('/predict').set(headers).send(flower);
    expectError(reply, 401);
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(reply.body.error).toMatch(/Authorization: Bearer.*X-API-Key/);
    expect(reply.body.error).not.toMatch(/old|new/);
  });

  test.each<[string, Record<string, string>, string]>([
    ['no key', {}, 'an API key is required'],
    ['an empty token', { Authorization: 'Bearer ' }, 'an API key is required'],
    ['a password', { Authorization: `Basic ${btoa('old:old')}` }, 'an API key is required'],
    ['a wrong token', { Authorization: 'Bearer olds' }, 'the API key is not valid'],
    ['a wrong key', { 'X-API-Key': 'olds' }, 'the API key is not valid'],
  ])('POST /predict with %s is told so', async (_what, headers, words) => {
    const { agent } = await serveOnce('model', env);
    const reply = await agent.post('/predict').set(headers).send(flower);
    expectError(reply, 401);
    expect(reply.body.error).toContain(words);
  });

  test('a bad body without a key is a 401, not a 400, and one over the limit no 413', async () => {
    expectError(await ask('model', '?', env), 401);
    expectError(await ask('model', flower.padEnd(2000), { ...env, BODY_LIMIT: '1kb' }), 401);
  });

  test('GET /health and /ping need no key', async () => {
    const { agent } = await serveOnce('model', env);
    expect((await agent.get('/health')).status).toBe(200);
    expect((await agent.get('/ping')).status).toBe(200);
  });
});

test.each([
  ['abc-123', true],
  ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', true],
  ['with a space', false],
  ['"quoted"', false],
  ['é', false],
  ['x'.repeat(1000), false],
  ['', false],
])('X-Request-Id: %s comes back as it is: %s', async (id, kept) => {
  const { agent } = await serveOnce('model');
  for (const reply of [
    await agent.get('/health').set('X-Request-Id', id),
    await agent.post('/predict').set('X-Request-Id', id).send('?'),
    await agent.get('/nothing').set('X-Request-Id', id),
  ]) {
    if (kept) expect(reply.headers['x-request-id']).toBe(id);
    else expect(reply.headers['x-request-id']).toMatch(/^[\w-]{8,64}$/);
  }
});

test('replies say nothing of what made them', async () => {
  const { agent } = await serveOnce('model');
  const { headers } = await agent.get('/health');
  expect(headers['x-powered-by']).toBeUndefined();
  expect(headers.etag).toBeUndefined();
});
