import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { ask, exchange, freePort, killServers, launch, launchAndEnd, startServer, until } from './process';
import { modelPath } from './serve';

afterEach(killServers);

const setosa = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

/** Whatever a reader of logs may take for the end of a line. */
const lineEnds = /\r\n|[\n\v\f\r\x85\u2028\u2029]/;

/** The lines that a server logged for what `send` sent, without the last request, which only ends the log. */
async function linesFor(env: NodeJS.ProcessEnv, send: (port: number) => Promise<unknown>, end = /\/the-end/) {
  const server = await startServer('model', env);
  const before = server.stdout().length;
  await send(server.port);
  await ask(server.port, '/the-end', undefined, { headers: { 'X-Request-Id': 'the-end' } });
  await server.wrote(end);
  const lines = server.stdout().slice(before).split(lineEnds);
  expect(lines.pop()).toBe('');
  expect(lines.pop()).toMatch(end);
  expect(server.stderr()).toBe('');
  return lines;
}

test('A line has time, id, method, path, status, bytes and milliseconds', async () => {
  let bytes = '';
  const [line, ...more] = await linesFor({}, async (port) => {
    const reply = await ask(port, '/predict?a=b', setosa, { headers: { 'X-Request-Id': 'abc-123' } });
    bytes = reply.headers['content-length'] as string;
    expect(reply.headers['x-request-id']).toBe('abc-123');
  });
  const [time, rest] = [line.slice(0, 24), line.slice(25)];
  expect(new Date(time).toISOString()).toBe(time);
  expect(rest).toMatch(new RegExp(`^abc-123 POST /predict\\?a=b 200 ${bytes} [\\d.]+ ms$`));
  expect(more).toEqual([]);
});

test('A line ends with the reason where a request fails', async () => {
  const [line] = await linesFor({}, (port) => ask(port, '/predict', { ...setosa, petal_width: 'wide' }));
  expect(line).toMatch(/ POST \/predict 400 \d+ [\d.]+ ms .*petal_width/);
});

test('A line ends with the words of the runtime where it rejects the values', async () => {
  const server = await startServer('audio');
  await ask(server.port, '/predict', [Array(50).fill(0)]);
  await server.wrote(/ POST \/predict 400 \d+ [\d.]+ ms ".*Conv.*Invalid input shape: \{50\}"/);
});

