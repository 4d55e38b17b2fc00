import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import express from 'express';
import request from 'supertest';
import { createApp, loadModel } from '../app';
import type { Model } from '../model/model';
import type { Columns } from '../model/values/column';
import { createAdmission } from '../routes/http/admission';
import { notFound, sendError } from '../routes/http/errors';
import { needsKey } from '../routes/http/key';
import { requestLog } from '../routes/http/log';
import { defaults, type Options } from '../routes/http/options';
import { expectError } from './ask';
import { until } from './process';
import { closeModels, modelPath, openModel, root } from './serve';

afterAll(closeModels);
afterEach(() => jest.restoreAllMocks());

const servers: http.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** The port on which a server of an app listens until the test ends. */
function listen(app: express.Express): number {
  const server = app.listen(0);
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

const off = { logFormat: 'off' };

/** An app with routes of one's own, in the place where createApp has them. */
function appWith(...given: Parameters<typeof expressWith>) {
  return request(expressWith(...given));
}

function expressWith(
  model: Model,
  routes: (app: express.Express, guard: express.RequestHandler) => void,
  options: Partial<Options> = {},
) {
  const settings = { ...defaults, ...off, ...options };
  const app = express();
  app.use(requestLog(settings.logFormat));
  routes(app, needsKey(settings.apiKeys, createAdmission(settings, [model])));
  app.use(notFound);
  app.use(sendError);
  return app;
}

describe('predict, for code', () => {
  test('gives columns by the outputs’ names, as plain JSON', async () => {
    const model = await openModel(modelPath('logreg'));
    const { output_label, output_probability } = await model.predict({
      X: [[5.1, 3.5, 1.4, 0.2], Float32Array.of(6.3, 3.3, 6, 2.5)],
    });
    expect(output_label).toHaveLength(2);
    expect([...output_label]).toEqual(['setosa', 'virginica']);
    expect(output_label.at(-1)).toBe('virginica');
    expect(output_label.at(2)).toBeUndefined();
    expect(output_probability.at(0)).toMatchObject({ setosa: expect.any(Number) });
    expect(JSON.parse(JSON.stringify(output_probability))).toEqual(output_probability.toJSON());
  });

  test.each<[string, string, unknown[], unknown]>([
    ['a typed array', 'identity-float32', [Float32Array.of(0.97, -1)], [0.97, -1]],
    ['one of another type', 'identity-float32', [Uint8Array.of(3, 4)], [3, 4]],
    ['doubles for halves', 'identity-float16', [Float64Array.of(0.1, 2)], [0.1, 2]],
    [
      'NaN and infinities in an array',
      'identity-float32',
      [[Number.NaN, Number.NEGATIVE_INFINITY]],
      [null, '-Infinity'],
    ],
    [
      'NaN in a typed array',
      'identity-float64',
      [Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY)],
      [null, 'Infinity'],
    ],
    ['BigInts', 'identity-int64', [[1n, 2n ** 60n]], [1, '1152921504606846976']],
    ['texts', 'identity-string', [['a', 'é']], ['a', 'é']],
  ])('takes %s', async (_what, name, column, expected) => {
    const model = await openModel(modelPath(name));
    expect((await model.predict({ x: column })).y.at(0)).toEqual(expected);
  });

  test('takes a typed array for a row of any rank, whose length decides one open dimension', async () => {
    const image = await openModel(modelPath('image'));
    const pixels = Float32Array.from({ length: 192 }, (_, i) => Math.floor(i / 64));
    const { y } = await image.predict({ x: [pixels, pixels] });
    expect(y.toJSON()).toEqual([[0, 1, 2], [0, 1, 2]]); // biome-ignore format: rows
    // Its memory is still the caller's.
    expect(pixels[191]).toBe(2);
    const ids = await openModel(modelPath('ids'));
    const answer = await ids.predict({
      input_ids: [Int32Array.of(1, 2)],
      attention_mask: [Int32Array.of(1, 1)],
    });
    expect(Object.values(answer)[0].at(0)).toEqual([3, 4]);
  });

  test.each<[string, string, Record<string, unknown[]>, string]>([
    [
      'a text among numbers',
      'add',
      { feature1: [1, 2, 'x'], feature2: [1, 2, 3] },
      'feature1[2] must be a number',
    ],
    [
      'a wrong number of values',
      'image',
      { x: [new Float32Array(191)] },
      'x[0] must be an array of shape [3,8,8], not 191 values',
    ],
    [
      'a fraction for a whole number',
      'identity-int8',
      { x: [Float32Array.of(1, 1.5)] },
      'x[0][1] must be a whole number',
    ],
    [
      'columns of different lengths',
      'add',
      { feature1: [1], feature2: [1, 2] },
      'feature2 has 2 rows but feature1 has 1',
    ],
    [
      'a text for a column of texts',
      'identity-string',
      JSON.parse('{"x":"ab"}'),
      'x must be an array of one value a row',
    ],
    ['a number for a column', 'log', JSON.parse('{"x":5}'), 'x must be an array of one value a row'],
    ['a missing column', 'add', { feature1: [1] }, 'missing input "feature2"'],
    ['an unknown column', 'log', { x: [1], z: [1] }, 'unknown input "z"'],
  ])('refuses %s and names the place', async (_what, name, columns, message) => {
    const model = await openModel(modelPath(name));
    await expect(model.predict(columns)).rejects.toThrow(message);
  });

  test('gives rows that were run one by one from the end, too', async () => {
    const model = await openModel(modelPath('no-batch-output'));
    const { rows } = await model.predict({ x: [[1, 2, 3], [3, 4, 8]] }); // biome-ignore format: rows
    expect(rows.at(-1)).toEqual([3, 4, 8]);
    expect(rows.at(2)).toBeUndefined();
  });

  test('rejects with the reason of a signal that is aborted', async () => {
    const model = await openModel(modelPath('add'));
    await expect(
      model.predict({ feature1: [1], feature2: [2] }, AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow('enough');
  });

  test.each(['add', 'slow-single'])('rejects, for %s, once it is closed, as often as it is', async (name) => {
    const model = await loadModel(modelPath(name));
    await model.close();
    await model.close();
    const columns = Object.fromEntries(model.signature.inputs.map((input) => [input.name, [1]]));
    await expect(model.predict(columns)).rejects.toThrow(/is closed/);
  });

  test('is served to a worker thread of one’s own, too', async () => {
    const code = `const { parentPort, workerData } = require('node:worker_threads');
      const { loadModel } = require(${JSON.stringify(join(root, 'dist', 'app.js'))});
      loadModel(workerData.path).then((model) => model.predict({ n: [1] })).then((answer) => parentPort.postMessage(JSON.stringify(answer)));`;
    const worker = new Worker(code, { eval: true, workerData: { path: modelPath('slow-single') } });
    const [answer] = await once(worker, 'message');
    // The thread's own word of being ready would be an object.
    expect(Object.values(JSON.parse(answer))).toContainEqual([256]);
    await worker.terminate();
  });

  test('reads typed arrays at once, whose memory is still the caller’s', async () => {
    const model = await openModel(modelPath('identity-float32'));
    const all = new Float32Array([1, 2, 3, 4]);
    const answer = model.predict({ x: [all.subarray(0, 2), all.subarray(2)] });
    all.fill(9);
    expect((await answer).y.toJSON()).toEqual([[1, 2], [3, 4]]); // biome-ignore format: rows
    expect([...all]).toEqual([9, 9, 9, 9]);
  });

  test('takes a column that it has given, all rows in one piece', async () => {
    const model = await openModel(modelPath('identity-float32'));
    const { y } = await model.predict({ x: [[1, 2], [3, 4]] }); // biome-ignore format: rows
    const again = await model.predict({ x: y });
    expect(again.y.toJSON()).toEqual([[1, 2], [3, 4]]); // biome-ignore format: rows
    expect(y.at(1)).toEqual([3, 4]);
    const doubles = await openModel(modelPath('identity-float64'));
    await expect(doubles.predict({ x: y })).rejects.toThrow('x must be float64, not float32');
    const wider = await openModel(modelPath('four_features'));
    const [{ name }] = wider.signature.inputs;
    await expect(wider.predict({ [name]: y })).rejects.toThrow('must be an array of shape');
  });

  test('lets the run in progress end before it closes', async () => {
    const model = await loadModel(modelPath('slow-single'));
    const answer = model.predict({ n: [1000] });
    await model.close();
    expect(Object.values(await answer)[0].at(0)).toBe(1000);
  });
});

describe('a route of one’s own', () => {
  const double = async (agent: ReturnType<typeof request>, body: string, headers = {}) =>
    agent.post('/double').set(headers).type('text/plain').send(body);
  const route = (model: Model) => (app: express.Express, guard: express.RequestHandler) => {
    app.post('/double', guard, express.text(), async (req, res) => {
      const { y } = await model.predict({ x: [req.body.split(',').map(Number)] });
      res.json({ doubled: y.at(0) });
    });
    app.post('/teapot', guard, () => {
      throw Object.assign(new Error('short and stout'), { status: 418 });
    });
    app.post('/secret', () => {
      throw Object.assign(new Error('the password is 1234'), { status: 502 });
    });
    app.post('/exposed', () => {
      throw Object.assign(new Error('come on Monday'), { status: 503, expose: true });
    });
    app.post('/broken', () => {
      throw new TypeError('cannot read the config at /etc/passwd');
    });
  };

  test('answers from the model', async () => {
    const model = await openModel(modelPath('single'));
    expect((await double(appWith(model, route(model)), '1,2,3')).body).toEqual({ doubled: [2, 4, 6] });
  });

  test('has the key', async () => {
    const model = await openModel(modelPath('single'));
    const agent = appWith(model, route(model), { apiKeys: ['secret'] });
    expectError(await double(agent, '1,2,3'), 401);
    expect((await double(agent, '1,2,3', { 'X-API-Key': 'secret' })).body).toEqual({ doubled: [2, 4, 6] });
  });

  test('has the admission', async () => {
    const model = await openModel(modelPath('single'));
    const agent = appWith(model, route(model), { bodyLimit: 10, maxQueue: 1 });
    expectError(await double(agent, '1,2,3,4,5,6,7'), 413);
    expect((await double(agent, '1,2,3')).status).toBe(200);
  });

  test('counts among those in flight, of whom one too many gets a 503, after the key', async () => {
    const model = await openModel(modelPath('single'));
    let entered = false;
    const release = new EventEmitter();
    const hold = (app: express.Express, guard: express.RequestHandler) => {
      app.post('/held', guard, express.text(), async (_req, res) => {
        entered = true;
        await once(release, 'now');
        res.json({});
      });
    };
    const agent = appWith(model, hold, { maxQueue: 1, apiKeys: ['secret'] });
    const ask = (headers: Record<string, string>) =>
      agent.post('/held').set(headers).type('text/plain').send('1');
    const first = ask({ 'X-API-Key': 'secret' }).then(({ status }) => status);
    await until(() => entered);
    expectError(await ask({}), 401);
    expectError(await ask({ 'X-API-Key': 'secret' }), 503);
    release.emit('now');
    expect(await first).toBe(200);
  });

  test('is shut to nobody by clients that are gone before its door', async () => {
    const model = await openModel(modelPath('single'));
    const later = (app: express.Express, guard: express.RequestHandler) => {
      app.use((_req, _res, next) => void setTimeout(next, 80));
      route(model)(app, guard);
    };
    const agent = appWith(model, later, { maxQueue: 2 });
    for (let i = 0; i < 4; i++) {
      await agent
        .post('/double')
        .type('text/plain')
        .send('1,2,3')
        .timeout(20)
        .catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect((await double(agent, '1,2,3')).body).toEqual({ doubled: [2, 4, 6] });
  });

  test.each([
    ['a body', 'POST', '/double'],
    ['none', 'GET', '/ready'],
  ])(
    'is shut to nobody by clients that pipeline requests with %s and are gone before its door',
    async (_what, method, path) => {
      const model = await openModel(modelPath('single'));
      let reached = 0;
      const later = (app: express.Express, guard: express.RequestHandler) => {
        app.use((_req, _res, next) => {
          reached++;
          setTimeout(next, 80);
        });
        route(model)(app, guard);
        app.get('/ready', guard, (_req, res) => void res.json({}));
      };
      const app = expressWith(model, later, { maxQueue: 2 });
      const port = listen(app);
      const body = method === 'POST' ? '1,2,3' : '';
      const one = `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      for (let i = 1; i <= 3; i++) {
        const socket = net.connect(port, '127.0.0.1');
        socket.write(one + one);
        await until(() => reached >= 2 * i);
        socket.destroy();
      }
      await until(() => reached === 6);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect((await double(request(app), '1,2,3')).body).toEqual({ doubled: [2, 4, 6] });
    },
  );

  test('that parses JSON itself does not repeat a body that is none', async () => {
    const model = await openModel(modelPath('single'));
    const agent = appWith(model, (app, guard) => {
      app.post('/json', guard, express.json({ type: () => true }), (_req, res) => void res.json({}));
    });
    const reply = await agent.post('/json').type('text/plain').send('secret');
    expectError(reply, 400);
    expect(reply.body.error).toBe('the body is not JSON');
  });

  test('that fails after its 504 is not logged as an error', async () => {
    const log = jest.spyOn(console, 'error').mockImplementation(() => {});
    const model = await openModel(modelPath('single'));
    let failed = false;
    const late = (app: express.Express, guard: express.RequestHandler) => {
      app.post('/late', guard, express.text(), async (req) => {
        await once(req.res as express.Response, 'finish');
        failed = true;
        throw new Error('too late');
      });
    };
    expectError(await appWith(model, late, { timeout: 50 }).post('/late').type('text/plain').send('a'), 504);
    await until(() => failed);
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).not.toHaveBeenCalled();
  });

  test('that limits its body itself gets what its parser says', async () => {
    const model = await openModel(modelPath('single'));
    const agent = appWith(model, (app, guard) => {
      app.post('/short', guard, express.text({ limit: 100 }), (_req, res) => void res.json({}));
    });
    const reply = await agent.post('/short').type('text/plain').send('a'.repeat(101));
    expectError(reply, 413);
    expect(reply.body.error).toBe('request entity too large');
  });

  test('gets a 504 after TIMEOUT, whatever its handler does', async () => {
    const model = await openModel(modelPath('single'));
    const agent = appWith(model, (app, guard) => void app.post('/never', guard, express.text(), () => {}), {
      timeout: 100,
    });
    const reply = await agent.post('/never').send('a');
    expectError(reply, 504);
    expect(reply.body.error).toContain('TIMEOUT, 0.1 s');
  });

  test.each([
    ['/double', '1,x,3', 400, /^x\[0\]\[1\] must be a number|^x\[0\]/],
    ['/double', '1,2', 400, /^x\[0\] must be an array of shape \[3\], not \[2\]$/],
    ['/teapot', '', 418, /^short and stout$/],
    ['/secret', '', 502, /^internal error$/],
    ['/exposed', '', 503, /^come on Monday$/],
    ['/broken', '', 500, /^internal error$/],
    ['/nowhere', '', 404, /^nothing is served at this path/],
  ])('POST %s with %j is a %i in the same form', async (path, body, status, message) => {
    const log = jest.spyOn(console, 'error').mockImplementation(() => {});
    const model = await openModel(modelPath('single'));
    const reply = await appWith(model, route(model))
      .post(path)
      .set('X-Request-Id', 'r-1')
      .type('text/plain')
      .send(body);
    // Number('x') is NaN, which is a float's value.
    if (body === '1,x,3') return expect(reply.body).toEqual({ doubled: [2, null, 6] });
    expectError(reply, status);
    expect(reply.body.error).toMatch(message);
    if (reply.body.error === 'internal error') {
      expect(reply.body.id).toBe('r-1');
      expect(log.mock.calls.flat().join()).toContain('r-1');
    } else expect(log).not.toHaveBeenCalled();
  });
});

test.each<[string, () => unknown, number, string]>([
  ['an object without words', () => Object.create(null), 500, 'internal error'],
  [
    'an Error whose message is a number',
    () => Object.assign(new Error(), { message: 42 }),
    500,
    'internal error',
  ],
  ['an Error without a message', () => new Error(), 500, 'internal error'],
  ['a text', () => 'the password is 1234', 500, 'internal error'],
  ['an unknown type', () => Object.assign(new Error('no'), { type: 'constructor' }), 500, 'internal error'],
  ['an object with a status', () => ({ status: 422, message: 'bad colour' }), 422, 'bad colour'],
  ['an object with a status and no message', () => ({ status: 403, password: '1234' }), 403, 'Forbidden'],
  ['an odd status', () => Object.assign(new Error('no'), { status: 200 }), 500, 'internal error'],
  ['a status beyond all', () => Object.assign(new Error('no'), { status: 700 }), 500, 'internal error'],
  ['what decodeURIComponent throws', () => new URIError('URI malformed'), 500, 'internal error'],
  [
    'an error of a system call with a status',
    () => Object.assign(new Error('no such photo'), { status: 400, errno: -2, syscall: 'open' }),
    400,
    'no such photo',
  ],
])('A route of one’s own that throws %s', async (_what, thrown, status, error) => {
  const log = jest.spyOn(console, 'error').mockImplementation(() => {});
  const model = await openModel(modelPath('single'));
  const reply = await appWith(model, (app) => {
    app.get('/odd', () => {
      throw thrown();
    });
  }).get('/odd');
  expectError(reply, status);
  expect(reply.body.error).toBe(error);
  expect(log).toHaveBeenCalledTimes(status === 500 ? 1 : 0);
});

describe('a wrapped model', () => {
  /** Clients send `half`, from which the input is computed. */
  function doubled(model: Model): Model {
    const inputs = model.signature.inputs.map((input) =>
      input.name === 'feature1' ? { ...input, name: 'half' } : input,
    );
    return {
      ...model,
      signature: { ...model.signature, inputs },
      predict: ({ half, ...columns }, signal) =>
        model.predict(
          {
            ...columns,
            feature1: [...half].map((value) => (typeof value === 'string' ? value : 2 * Number(value))),
          },
          signal,
        ),
    };
  }
  let agent: ReturnType<typeof request>;
  beforeAll(async () => {
    agent = request(createApp(doubled(await openModel(modelPath('add'))), off));
  });

  test.each<[string, string, unknown, unknown]>([
    ['one', '/predict', { half: 2, feature2: 1 }, { prediction: 5 }],
    ['instances', '/predict', { instances: [{ half: 2, feature2: 1 }] }, { predictions: [5] }],
    ['a batch', '/predict', { half: [[2], [3]], feature2: [[1], [1]] }, { predictions: [5, 7] }],
    [
      'a frame',
      '/invocations',
      { dataframe_split: { columns: ['feature2', 'half'], data: [[1, 2]] } },
      { predictions: [5] },
    ],
    ['inputs', '/predict', { inputs: { half: [2, 3], feature2: [1, 1] } }, { outputs: [[5], [7]] }],
    ['inputs without rows', '/predict', { inputs: { half: [], feature2: [] } }, { outputs: [] }],
    [
      'TensorFlow Serving’s rows',
      '/v1/models/add:predict',
      { instances: [{ half: 2, feature2: 1 }] },
      { predictions: [[5]] },
    ],
  ])('has its code in every dialect: %s', async (_what, path, body, reply) => {
    expect((await agent.post(path).send(body as object)).body).toEqual(reply);
  });

  test('is told by its own names, and its mistakes by column', async () => {
    const unknown = await agent.post('/predict').send({ feature1: 2, feature2: 1 });
    expectError(unknown, 400);
    expect(unknown.body.error).toMatch(
      /"feature1".*takes half: float32\[N,1\], feature2.*Try \{"half":0,"feature2":0\}/,
    );
    const odd = await agent.post('/predict').send({ instances: [{ half: 1, feature2: 1 }, { half: 'x', feature2: 1 }] }); // biome-ignore format: rows
    expectError(odd, 400);
    expect(odd.body.error).toMatch(/^feature1\[1\] must be a number/);
    expect((await agent.get('/v2/models/add')).body.inputs[0].name).toBe('half');
  });

  test('has its code in the Open Inference Protocol, as JSON and as bytes', async () => {
    const tensor = (name: string, ...data: number[]) => ({
      name,
      datatype: 'FP32',
      shape: [data.length, 1],
      data,
    });
    const inputs = [tensor('half', 2, 3), tensor('feature2', 1, 1)];
    for (const path of ['/v2/models/add/infer', '/predict']) {
      const reply = await agent.post(path).send({ inputs, outputs: [{ name: 'sum' }] });
      expect(reply.body.outputs).toEqual([{ name: 'sum', datatype: 'FP32', shape: [2, 1], data: [5, 7] }]);
    }
    const sizes = inputs.map((input) => ({ ...input, data: undefined, parameters: { binary_data_size: 8 } }));
    const header = JSON.stringify({ inputs: sizes, parameters: { binary_data_output: true } });
    const bytes = Buffer.from(Float32Array.of(2, 3, 1, 1).buffer);
    const reply = await agent
      .post('/v2/models/add/infer')
      .set('Inference-Header-Content-Length', String(header.length))
      .buffer(true)
      .parse((stream, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => done(null, Buffer.concat(chunks)));
      })
      .send(Buffer.concat([Buffer.from(header), bytes]));
    expect(reply.body.subarray(-8)).toEqual(Buffer.from(Float32Array.of(5, 7).buffer));
    const odd = await agent
      .post('/v2/models/add/infer')
      .send({ inputs: [tensor('half', 2), { ...inputs[1], shape: [1, 1], data: ['x'] }] });
    expectError(odd, 400);
    expect(odd.body.error).toMatch(/^inputs\[1\]\.data\[0\] must be a number/);
  });

  test.each<[string, string, unknown]>([
    ['one row', 'mean-of-all', [[1, 2, 3]]],
    ['an instance', 'box-and-mask', [[[1, 2], [3, 4]]]], // biome-ignore format: rows
    ['a squeezed row', 'squeeze', [[1, 2, 3, 4]]],
    ['rows', 'single', [[1, 2, 3]]],
    ['rows of their own', 'identity-float32', [[1, 2], [3, 4]]], // biome-ignore format: rows
    ['a value of a whole model', 'fixed-rows', [[1, 2], [3, 4], [5, 6], [7, 8]]], // biome-ignore format: rows
  ])('answers whole tensors of %s as without the wrapper (%s)', async (_what, name, inputs) => {
    const model = await openModel(modelPath(name));
    const wrapped: Model = { ...model, predict: (columns, signal) => model.predict(columns, signal) };
    const [own, other] = await Promise.all(
      [model, wrapped].map((one) => request(createApp(one, off)).post('/predict').send({ inputs })),
    );
    expect(own.status).toBe(200);
    expect(other.body).toEqual(own.body);
  });

  test.each<[string, string, unknown, unknown]>([
    ['rows whose mean is asked', 'mean-of-all', [[1, 2, 3], [4, 5, 6]], [2.5, 3.5, 4.5]], // biome-ignore format: rows
    ['rows as bytes', 'identity-float32', { b64: 'AACAPwAAAEA=', shape: [1, 2] }, [[1, 2]]],
  ])('asks whole tensors of %s in one run', async (_what, name, inputs, outputs) => {
    const model = await openModel(modelPath(name));
    const seen: unknown[] = [];
    const wrapped: Model = {
      ...model,
      predict: (columns, signal) => {
        seen.push([...columns.x]);
        return model.predict(columns, signal);
      },
    };
    const reply = await request(createApp(wrapped, off)).post('/predict').send({ inputs });
    expect(Object.values(reply.body.outputs.mean ?? reply.body.outputs)).toEqual(outputs);
    expect(seen).toHaveLength(1);
  });

  test('whose answer cannot be written is a 500, and the server serves on', async () => {
    const log = jest.spyOn(console, 'error').mockImplementation(() => {});
    const model = await openModel(modelPath('add'));
    const odd: Model = {
      ...model,
      predict: async (columns, signal) => {
        const { sum } = await model.predict(columns, signal);
        return { sum, big: [...sum].map(() => 1n) };
      },
    };
    const server = request(createApp(odd, off));
    for (const rows of [1, 30_000]) {
      const ones = Array(rows).fill([1]);
      // What has begun can only be broken off.
      await server
        .post('/predict')
        .send({ feature1: ones, feature2: ones })
        .catch(() => {});
      expect((await server.get('/health')).status).toBe(200);
    }
    expect(log.mock.calls.flat().join()).toContain('BigInt');
  });

  test.each([2, 30_000])('may give a list beside the model’s column, of %i rows', async (rows) => {
    const model = await openModel(modelPath('add'));
    const negative: Model = {
      ...model,
      predict: async (columns, signal) => {
        const { sum } = await model.predict(columns, signal);
        return { sum, negative: [...sum].map((value) => -Number(value)) };
      },
    };
    const ones = Array(rows).fill([1]);
    const reply = await request(createApp(negative, off))
      .post('/predict')
      .send({ feature1: ones, feature2: ones });
    expect(reply.body).toEqual({ predictions: Array(rows).fill(2), negative: Array(rows).fill(-2) });
  });

  test.each<[string, object, object]>([
    ['/predict', { feature1: 1, feature2: 1 }, { prediction: 5 }],
    ['/predict', { instances: [{ feature1: 1, feature2: 1 }] }, { predictions: [5] }],
    ['/predict', { inputs: { feature1: [1], feature2: [1] } }, { outputs: [5] }],
    ['/v1/models/add:predict', { instances: [{ feature1: 1, feature2: 1 }] }, { predictions: [5] }],
    [
      '/v2/models/add/infer',
      {
        inputs: ['feature1', 'feature2'].map((name) => ({
          name,
          datatype: 'FP32',
          shape: [1, 1],
          data: [1],
        })),
      },
      { model_name: 'add', outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 1], data: [5] }] },
    ],
  ])('may give a list in place of the model’s column: %s %j', async (path, body, expected) => {
    const model = await openModel(modelPath('add'));
    const fixed: Model = { ...model, predict: async () => ({ sum: [5] }) };
    const reply = await request(createApp(fixed, off)).post(path).send(body);
    expect(reply.body).toEqual(expected);
  });

  test('that gives what is not of an output’s type is a 500 in the Open Inference Protocol', async () => {
    const log = jest.spyOn(console, 'error').mockImplementation(() => {});
    const model = await openModel(modelPath('add'));
    const inputs = ['feature1', 'feature2'].map((name) => ({
      name,
      datatype: 'FP32',
      shape: [1, 1],
      data: [1],
    }));
    const answers: Columns[] = [{ sum: ['five'] }, {}];
    for (const answer of answers) {
      const odd: Model = { ...model, predict: async () => answer };
      const reply = await request(createApp(odd, off)).post('/v2/models/add/infer').send({ inputs });
      expectError(reply, 500);
      // No run has failed.
      expect(reply.body.error).toBe('internal error');
    }
    expect(log.mock.calls.flat().join(' ').replaceAll('\n', ' ')).toMatch(
      /sum\[0\] must be a number.*no output sum/,
    );
  });

  test('may give a column whose rows are nothing, beside a large one', async () => {
    const model = await openModel(modelPath('both'));
    const noted: Model = {
      ...model,
      predict: async (columns, signal) => {
        const { same } = await model.predict(columns, signal);
        return { note: [undefined, 'b'], same };
      },
    };
    const row = Array.from({ length: 30_000 }, (_, i) => i);
    const reply = await request(createApp(noted, off))
      .post('/v1/models/both:predict')
      .send({ instances: [row, row] });
    expect(reply.body).toEqual({ predictions: [{ same: row }, { note: 'b', same: row }] });
  });

  test('may give a column of any name beside one that gives way to the reply’s key', async () => {
    const model = await openModel(modelPath('named-predictions'));
    const more: Model = {
      ...model,
      predict: async (columns, signal) => ({
        ...(await model.predict(columns, signal)),
        predictions_output: ['mine'],
      }),
    };
    const reply = await request(createApp(more, off))
      .post('/predict')
      .send({ instances: [[4, 3]] });
    expect(reply.body).toEqual({
      predictions: [4],
      predictions_output: ['mine'],
      predictions_output_output: [0],
    });
  });

  test('may choose the output whose name another one takes', async () => {
    const model = await openModel(modelPath('named-predictions'));
    const predict: Model['predict'] = async (columns, signal) => {
      const { predictions } = await model.predict(columns, signal);
      return { predictions_output: ['mine'], predictions };
    };
    const signature = { ...model.signature, prediction: 'predictions_output' };
    const reply = await request(createApp({ ...model, predict, signature }, off))
      .post('/predict')
      .send({ instances: [[4, 3]] });
    expect(reply.body).toEqual({ predictions: ['mine'], predictions_output: [0] });
  });

  test('has a signal that it can listen to', async () => {
    const model = await openModel(modelPath('add'));
    let reason: unknown;
    const patient: Model = {
      ...model,
      predict: async (_columns, signal) => {
        // Such as fetch takes.
        const linked = AbortSignal.any([signal as AbortSignal]);
        await once(linked, 'abort');
        reason = linked.reason;
        throw linked.reason;
      },
    };
    const agent = request(createApp(patient, { ...off, timeout: 100 }));
    expectError(await agent.post('/predict').send({ feature1: 1, feature2: 2 }), 504);
    expect(reason).toMatchObject({ status: 504 });
  });

  test('may change what comes out', async () => {
    const model = await openModel(modelPath('add'));
    const rounded: Model = {
      ...model,
      predict: async (columns, signal) => {
        const { sum } = await model.predict(columns, signal);
        return { sum, rounded: [...sum].map((value) => Math.round(Number(value))) };
      },
    };
    const reply = await request(createApp(rounded, off))
      .post('/predict')
      .send({ feature1: 1.4, feature2: 2.2 });
    expect(reply.body).toEqual({ prediction: expect.closeTo(3.6), rounded: 4 });
  });
});

describe('mounted in another Express app', () => {
  const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

  async function mounted(...before: express.RequestHandler[]) {
    const outer = express();
    for (const handler of before) outer.use(handler);
    outer.use('/iris', createApp(await openModel(modelPath('model')), off));
    outer.use((_req, res) => void res.status(404).send('outer'));
    return outer;
  }

  test('a large reply listens once for its reader, since compression() keeps each listener, and warns of none', async () => {
    const listened: string[] = [];
    const warned: string[] = [];
    const spy: express.RequestHandler = (_req, res, next) => {
      // As compression() and other middleware do.
      for (let i = 0; i < 5; i++) res.on('close', () => {});
      const { on } = res;
      res.on = (event: string, listener) => {
        listened.push(event);
        on.call(res, event, listener);
        const most = res.getMaxListeners();
        if (most > 0 && res.listenerCount(event) > most) warned.push(event);
        return res;
      };
      next();
    };
    const outer = express().use(spy, createApp(await openModel(modelPath('identity-float32')), off));
    const inputs = Array.from({ length: 200_000 }, (_, i) => [i / 7, i]);
    const reply = await request(outer).post('/predict').send({ inputs });
    expect(reply.body.outputs).toHaveLength(inputs.length);
    expect(listened.filter((event) => event === 'drain').length).toBeLessThanOrEqual(1);
    expect(warned).toEqual([]);
  });

  test.each([
    ['nothing', []],
    ['express.json()', [express.json()]],
    ['express.text()', [express.text({ type: () => true })]],
    ['express.raw()', [express.raw({ type: () => true })]],
  ])('behind %s it answers', async (_what, before) => {
    const agent = request(await mounted(...before));
    expect((await agent.post('/iris/predict').send(flower)).body.prediction).toBe('setosa');
    const inputs = Object.entries(flower).map(([name, value]) => ({
      name,
      datatype: 'FP32',
      shape: [1, 1],
      data: [value],
    }));
    const infer = await agent.post('/iris/v2/models/model/infer').send({ inputs });
    expect(infer.body.outputs[0].data).toEqual(['setosa']);
    expect((await agent.get('/iris/health')).body).toEqual({ status: 'ok' });
    expect((await agent.get('/iris/')).body).toMatchObject({
      status: 'alive',
      usage: expect.stringContaining('POST /iris/predict'),
    });
  });

  test('clients that are gone before an outer app lets them in are not in flight', async () => {
    let reached = 0;
    const outer = await mounted((_req, _res, next) => {
      reached++;
      setTimeout(next, 80);
    });
    const port = listen(outer);
    const socket = net.connect(port, '127.0.0.1');
    const one = 'GET /iris/health HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(one + one);
    await until(() => reached === 2);
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 150));
    const metrics = await request(outer).get('/iris/metrics');
    expect(metrics.text).toMatch(/^http_requests_in_flight 1$/m);
  });

  test('a large body that an outer app has read stays its own', async () => {
    const kept: Buffer[] = [];
    const read = express.raw({
      type: () => true,
      limit: '1mb',
      verify: (_req, _res, bytes) => void kept.push(bytes),
    });
    const text = JSON.stringify(flower).padEnd(300_000);
    const reply = await request(await mounted(read))
      .post('/iris/predict')
      .send(text);
    expect(reply.body.prediction).toBe('setosa');
    expect(kept[0]).toHaveLength(300_000);
  });

  test('its hints show the whole path', async () => {
    const reply = await request(await mounted()).get('/iris/nowhere');
    expectError(reply, 404);
    expect(reply.body.error).toContain('POST /iris/predict');
  });

  test('over a real connection, one request after another', async () => {
    const server = http.createServer(await mounted()).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (let i = 0; i < 3; i++) {
      const reply = await fetch(`http://127.0.0.1:${port}/iris/predict`, {
        method: 'POST',
        body: JSON.stringify(flower),
      });
      expect(await reply.json()).toMatchObject({ prediction: 'setosa' });
    }
    server.close();
    server.closeAllConnections();
  });
});

