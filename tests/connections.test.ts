import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { ask, exchange, killServers, repliesIn, type ServerProcess, startServer, until } from './process';

const setosa = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}';
const virginica = '{"sepal_length":6.3,"sepal_width":3.3,"petal_length":6,"petal_width":2.5}';

let server: ServerProcess;
/** Waits for a request no longer than half a second. */
let hasty: ServerProcess;

beforeAll(async () => {
  [server, hasty] = await Promise.all([
    startServer('model', { LOG_FORMAT: 'off' }),
    startServer('model', { LOG_FORMAT: 'off', TIMEOUT: '0.5' }),
  ]);
});

afterEach(async () => {
  for (const { port, stderr } of [server, hasty]) {
    expect((await ask(port, '/predict', setosa)).body.prediction).toBe('setosa');
    expect(stderr()).toBe('');
  }
});

afterAll(killServers);

/** A request with its body, as it goes over the wire. */
function post(body: string, headers = '', path = '/predict'): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const last = 'Connection: close\r\n';

/** Every reply of a connection that the server is to close; failures that reach the app have the form of section Errors. */
async function replies(port: number, ...parts: (string | Buffer)[]) {
  const all = repliesIn(await exchange(port, ...parts));
  for (const { status, head, body } of all) {
    // What Node's own parser refuses has neither an id nor a body.
    if (status < 400 || !/^x-request-id:/im.test(head)) continue;
    expect(head).toMatch(/^content-type: application\/json$/im);
    expect(JSON.parse(body)).toEqual({ error: expect.stringMatching(/^[^\n]+$/) });
    expect(body).not.toMatch(/node:|\.js|\.ts\b/);
  }
  return all.map(({ status, head, body }) => ({ status, head, json: body ? JSON.parse(body) : undefined }));
}

