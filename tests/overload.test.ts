import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { ask, killServers, oneConnection, type ServerProcess, startServer } from './process';

afterEach(killServers);

/** Occupies the model for `n` times 0.3 ms or so; settles once the server must have it, with the way to its reply. */
async function occupy(port: number, n: number) {
  const agent = oneConnection();
  await ask(port, '/health', undefined, { agent });
  const reply = ask(port, '/predict', { n }, { agent });
  await ask(port, '/health');
  return { reply };
}

/** Sends a prediction and hangs up once the server has it. */
async function askAndLeave(port: number, n: number): Promise<void> {
  const agent = oneConnection();
  await ask(port, '/health', undefined, { agent });
  const request = http.request({ port, host: '127.0.0.1', path: '/predict', method: 'POST', agent });
  request.on('error', () => {});
  await new Promise<void>((sent) => request.end(JSON.stringify({ n }), sent));
  await ask(port, '/health');
  request.destroy();
}

test('Requests beyond MAX_QUEUE get a 503 at once, the others their answers in order', async () => {
  const { port } = await startServer('slow-single', { MAX_QUEUE: '5', LOG_FORMAT: 'off' });
  for (let round = 0; round < 2; round++) {
    const order: string[] = [];
    const { reply } = await occupy(port, 10_000);
    void reply.then(() => order.push('200'));
    const replies = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const answer = await ask(port, '/predict', { n });
        order.push(String(answer.status));
        return { n, ...answer };
      }),
    );
    expect((await reply).body).toEqual({ prediction: 10_000, y: 256 });
    // The refusals came before the run was over that kept the others waiting.
    expect(order).toEqual([...Array(36).fill('503'), ...Array(5).fill('200')]);
    for (const { n, status, body, headers } of replies) {
      if (status === 200) expect(body).toEqual({ prediction: n, y: 256 });
      else {
        expect(body).toEqual({ error: expect.stringContaining('try again') });
        expect(headers['retry-after']).toMatch(/^\d+$/);
      }
    }
  }
  expect((await ask(port, '/predict', { n: 7 })).body).toEqual({ prediction: 7, y: 256 });
});

test('Requests beyond MAX_QUEUE are judged at the door, before their bodies come', async () => {
  const { port } = await startServer('slow-single', { MAX_QUEUE: '1', LOG_FORMAT: 'off' });
  const { reply } = await occupy(port, 6000);
  const head = 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n';
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  socket.write(head);
  const [first] = await once(socket, 'data');
  expect(first).toMatch(/^HTTP\/1\.1 503 /);
  socket.destroy();
  expect((await reply).status).toBe(200);
});

/** The `n` for which a run of slow-single takes so many milliseconds on this machine when nothing else runs. */
async function sizeOfRun(port: number, milliseconds: number): Promise<number> {
  const times = [];
  // The first run warms up; other work on this machine makes some longer.
  for (let run = 0; run < 4; run++) {
    const start = performance.now();
    await ask(port, '/predict', { n: 1000 });
    times.push(performance.now() - start);
  }
  return Math.ceil((1000 * milliseconds) / Math.min(...times));
}

test('Health is answered while a run goes on', async () => {
  const { port } = await startServer('slow-single', { LOG_FORMAT: 'off' });
  const order: string[] = [];
  const { reply } = await occupy(port, 6000);
  void reply.then(() => order.push('prediction'));
  for (let i = 0; i < 20; i++) {
    expect((await ask(port, '/health')).status).toBe(200);
    order.push('health');
  }
  await reply;
  expect(order).toEqual([...Array(20).fill('health'), 'prediction']);
});