test('createApp and loadModel work without options', async () => {
  const model = await loadModel(modelPath('model'));
  const app = createApp(model);
  jest.spyOn(process.stdout, 'write').mockImplementation(() => true);
  expect((await request(app).get('/health')).body).toEqual({ status: 'ok' });
  await model.close();
});

test('options that are undefined are as if they were left out', async () => {
  const model = await openModel(modelPath('add'));
  const app = createApp(model, {
    logFormat: 'off',
    apiKeys: undefined,
    timeout: undefined,
    bodyLimit: undefined,
  });
  const reply = await request(app).post('/predict').send({ feature1: 1, feature2: 2 });
  expect(reply.body).toEqual({ prediction: 3 });
  expect(app.locals.timeout).toBe(25_000);
});

test('createApp refuses no model at all', () => {
  expect(() => createApp([], off)).toThrow('there is no model to serve');
});

test('createApp refuses a model whose name would be cut by the paths', async () => {
  const model = await openModel(modelPath('add'));
  expect(() => createApp({ ...model, name: 'a:b' }, off)).toThrow('cannot hold a slash or a colon');
});

test('createApp refuses two models of one name', async () => {
  const model = await openModel(modelPath('add'));
  expect(() => createApp([model, model], off)).toThrow(/both named add/);
});