test.each([
  ['a first line that stops half way', ['GET /hea']],
  ['headers that stop half way', ['GET /health HTTP/1.1\r\nHost: x\r\nA: b']],
  ['headers after a request that was answered', [post(setosa), 'GET /health HTTP/1.1\r\nHost:']],
  ['a body that stops half way', [post(setosa, last).slice(0, -10)]],
  ['a body that never begins', [`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n`]],
  [
    'a chunk that never comes',
    ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{'],
  ],
  ['a body after 100 Continue', [`${post(setosa, 'Expect: 100-continue\r\n').slice(0, -setosa.length)}`]],
  ['a body for a path that takes none', ['POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{']],
])('%s is a 408 once TIMEOUT is over', async (_what, parts) => {
  const all = await replies(hasty.port, ...parts);
  const end = all.at(-1);
  // What needs no body may be answered before it has come.
  if (parts[0].includes('/nowhere')) expect(all[0].status).toBe(404);
  else expect(end?.status).toBe(408);
  for (const { status } of all.slice(0, -1)) expect(status).toBeLessThan(405);
});

test('A connection on which nothing has come is idle: it gets no 408, and what comes later is answered', async () => {
  const socket = net.connect(hasty.port, '127.0.0.1').setEncoding('latin1');
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  // By then one that had begun a request is given up.
  expect(await exchange(hasty.port, 'GET /hea')).toMatch(/^HTTP\/1.1 408 /);
  await wait(1500);
  expect({ closed, received }).toEqual({ closed: false, received: '' });
  socket.write(post(setosa));
  await until(() => received !== '');
  expect(received).toMatch(/^HTTP\/1.1 200 /);
  // Half a head is given up on it, too.
  received = '';
  socket.write('GET /hea');
  await until(() => closed);
  expect(received).toMatch(/^HTTP\/1.1 408 /);
});

test('KEEP_ALIVE ends idle connections, those on which nothing has come as well', async () => {
  const { port } = await startServer('model', { LOG_FORMAT: 'off', KEEP_ALIVE: '1', TIMEOUT: '0.5' });
  const reply = await ask(port, '/health', undefined, { agent: new http.Agent({ keepAlive: true }) });
  expect(reply.headers['keep-alive']).toBe('timeout=1');
  expect(await exchange(port)).toBe('');
  expect(await exchange(port, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
});

test('A body that trickles in ends with 408, however steadily', async () => {
  const socket = net
    .connect(hasty.port, '127.0.0.1')
    .setEncoding('latin1')
    .on('error', () => {});
  socket.write(`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n[`);
  const trickle = setInterval(() => socket.write('0,'), 20);
  const [reply] = await once(socket, 'data');
  clearInterval(trickle);
  expect(reply).toMatch(/^HTTP\/1.1 408 /);
  await once(socket, 'close');
});

test('500 idle connections stand beside normal traffic', async () => {
  const idle = await Promise.all(
    Array.from({ length: 500 }, async (_, i) => {
      const socket = net.connect(server.port, '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      if (i % 2) socket.write(post(setosa).slice(0, 100));
      return socket;
    }),
  );
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask(server.port, '/predict', setosa)));
  expect(answers.every(({ body }) => body.prediction === 'setosa')).toBe(true);
  for (const socket of idle) socket.destroy();
});

test('A client that hangs up in the middle of its body harms nobody', async () => {
  for (let i = 0; i < 50; i++) {
    const socket = net.connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    await new Promise<void>((written) => socket.write(post(setosa).slice(0, -9 - i), () => written()));
    if (i % 2) socket.resetAndDestroy();
    else socket.destroy();
  }
});

const label = (reply: { json: { prediction?: string } }) => reply.json.prediction;

test('Pipelined requests are answered in order', async () => {
  const many = Array.from({ length: 100 }, (_, i) => post(i % 3 ? setosa : virginica));
  const all = await replies(server.port, [...many, post(setosa, last)].join(''));
  expect(all.map(label)).toEqual([...many.map((_, i) => (i % 3 ? 'setosa' : 'virginica')), 'setosa']);
});

test('Pipelined requests of different kinds are answered in order', async () => {
  const all = await replies(
    server.port,
    post(setosa) +
      'GET /health HTTP/1.1\r\nHost: x\r\n\r\n' +
      post('{"sepal_length":') +
      'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n' +
      'OPTIONS /predict HTTP/1.1\r\nHost: x\r\n\r\n' +
      post(virginica, last),
  );
  expect(all.map(({ status }) => status)).toEqual([200, 200, 400, 404, expect.any(Number), 200]);
  expect(label(all[5])).toBe('virginica');
});

test.each([
  ['garbage', 'GARBAGE\r\n\r\n'],
  ['a header without a colon', 'GET / HTTP/1.1\r\nno colon\r\n\r\n'],
  ['headers too large', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`],
])('%s behind pipelined requests costs that connection only', async (_what, bad) => {
  await exchange(server.port, post(setosa).repeat(5) + bad);
});

test('CONNECT and a reset end no server', async () => {
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(server.port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    socket.write('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    if (i % 2) await once(socket, 'close');
    else socket.resetAndDestroy();
  }
});

const get = 'GET /health HTTP/1.1\r\nHost: x\r\n';
const chunked = 'POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n';

test.each([
  ['bytes that are not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['a line that is not HTTP', 'hello\r\n\r\n', 400],
  ['HTTP/2’s preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['HTTP/9.9', 'GET /health HTTP/9.9\r\nHost: x\r\n\r\n', 400],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n', 400],
  ['a header with a NUL', `${get}A: a\0b\r\n\r\n`, 400],
  ['a header name with a space', `${get}A b: c\r\n\r\n`, 400],
  ['a folded header', `${get}A: b\r\n c\r\n\r\n`, 400],
  [
    'two Content-Lengths',
    'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    400,
  ],
  [
    'a Content-Length that is text',
    'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n{}',
    400,
  ],
  ['a negative Content-Length', 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}', 400],
  [
    'a Content-Length beyond 2^64',
    `POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9${'9'.repeat(20)}\r\n\r\n{}`,
    400,
  ],
  ['Content-Length and chunks', `${chunked}Content-Length: 2\r\n\r\n0\r\n\r\n`, 400],
  [
    'two codings of transfer',
    'POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['a chunk size that is no number', `${chunked}\r\nzz\r\n{}\r\n0\r\n\r\n`, 400],
  ['a chunk longer than it says', `${chunked}\r\n1\r\n{}\r\n0\r\n\r\n`, 400],
  ['a chunk size beyond 2^64', `${chunked}\r\n${'f'.repeat(17)}\r\n{}`, 400],
  ['a chunk extension of 20 KB', `${chunked}\r\n2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`, 413],
  ['a header of 20 KB', `${get}A: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ['10,000 headers', `${get}${'A: b\r\n'.repeat(10_000)}\r\n`, 431],
  ['a path of 20 KB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ['trailers of 20 KB', `${chunked}\r\n1\r\n1\r\n0\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ['an unknown expectation', post(setosa, `${last}Expect: the-worst\r\n`), 417],
  ['TRACE', `TRACE /predict HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 405],
  ['a method in small letters', 'post /predict HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  [
    'a path that is an address elsewhere',
    `GET http://example.com/nowhere HTTP/1.1\r\nHost: x\r\n${last}\r\n`,
    404,
  ],
  ['a star for a path', `GET * HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 404],
  ['a path with a broken escape', `GET /v1/models/%zz HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 400],
  ['a path that climbs', `GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 404],
  ['a charset that is none', post(setosa, `${last}Content-Type: application/json; charset=klingon\r\n`), 415],
  ['an encoding that is none', post(setosa, `${last}Content-Encoding: zip\r\n`), 415],
  ['bytes that are not the gzip they claim', post(setosa, `${last}Content-Encoding: gzip\r\n`), 400],
])('%s is answered', async (_what, request, status) => {
  const all = await replies(server.port, Buffer.from(request, 'latin1'));
  expect(all.map((reply) => reply.status)).toEqual([status]);
});

test('An Upgrade that is not offered is not taken up', async () => {
  const upgrade = 'Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
  const all = await replies(server.port, `${get}${upgrade}\r\n`);
  expect(all).toMatchObject([{ status: 200, json: { status: 'ok' } }]);
});

test('Expect: 100-continue is met before the body is sent', async () => {
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1');
  const request = post(setosa, `${last}Expect: 100-continue\r\n`);
  socket.write(request.slice(0, -setosa.length));
  const [first] = await once(socket, 'data');
  expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  socket.write(setosa);
  const [second] = await once(socket, 'data');
  expect(second).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});

test.each([
  ['one byte at a time', (request: string) => [...request]],
  ['cut in two', (request: string) => [request.slice(0, 50), request.slice(50)]],
])('A request that comes %s is answered', async (_what, cut) => {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
  for (const part of cut(post(setosa, last)))
    await new Promise<void>((written) => socket.write(part, () => written()));
  const [reply] = await once(socket, 'data');
  expect(reply).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});

test('Chunks with extensions and trailers make a body', async () => {
  const half = setosa.length >> 1;
  const chunk = (text: string) => `${text.length.toString(16)};a=b\r\n${text}\r\n`;
  const body = `${chunk(setosa.slice(0, half))}${chunk(setosa.slice(half))}0\r\nA: b\r\n\r\n`;
  const all = await replies(server.port, `${chunked}${last}\r\n${body}`);
  expect(all.map(label)).toEqual(['setosa']);
});

test('HTTP/1.0 is answered, and the connection closed', async () => {
  const body = `Content-Length: ${setosa.length}\r\n\r\n${setosa}`;
  const [reply, ...more] = await replies(server.port, `POST /predict HTTP/1.0\r\n${body}`);
  expect(label(reply)).toBe('setosa');
  expect(more).toEqual([]);
});

test.each(['/health', '/v2', '/ping'])('HEAD %s is GET without the body', async (path) => {
  const whole = await ask(server.port, path);
  const head = await ask(server.port, path, undefined, { method: 'HEAD' });
  expect(head).toMatchObject({ status: 200, text: '' });
  expect(head.headers['content-length']).toBe(String(whole.text.length));
});

test.each([
  ['HEAD', '/invocations', 405],
  ['HEAD', '/predict', 200],
  ['HEAD', '/nowhere', 404],
])('%s %s is %i without a body, and the connection goes on', async (method, path, status) => {
  const request = `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const received = await exchange(server.port, `${request}${get}${last}\r\n`);
  const [head, rest] = received.split(/\r\n\r\n(?=HTTP)/);
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(repliesIn(rest)).toMatchObject([{ status: 200 }]);
});

test.each([
  ['/predict', ['GET', 'HEAD', 'OPTIONS', 'POST']],
  ['/health', ['GET', 'HEAD', 'OPTIONS']],
])('OPTIONS %s says what is allowed', async (path, allowed) => {
  const reply = await ask(server.port, path, undefined, { method: 'OPTIONS' });
  expect(reply.status).toBe(200);
  expect(reply.headers.allow?.split(', ').sort()).toEqual(allowed);
});

test('OPTIONS * is about the server', async () => {
  const [reply] = await replies(server.port, `OPTIONS * HTTP/1.1\r\nHost: x\r\n${last}\r\n`);
  const allow = 'GET, HEAD, POST, PUT, OPTIONS';
  expect(reply).toMatchObject({ status: 200, json: { allow } });
});

test.each(['DELETE', 'PUT', 'PATCH', 'PROPFIND'])(
  '%s /predict is a 405 that says what is allowed',
  async (method) => {
    const reply = await ask(server.port, '/predict', undefined, { method });
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toContain('POST');
    expect(reply.body.error).toContain('Try ');
  },
);

const zeros = Buffer.from(`[${'0,'.repeat(50_000_000)}0]`);

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', (bytes: Buffer) => brotliCompressSync(bytes, { params: { 1: 1 } })],
])('A %s bomb of 100 MB is a 413 that names the limit', async (encoding, compress) => {
  const bomb = compress(zeros);
  expect(bomb.length).toBeLessThan(1_000_000);
  const head = `POST /predict HTTP/1.1\r\nHost: x\r\n${last}Content-Encoding: ${encoding}\r\nContent-Length: ${bomb.length}\r\n\r\n`;
  const all = await replies(server.port, head, bomb);
  expect(all).toMatchObject([{ status: 413, json: { error: expect.stringContaining('BODY_LIMIT') } }]);
});

test('A body that is announced too large is a 413 at once, and may still be sent', async () => {
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1');
  socket.write(post(zeros.toString(), '').slice(0, 200));
  const [reply] = await once(socket, 'data');
  expect(reply).toMatch(/^HTTP\/1.1 413 [\s\S]*BODY_LIMIT[\s\S]*b64/);
  socket.write(zeros.subarray(200));
  socket.destroy();
});

test('A gzip body within the limit is answered', async () => {
  const body = gzipSync(setosa);
  const head = `POST /predict HTTP/1.1\r\nHost: x\r\n${last}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`;
  expect((await replies(server.port, head, body)).map(label)).toEqual(['setosa']);
});

test('A body over the limit that is sent whole still gets its 413', async () => {
  const request = http.request({ port: server.port, host: '127.0.0.1', path: '/predict', method: 'POST' });
  request.on('error', () => {});
  const response = once(request, 'response');
  request.end(zeros.subarray(0, 12_000_000));
  const [{ statusCode }] = await response;
  expect(statusCode).toBe(413);
});

test('Idle connections are kept for 95 seconds', async () => {
  const reply = await ask(server.port, '/health', undefined, { agent: new http.Agent({ keepAlive: true }) });
  expect(reply.headers['keep-alive']).toBe('timeout=95');
});