test('Requests past TIMEOUT get a 504, and those that waited are not run', async () => {
  const { port } = await startServer('slow-single', { TIMEOUT: '3', LOG_FORMAT: 'off' });
  // Longer than TIMEOUT, and shorter than twice as long, after which the process would end itself; other work on this
  // machine may have made the first guess too short.
  let status: number | undefined = 200;
  let answers: Awaited<ReturnType<typeof ask>>[] = [];
  for (let n = await sizeOfRun(port, 3500); status === 200; n *= 1.4) {
    const { reply } = await occupy(port, Math.ceil(n));
    answers = await Promise.all(Array.from({ length: 40 }, () => ask(port, '/predict', { n: 3000 })));
    ({ status } = await reply);
  }
  expect(status).toBe(504);
  for (const { status, body } of answers) {
    expect(status).toBe(504);
    expect(body).toEqual({ error: expect.stringContaining('TIMEOUT') });
  }
  // The 40 would take the model far longer, so it would be too late for these too.
  const statuses = [];
  while (statuses.at(-1) !== 200 && statuses.length < 5)
    statuses.push((await ask(port, '/predict', { n: 1 })).status);
  expect(statuses.at(-1)).toBe(200);
});

test('Requests whose clients have gone are not run, and leave room in the line', async () => {
  const { port } = await startServer('slow-single', { MAX_QUEUE: '10', LOG_FORMAT: 'off' });
  const { reply } = await occupy(port, 10_000);
  for (let i = 0; i < 20; i++) await askAndLeave(port, 20_000);
  // The first ten would have filled the line, and taken the model 6 s each, longer than TIMEOUT in all.
  expect(await ask(port, '/predict', { n: 2 })).toMatchObject({ status: 200, body: { prediction: 2 } });
  expect((await reply).status).toBe(200);
});

test('A request whose client has gone is logged, once', async () => {
  const server = await startServer('slow-single', { LOG_FORMAT: ':method :url' });
  const { reply } = await occupy(server.port, 1500);
  await askAndLeave(server.port, 3000);
  await reply;
  await ask(server.port, '/the-end');
  await server.wrote(/the-end/);
  expect(server.stdout().match(/^POST \/predict$/gm)).toHaveLength(2);
  expect(server.stderr()).toBe('');
});

/** 16 MB of rows as Triton's clients send them: a JSON header, then the bytes. */
const rows = 2 ** 22;
const header = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 1], parameters: { binary_data_size: 4 * rows } }],
  outputs: [{ name: 'y', parameters: { binary_data: true } }],
});
const repeat = (value: number) => Buffer.alloc(4 * rows, Buffer.from(Float32Array.of(value).buffer));
const body = Buffer.concat([Buffer.from(header), repeat(1.5)]);

async function sendRows(port: number) {
  const request = http.request({
    port,
    host: '127.0.0.1',
    path: '/v2/models/slow-batched/infer',
    method: 'POST',
    headers: { 'Inference-Header-Content-Length': header.length, 'Content-Length': body.length },
    agent: false,
  });
  request.end(body);
  return new Promise<{ status: number; values: Buffer; retry?: string }>((resolve, reject) => {
    request.on('error', reject).on('response', async (response: http.IncomingMessage) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      const skip = Number(response.headers['inference-header-content-length'] ?? 0);
      resolve({
        status: response.statusCode as number,
        values: Buffer.concat(chunks).subarray(skip),
        retry: response.headers['retry-after'],
      });
    });
  });
}

/** Megabytes of memory that a process holds, or has held at most, where the system tells. */
function residentMemory({ child }: ServerProcess, which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const file = `/proc/${child.pid}/status`;
  if (!existsSync(file)) return 0;
  return Number(new RegExp(`${which}:\\s+(\\d+) kB`).exec(readFileSync(file, 'utf8'))?.[1]) / 1024;
}

