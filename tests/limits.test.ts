import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import {
  ask,
  exchange,
  killServers,
  launchAndEnd,
  oneConnection,
  repliesIn,
  startServer,
  until,
} from './process';
import { modelPath } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'limits-'));
afterEach(killServers);
afterAll(() => rmSync(folder, { recursive: true }));

const off = { LOG_FORMAT: 'off' };
const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

/** Megabytes that a process has held at most, where the system tells. */
function peakMemory(pid: number | undefined): number {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return 0;
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(file, 'utf8'))?.[1]) / 1024;
}

/** Waits for `promise`, asking for health meanwhile; gives how often it answered before. */
async function healthWhile(port: number, promise: Promise<unknown>): Promise<number> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  let answered = 0;
  while (!done) {
    expect((await ask(port, '/health')).status).toBe(200);
    if (!done) answered++;
  }
  return answered;
}

describe('a reply of a million numbers', () => {
  const rows = 500_000;
  const values = Float32Array.from({ length: 2 * rows }, (_, i) =>
    Math.fround(Math.sin(i) * 10 ** ((i % 40) - 20)),
  );
  const b64 = Buffer.from(values.buffer).toString('base64');
  const body = JSON.stringify({ b64, shape: [rows, 2] });

  test('is whole, in order, and others are answered before its end is written', async () => {
    const { port } = await startServer('identity-float32', off);
    const response = await askAndWait(port);
    expect((await ask(port, '/health')).status).toBe(200);
    const { predictions } = JSON.parse(await textOf(response));
    expect(predictions).toHaveLength(rows);
    const wrong = predictions
      .flat()
      .findIndex((value: number, i: number) => Math.fround(value) !== values[i]);
    expect(wrong).toBe(-1);
  });

  test.each([
    ['whole tensors', '/predict', `{"inputs":${body}}`, (reply: { outputs: number[][] }) => reply.outputs],
    [
      'one row a value',
      '/v1/models/identity-float32:predict',
      `{"inputs":${body}}`,
      (reply: { outputs: number[][] }) => reply.outputs,
    ],
    [
      'the Open Inference Protocol',
      '/predict',
      JSON.stringify({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [30_000, 2], data: Array(60_000).fill(1.5) }],
      }),
      (reply: { outputs: { data: number[] }[] }) => [reply.outputs[0].data.slice(0, 2)],
    ],
  ])('is whole as %s', async (_what, path, sent, rowsOf) => {
    const { port } = await startServer('identity-float32', off);
    const { status, body: reply } = await ask(port, path, sent);
    expect(status).toBe(200);
    const [first] = rowsOf(reply as never);
    expect(first.map(Math.fround)).toEqual(
      path === '/predict' && sent.includes('FP32') ? [1.5, 1.5] : [...values.slice(0, 2)],
    );
  });

  test('is whole as rows of several outputs', async () => {
    const { port } = await startServer('both', off);
    const row = Array.from({ length: 50_000 }, (_, i) => i / 8);
    for (const instances of [[row], [row, row.toReversed()]]) {
      const { body: reply } = await ask(port, '/v1/models/both:predict', { instances });
      const predictions = instances.map((same) => ({ same, twice: same.map((value) => 2 * value) }));
      expect(reply).toEqual({ predictions });
    }
  });

  test('lets others be answered between its pieces, however fast it is read', async () => {
    const { port } = await startServer('identity-float32', off);
    const response = await askAndWait(port);
    expect(await healthWhile(port, textOf(response))).toBeGreaterThan(2);
  });

  /** Asks and reads nothing of the reply; gives the way to read it. */
  async function askAndWait(port: number): Promise<http.IncomingMessage> {
    const request = http.request({ port, host: '127.0.0.1', path: '/predict', method: 'POST', agent: false });
    request.on('error', () => {});
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    return response;
  }

  async function textOf(response: http.IncomingMessage): Promise<string> {
    let text = '';
    for await (const chunk of response.setEncoding('latin1')) text += chunk;
    return text;
  }

  test('costs little more than its tensor where its reader takes nothing', async () => {
    const server = await startServer('identity-float32', off);
    (await askAndWait(server.port)).destroy();
    const before = peakMemory(server.child.pid);
    const waiting = await Promise.all(Array.from({ length: 8 }, () => askAndWait(server.port)));
    // Eight bodies and tensors are some 75 MB; their texts and values together would be 800.
    expect(peakMemory(server.child.pid) - before).toBeLessThan(300);
    expect((await ask(server.port, '/health')).status).toBe(200);
    for (const response of waiting) response.destroy();
  });

  test('is given up where its reader takes nothing for TIMEOUT', async () => {
    const { port } = await startServer('identity-float32', { ...off, TIMEOUT: '1' });
    const response = await askAndWait(port);
    // The request that asks is in flight.
    await until(async () => (await metric(port)) === 1);
    await expect(textOf(response)).rejects.toThrow('aborted');
  });

  test('is read whole by a slow reader after SIGTERM', async () => {
    const server = await startServer('identity-float32', off);
    const response = await askAndWait(server.port);
    server.child.kill('SIGTERM');
    await wait(2000);
    expect(JSON.parse(await textOf(response)).predictions).toHaveLength(rows);
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });
});