test.each([
  ['a new line in the path', '/a%0ab%0d%0ac'],
  ['an escaped slash and a broken escape', '/%2f%zz'],
  ['a quote and a backslash', '/"\\'],
  ['a path of 8,000 letters', `/${'a'.repeat(8000)}`],
])('GET with %s is one line', async (_what, path) => {
  const lines = await linesFor({}, (port) =>
    exchange(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
  );
  expect(lines).toHaveLength(1);
});

test.each([
  ['a new line in an unknown name', '{"a\\nb\\r\\nc":1}'],
  ['Unicode’s line ends in an unknown name', '{"a\\u2028b\\u2029c\\u0085d":1}'],
  ['colours in an unknown name', '{"\\u001b[31m\\u009b31m":1}'],
  ['an unknown name of 100,000 letters', JSON.stringify({ ['a'.repeat(100_000)]: 1 })],
  ['a body that is not JSON', '\n\n{"a":\n\nfoo'],
])('POST /predict with %s is one line', async (_what, body) => {
  const lines = await linesFor({}, (port) => ask(port, '/predict', body));
  expect(lines).toHaveLength(1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal obeys these.
  expect(lines[0]).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  expect(lines[0].length).toBeLessThan(1000);
});

const bytes = String.fromCharCode(...Array.from({ length: 128 }, (_, i) => 128 + i));

test.each([
  ['tabs', 'X-Request-Id: a\tb'],
  ['bytes beyond ASCII', `X-Request-Id: ${bytes}\r\nUser-Agent: ${bytes}\r\nReferer: ${bytes}`],
  ['quotes', 'X-Request-Id: "\r\nUser-Agent: " 200 "\\\r\nReferer: "'],
  ['a log line for a name', `Authorization: Basic ${Buffer.from('a\n::1 - - "GET').toString('base64')}`],
  ['a log line for an id', 'X-Request-Id: x GET / 200 1 1 ms'],
  ['an id of 5,000 letters', `X-Request-Id: ${'i'.repeat(5000)}`],
  ['two ids', 'X-Request-Id: a\r\nX-Request-Id: b'],
  ['an empty id', 'X-Request-Id:'],
])('Headers with %s are one line, in the usual format and in combined', async (_what, headers) => {
  for (const env of [{}, { LOG_FORMAT: 'combined' }]) {
    const lines = await linesFor(env, async (port) => {
      const request = `GET /v2 HTTP/1.1\r\nHost: x\r\n${headers}\r\nConnection: close\r\n\r\n`;
      const reply = await exchange(port, Buffer.from(request, 'latin1'));
      // The id is a new one.
      expect(reply).toMatch(/^X-Request-Id: [\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\r$/m);
    });
    expect(lines).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal obeys these.
    expect(lines[0]).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  }
});

test('Two requests without an id have different ones', async () => {
  const lines = await linesFor({}, async (port) => {
    const replies = [await ask(port, '/v2'), await ask(port, '/v2')];
    const ids = replies.map(({ headers }) => headers['x-request-id'] as string);
    expect(new Set(ids).size).toBe(2);
  });
  expect(new Set(lines.map((line) => line.split(' ')[1])).size).toBe(2);
});

test('A key is never logged', async () => {
  const lines = await linesFor({ API_KEY: 'opensesame' }, async (port) => {
    for (const headers of [
      { Authorization: 'Bearer opensesame' },
      { 'X-API-Key': 'opensesame' },
      { Authorization: 'Bearer wrongsesame' },
    ])
      await ask(port, '/predict', setosa, { headers });
  });
  expect(lines.map((line) => line.split(' ')[4])).toEqual(['200', '200', '401']);
  expect(lines.join()).not.toContain('sesame');
});

test.each([
  ['tiny', /^GET \/v2 200 79 - [\d.]+ ms$/],
  ['combined', /^\S+ - - \[.*\] "GET \/v2 HTTP\/1\.1" 200 79 "-" "-"$/],
  ['dev', /^.\[0mGET \/v2 .\[32m200.\[0m [\d.]+ ms - 79.\[0m$/],
  [':method :status :req[x-a] :res[content-type] :id', /^GET 200 - application\/json [-\da-f]{36}$/],
  [':status :req[a:bc]', /^200 -$/],
  ['  :status', /^200$/],
])('LOG_FORMAT=%s logs so', async (format, expected) => {
  const lines = await linesFor(
    { LOG_FORMAT: format },
    async (port) => {
      expect((await ask(port, '/v2')).status).toBe(200);
    },
    // An id may hold the digits 404 as well.
    /(^|[\s"m])404(\s|.\[0m|$)/m,
  );
  expect(lines).toEqual([expect.stringMatching(expected)]);
});

test.each([{}, { LOG_FORMAT: 'json' }, { LOG_FORMAT: 'tiny' }])(
  'Health probes that are answered 200 are left out with %j, others are not',
  async (env) => {
    const paths = ['/health', '/ping', '/v2/health/live', '/v2/health/ready', '/v2/models/model/ready'];
    const lines = await linesFor(env, async (port) => {
      for (const path of paths) expect((await ask(port, path)).status).toBe(200);
      expect((await ask(port, '/health', '{}')).status).toBe(405);
      expect((await ask(port, '/v2/models/other/ready')).status).toBe(404);
      await ask(port, '/v2');
    });
    expect(lines).toEqual([
      expect.stringContaining('/health'),
      expect.stringContaining('/v2/models/other/ready'),
      expect.stringContaining('/v2'),
    ]);
  },
);

test('LOG_FORMAT=off logs nothing but the boot', async () => {
  const server = await startServer('model', { LOG_FORMAT: 'off' });
  const boot = server.stdout();
  for (const body of [setosa, {}]) await ask(server.port, '/predict', body);
  server.child.kill('SIGTERM');
  await server.exited;
  expect(server.stdout().slice(boot.length)).toMatch(/^SIGTERM: [^\n]*\n$/);
});

/** Sends so many requests, each of which logs a line of about 8 KB, and wants an answer to each. */
async function fillLog(port: number, count: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const path = `/v2?${'a'.repeat(8000)}`;
  const replies = await Promise.all(
    Array.from({ length: count }, () => ask(port, path, undefined, { agent })),
  );
  agent.destroy();
  expect(replies.every(({ status }) => status === 200)).toBe(true);
  expect((await ask(port, '/predict', setosa)).body.prediction).toBe('setosa');
}

async function expectGoodEnd(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
}

test.each(['1', '2'])(
  'A reader of stdout and stderr that goes away ends nothing (WEB_CONCURRENCY=%s)',
  async (processes) => {
    const server = await startServer('model', { WEB_CONCURRENCY: processes });
    server.child.stdout?.destroy();
    server.child.stderr?.destroy();
    await fillLog(server.port, 50);
    await expectGoodEnd(server.child);
  },
);

/** Whether a server answers there. */
function answers(port: number): Promise<boolean> {
  return ask(port, '/health').then(
    ({ status }) => status === 200,
    () => false,
  );
}

test.each([
  ['that was closed before the boot', '"$@" >&-', 20],
  ['and stderr that were closed before the boot', '"$@" >&- 2>&-', 20],
  ['whose reader has gone', '"$@" | true', 20],
  ['on a full disk', '"$@" >/dev/full 2>/dev/full', 20],
  // bash's pipes are pipes, the ones that Node.js makes are sockets.
  ['that is a pipe which nobody reads', '"$@" | sleep 1000', 600],
  ['and stderr that are a pipe which nobody reads', '"$@" 2>&1 | sleep 1000', 600],
])('A stdout %s neither stops nor ends the server', async (_what, script, requests) => {
  const port = await freePort();
  launch([modelPath('model')], { PORT: String(port) }, { script, stdio: 'ignore' });
  await until(() => answers(port));
  await fillLog(port, requests);
  expect(await answers(port)).toBe(true);
});

test('A stdout that is a socket which nobody reads neither stops nor ends the server', async () => {
  const port = await freePort();
  const child = launch([modelPath('model')], { PORT: String(port) });
  await until(() => answers(port));
  await fillLog(port, 600);
  await expectGoodEnd(child);
});

const hasTerminal = existsSync('/usr/bin/script');

(hasTerminal ? test : test.skip)(
  'A stdout that is a terminal which nobody reads neither stops nor ends the server',
  async () => {
    const port = await freePort();
    // `script` makes a terminal, and stops to read it once nobody reads what it writes.
    const script = `script -qfec "$(printf '%q ' "$@")" /dev/null </dev/null | sleep 1000`;
    launch([modelPath('model')], { PORT: String(port) }, { script, stdio: 'ignore' });
    await until(() => answers(port));
    await fillLog(port, 600);
    expect(await answers(port)).toBe(true);
  },
);

/** Every line that a server has written as an object. */
function objectsIn(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split(lineEnds)
    .map((line) => JSON.parse(line));
}

const anyTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test.each<[string, string, object | string | undefined, object]>([
  ['a prediction', '/predict?a="b"', setosa, { status: 200 }],
  [
    'a body that does not fit',
    '/predict',
    '{"a\\u0085\\u2028b":1}',
    { status: 400, error: expect.stringContaining('b') },
  ],
  [
    'nothing under its path',
    `/${'a'.repeat(3000)}\\"%0a`,
    undefined,
    { status: 404, error: expect.stringContaining('nothing') },
  ],
])('LOG_FORMAT=json logs %s as an object', async (_what, path, body, expected) => {
  let bytes = 0;
  const [line, ...more] = await linesFor({ LOG_FORMAT: 'json' }, async (port) => {
    const reply = await ask(port, path, body, { headers: { 'X-Request-Id': 'abc-123' } });
    bytes = Number(reply.headers['content-length']);
  });
  expect(more).toEqual([]);
  const method = body === undefined ? 'GET' : 'POST';
  const ms = expect.any(Number);
  expect(JSON.parse(line)).toEqual({ time: anyTime, id: 'abc-123', method, path, bytes, ms, ...expected });
});

test.each([
  ['', '{"n":10000}'],
  [' in mid-body', '{"n":'],
])('LOG_FORMAT=json logs a client that has gone%s without a status', async (_when, sent) => {
  const server = await startServer('slow-single', { LOG_FORMAT: 'json' });
  const gone = http.request({ port: server.port, path: '/predict', method: 'POST' }).on('error', () => {});
  gone.setHeader('Content-Length', 11).write(sent);
  await until(async () => /in_flight 2$/m.test((await ask(server.port, '/metrics')).text));
  gone.destroy();
  await server.wrote(/"POST"/);
  const [line] = objectsIn(server.stdout()).filter(({ method }) => method === 'POST');
  expect(line).toMatchObject({ path: '/predict', status: null, bytes: null, ms: expect.any(Number) });
  expect(line).not.toHaveProperty('error');
});

test.each(['1', '2'])(
  'LOG_FORMAT=json makes objects of all lines (WEB_CONCURRENCY=%s)',
  async (processes) => {
    const server = await startServer('model', { LOG_FORMAT: 'json', WEB_CONCURRENCY: processes });
    await ask(server.port, '/predict', setosa);
    await expectGoodEnd(server.child);
    await server.exited;
    const lines = objectsIn(server.stdout());
    const messages = lines.filter(({ method }) => method === undefined);
    for (const line of messages)
      expect(line).toEqual({ time: anyTime, message: expect.stringMatching(/^\S/) });
    const said = messages.map(({ message }) => message);
    // With workers the primary says so where one dies while it loads.
    if (processes === '1') expect(said.shift()).toMatch(/^Loading .*\.onnx$/);
    expect(said.slice(0, 4)).toEqual([
      expect.stringMatching(/^model \(batched\) on http/),
      expect.stringMatching(/^takes /),
      expect.stringMatching(/^gives /),
      expect.stringMatching(/^Try: curl /),
    ]);
    expect(said[4]).toMatch(/^SIGTERM: /);
    expect(server.stderr()).toBe('');
  },
);

test('LOG_FORMAT=json logs the whole of an error that is the model’s as one object', async () => {
  const server = await startServer('fails', { LOG_FORMAT: 'json' });
  const { body } = await ask(server.port, '/predict', { x: [[1], [5000]] });
  await server.wrote(/"POST"/);
  expect(body).toMatchObject({ id: expect.any(String) });
  expect(objectsIn(server.stderr())).toEqual([
    { time: anyTime, id: body.id, message: expect.stringMatching(/^Error: Non-zero status[\s\S]*\n {4}at /) },
  ]);
});

test.each(['1', '2'])(
  'LOG_FORMAT=json says why it cannot boot as an object (WEB_CONCURRENCY=%s)',
  async (processes) => {
    const { stderr, code } = await launchAndEnd(['no/such.onnx'], {
      LOG_FORMAT: 'json',
      WEB_CONCURRENCY: processes,
    });
    expect(objectsIn(stderr)).toEqual([
      { time: anyTime, message: expect.stringMatching(/^no\/such\.onnx: /) },
    ]);
    expect(code).toBe(1);
  },
);