test('Bodies and tensors beyond 256 MB get a 503, and memory does not grow', async () => {
  const env = { BODY_LIMIT: '64mb', MAX_BATCH: '1', LOG_FORMAT: 'off' };
  const server = await startServer('slow-batched', env);
  const { port } = server;
  const memory: number[] = [];
  // What V8 and the allocator keep settles in the first rounds.
  for (let round = 0; round < 4; round++) {
    // Small ones that each take 0.2 s keep the large ones waiting.
    const small = Array.from({ length: 12 }, (_, x) => ask(port, '/predict', { x }));
    await ask(port, '/health');
    const large = await Promise.all(Array.from({ length: 18 }, () => sendRows(port)));
    const answered = large.filter(({ status }) => status === 200);
    const refused = large.filter(({ status }) => status === 503);
    expect(answered.length).toBeGreaterThanOrEqual(3);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(answered.length + refused.length).toBe(18);
    for (const { values } of answered) {
      expect(values.length).toBe(4 * rows);
      expect(values.equals(repeat(3))).toBe(true);
    }
    for (const { retry } of refused) expect(retry).toMatch(/^\d+$/);
    for (const [x, reply] of (await Promise.all(small)).entries())
      expect(reply.body).toEqual({ prediction: 2 * x });
    memory.push(residentMemory(server, 'VmHWM'));
  }
  expect(memory[3]).toBeLessThanOrEqual(1.3 * memory[2]);
  expect((await ask(port, '/predict', { x: 4 })).body).toEqual({ prediction: 8 });
});

test('A request of more than 256 MB that is alone is let in', async () => {
  const { port } = await startServer('model', { BODY_LIMIT: '300mb', LOG_FORMAT: 'off' });
  const flower = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}';
  const { body } = await ask(port, '/predict', flower.padEnd(260 * 2 ** 20));
  expect(body).toMatchObject({ prediction: 'setosa' });
});

const size = 10 * 2 ** 20 - 10;
const filled = (part: string) => part.repeat(size / part.length);

test.each([
  ['numbers', `[${filled('0.123456,')}0]`, 400, "an object with the model's 4 inputs, not this number"],
  ['one string', `"${filled('\\"[{')}"`, 400, 'inputs, not a string'],
  ['nothing but open arrays', filled('['), 400, 'nests deeper'],
  ['nothing but open objects', filled('{"a":'), 400, 'nests deeper'],
])('A body of 10 MB of %s takes a few times its size', async (_what, body, status, message) => {
  const server = await startServer('model', { LOG_FORMAT: 'off' });
  const before = residentMemory(server, 'VmHWM');
  expect(await ask(server.port, '/predict', body)).toMatchObject({
    status,
    body: { error: expect.stringContaining(message) },
  });
  expect(residentMemory(server, 'VmHWM') - before).toBeLessThan(120);
  expect((await ask(server.port, '/health')).status).toBe(200);
});

test('500 clients of a model that takes 0.2 s a run are each answered: rightly, with 503 or with 504', async () => {
  const server = await startServer('slow-single', { MAX_QUEUE: '50', TIMEOUT: '4', LOG_FORMAT: 'off' });
  const { port } = server;
  const enough = await sizeOfRun(port, 200);
  const memory: number[] = [];
  for (let round = 0; round < 3; round++) {
    const order: number[] = [];
    const replies = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const n = enough + (i % 50);
        const reply = await ask(port, '/predict', { n });
        order.push(reply.status);
        return { n, ...reply };
      }),
    );
    const count = (status: number) => order.filter((one) => one === status).length;
    expect(count(200) + count(503) + count(504)).toBe(500);
    expect(count(200)).toBeGreaterThanOrEqual(2);
    expect(count(503)).toBeGreaterThanOrEqual(400);
    expect(count(504)).toBeGreaterThanOrEqual(2);
    expect(order.lastIndexOf(503)).toBeLessThan(order.indexOf(504));
    for (const { n, status, body, headers } of replies) {
      if (status === 200) expect(body).toEqual({ prediction: n, y: 256 });
      else expect(body).toEqual({ error: expect.any(String) });
      if (status === 503) expect(headers['retry-after']).toMatch(/^\d+$/);
    }
    // Nothing is left in the line but, perhaps, the run that the last 504 came out of.
    for (const n of [1, 2, 3]) {
      expect(await ask(port, '/predict', { n })).toMatchObject({ status: 200, body: { prediction: n } });
    }
    memory.push(residentMemory(server));
  }
  expect(memory[2]).toBeLessThanOrEqual(1.2 * memory[0]);
});