describe('bodies', () => {
  const large = `{"instances":[${'[0.123,0.5],'.repeat(700_000)}[1,2]]}`;

  test('of four clients that end together hold health up by one at a time', async () => {
    const { port } = await startServer('identity-float32', off);
    const odd = large.replace('[1,2]]}', '["x",2]]}');
    const replies = Promise.all(Array.from({ length: 4 }, () => ask(port, '/predict', odd)));
    expect(await healthWhile(port, replies)).toBeGreaterThan(0);
    for (const { status } of await replies) expect(status).toBe(400);
  });

  test('are not kept by connections that idle after their answers', async () => {
    const { port } = await startServer('identity-float32', {
      ...off,
      NODE_OPTIONS: '--max-old-space-size=256',
    });
    const agents = Array.from({ length: 6 }, oneConnection);
    for (const agent of agents) {
      expect((await ask(port, '/predict', large.replace('[1,2]]}', '["x",2]]}'), { agent })).status).toBe(
        400,
      );
    }
    expect((await ask(port, '/predict', [1, 2])).body).toEqual({ prediction: [1, 2] });
    for (const agent of agents) agent.destroy();
  });

  test.each<[string, number, string]>([
    ['1,000 that send nothing of a small one', 1000, 'Content-Length: 100\r\n\r\n{'],
    ['40 that announce 10 MB and send nothing', 40, `Content-Length: ${10 * 2 ** 20}\r\n\r\n{`],
    ['40 that send no chunk', 40, 'Transfer-Encoding: chunked\r\n\r\n'],
  ])('%s shut nobody out', async (_what, count, rest) => {
    const { port } = await startServer('model', { ...off, MAX_QUEUE: '20' });
    const slow = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = net.connect(port, '127.0.0.1').on('error', () => {});
        await new Promise<void>((sent) =>
          socket.write(`POST /predict HTTP/1.1\r\nHost: x\r\n${rest}`, () => sent()),
        );
        return socket;
      }),
    );
    expect((await ask(port, '/predict', flower)).body.prediction).toBe('setosa');
    for (const socket of slow) socket.destroy();
  });

  test.each([
    ['with an encoding that is none', { 'Content-Encoding': 'identity' }, 1 << 16],
    ['in tiny chunks', {}, 16],
  ])('of many clients that arrive %s are bounded together', async (_what, headers, step) => {
    const server = await startServer('identity-float32', off);
    const before = peakMemory(server.child.pid);
    const piece = Buffer.alloc(step, ' ');
    const sent = step === 16 ? 100_000 : 9 * 2 ** 20;
    const replies = await Promise.all(
      Array.from({ length: 90 }, async () => {
        const request = http.request({
          port: server.port,
          host: '127.0.0.1',
          path: '/predict',
          method: 'POST',
          agent: false,
          headers,
        });
        request.on('error', () => {});
        for (let at = 0; at < sent; at += step) request.write(piece);
        request.end();
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        response.resume();
        return response.statusCode;
      }),
    );
    for (const status of replies) expect([400, 503]).toContain(status);
    expect(peakMemory(server.child.pid) - before).toBeLessThan(900);
  });

  test('of many clients that grow when decompressed are bounded together', async () => {
    const server = await startServer('identity-float32', off);
    const before = peakMemory(server.child.pid);
    const bomb = gzipSync(Buffer.alloc(10 * 2 ** 20 - 10, ' '));
    const replies = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const request = http.request({
          port: server.port,
          host: '127.0.0.1',
          path: '/predict',
          method: 'POST',
          agent: false,
        });
        request.setHeader('Content-Encoding', 'gzip');
        request.end(bomb);
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        response.resume();
        return response.statusCode;
      }),
    );
    for (const status of replies) expect([400, 503]).toContain(status);
    expect(peakMemory(server.child.pid) - before).toBeLessThan(900);
    expect((await ask(server.port, '/predict', [1, 2])).status).toBe(200);
  });
});

describe('a process that may use 512 MB', () => {
  const script = `process.constrainedMemory = () => ${512 * 2 ** 20}`;
  // What Node.js does itself there.
  const heap = '--max-old-space-size=256';
  const env = {
    TIMEOUT: '2',
    ...off,
    NODE_OPTIONS: `${heap} --import "data:text/javascript,${encodeURIComponent(script)}"`,
  };
  const zeros = `[${'0,'.repeat(1_300_000)}0]`;
  const flowers = `{"inputs":{${Object.keys(flower).map((name) => `"${name}":${zeros}`)}}}`;

  test.each([
    ['rows of numbers', 'model', flowers],
    ['rows of texts', 'text', `{"instances":[${'"a",'.repeat(2_600_000)}"a"]}`],
    ['columns of lists', 'logreg', `{"inputs":[${'[0,1,0,1],'.repeat(1_000_000)}[0,1,0,1]]}`],
    ['lists of one number', 'identity-float32', `[${'[0],'.repeat(2_600_000)}[0]]`],
  ])('takes less, when clients send %s in 9 KB of gzip each and read nothing', async (_what, name, body) => {
    const server = await startServer(name, env);
    const bomb = gzipSync(body, { level: 9 });
    const waiting = Array.from({ length: 3 }, async () => {
      const headers = { 'Content-Encoding': 'gzip' };
      const request = http.request({ port: server.port, path: '/predict', method: 'POST', headers });
      const [response] = (await once(request.end(bomb), 'response')) as [http.IncomingMessage];
      expect([200, 413, 503, 504]).toContain(response.statusCode);
      return response.on('error', () => {});
    });
    for (const response of await Promise.all(waiting)) response.destroy();
    expect(peakMemory(server.child.pid)).toBeLessThan(512);
    expect((await ask(server.port, '/health')).status).toBe(200);
  });

  test('answers large bodies that come together one after another', async () => {
    const server = await startServer('model', { ...env, TIMEOUT: '100' });
    const replies = await Promise.all(Array.from({ length: 4 }, () => ask(server.port, '/predict', flowers)));
    for (const { status, body } of replies) {
      expect(status).toBe(200);
      expect(body.outputs.prediction).toHaveLength(1_300_001);
    }
    expect(peakMemory(server.child.pid)).toBeLessThan(512);
  });
});

test.each(['/metrics', '/predict'])(
  'GET %s takes little, when a client pipelines 1,800 and reads nothing',
  async (path) => {
    // Relu of float32[1,3,224,224], whose example takes 300 KB.
    const relu =
      'CAg6TwoMCgF4EgF5IgRSZWx1EgFnWh0KAXgSGAoWCAESEgoCCAEKAggDCgMI4AEKAwjgAWIdCgF5EhgKFggBEhIKAggBCgIIAwoDCOABCgMI4AFCAhAN';
    const image = join(folder, 'image.onnx');
    writeFileSync(image, Buffer.from(relu, 'base64'));
    const server = await startServer(image, off);
    const before = peakMemory(server.child.pid);
    const socket = net.connect(server.port, '127.0.0.1').pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(1800));
    await until(async () => (await metric(server.port)) > 500);
    expect((await ask(server.port, path)).status).toBe(200);
    expect(peakMemory(server.child.pid) - before).toBeLessThan(100);
    socket.destroy();
  },
);

test('TIMEOUT counts from the arrival of a request, not from that of its body', async () => {
  const { port } = await startServer('slow-single', { ...off, TIMEOUT: '2' });
  const body = '{"n":1}';
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(
    `POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await wait(600);
  // Something else keeps the model busy for longer than TIMEOUT.
  const later = ask(port, '/predict', { n: 30_000 }).catch(() => {});
  await wait(600);
  socket.write(body);
  // Its time began with its head, before that of the other.
  const first = await Promise.race([once(socket, 'data'), later]);
  expect(String(first)).toMatch(/^HTTP\/1.1 504 /);
  await later;
});

test('Pipelined requests whose client has gone are given up and logged', async () => {
  const server = await startServer('slow-single', { MAX_QUEUE: '5' });
  const body = '{"n":20000}';
  const request = (n: number) =>
    `POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-Id: p${n}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const socket = net.connect(server.port, '127.0.0.1');
  socket.write([1, 2, 3, 4, 5].map(request).join(''));
  await until(async () => (await ask(server.port, '/predict', { n: 1 })).status === 503);
  socket.destroy();
  await server.wrote(/ p5 POST/);
  for (const n of [1, 2, 3, 4, 5]) expect(server.stdout()).toContain(` p${n} POST /predict - - `);
  await until(async () => (await ask(server.port, '/predict', { n: 1 })).status === 200);
});

test('Pipelined requests whose client goes are counted and logged once', async () => {
  const server = await startServer('slow-single', { MAX_QUEUE: '3' });
  const slow = '{"n":20000}';
  const info = (id: string) => `GET /v2 HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`;
  const predict = (id: string) =>
    `POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nContent-Length: ${slow.length}\r\n\r\n${slow}`;
  for (const [i, requests] of [
    [info('h0'), predict('p0')],
    [predict('p1'), info('h1')],
    [info('h2'), predict('p2'), info('i2')],
  ].entries()) {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.write(requests.join(''));
    await server.wrote(i === 1 ? /$/ : new RegExp(` h${i} GET /v2 200 `));
    await until(async () => (await metric(server.port)) > 1);
    socket.destroy();
    await server.wrote(new RegExp(` p${i} POST /predict - - `));
  }
  // The request that asks is in flight.
  await until(async () => (await metric(server.port)) === 1);
  for (const id of ['h0', 'p0', 'p1', 'h1', 'h2', 'p2', 'i2'])
    expect(server.stdout().match(new RegExp(` ${id} (GET|POST) `, 'g'))).toHaveLength(1);
});

/** Requests in flight, as the metrics tell. */
async function metric(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^http_requests_in_flight (\S+)$/m.exec(text)?.[1]);
}

test('A run that does not end is told by health, and ends the process', async () => {
  const server = await startServer('slow-single', { ...off, TIMEOUT: '1' });
  const agent = oneConnection();
  await ask(server.port, '/health', undefined, { agent });
  expect((await ask(server.port, '/predict', { n: 100_000_000 })).status).toBe(504);
  await until(async () => {
    const reply = await ask(server.port, '/health', undefined, { agent }).catch(() => undefined);
    return reply === undefined || reply.status === 503;
  });
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(server.stderr()).toMatch(/^a run of slow-single takes more than twice TIMEOUT[^\n]*\n$/);
});

test('A worker that cannot boot any more does not end those that serve', async () => {
  const path = join(folder, 'goes.onnx');
  cpSync(modelPath('single'), path);
  const server = await startServer(path, { WEB_CONCURRENCY: '2', LOG_FORMAT: 'served :pid' });
  const pids = () => [
    ...new Set([...server.stdout().matchAll(/^served (\d+)$/gm)].map(([, pid]) => Number(pid))),
  ];
  await until(async () => {
    await ask(server.port, '/v2', undefined, { agent: false });
    return pids().length === 2;
  });
  rmSync(path);
  process.kill(pids()[0], 'SIGKILL');
  await until(() => (server.stderr().match(/there is no such file/g)?.length ?? 0) >= 3);
  for (let i = 0; i < 10; i++) {
    expect((await ask(server.port, '/predict', { x: [1, 2, 3] }, { agent: false })).status).toBe(200);
  }
  expect(server.child.exitCode).toBe(null);
});

test('MODEL_PATH on a pipe is one line and exit code 1', async () => {
  const pipe = join(folder, 'pipe.onnx');
  execFileSync('mkfifo', [pipe]);
  const { stderr, code } = await launchAndEnd([pipe]);
  expect(stderr).toMatch(/^[^\n]*is not a file[^\n]*\n$/);
  expect(code).toBe(1);
});

test('An early refusal reaches a client that asked for the connection to be closed', async () => {
  const { port } = await startServer('model', { ...off, API_KEY: 'secret', BODY_LIMIT: '1mb' });
  const body = Buffer.alloc(900_000, ' ');
  const head = `POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
  expect(repliesIn(await exchange(port, head, body))).toMatchObject([{ status: 401 }]);
});
