import { once } from 'node:events';
import net from 'node:net';
import {
  ask,
  killServers,
  launch,
  oneConnection,
  type ServerProcess,
  startLoad,
  startServer,
  until,
} from './process';
import { modelPath } from './serve';

/** A server that cannot end well, which takes it 25 s to find. */
let stuck: Promise<ServerProcess>;

beforeAll(() => {
  stuck = (async () => {
    const server = await startServer('single', { TIMEOUT: '1000' });
    await startRequest(server.port, halfBody);
    server.child.kill('SIGTERM');
    return server;
  })();
});

afterAll(killServers);

/** Whether a new connection is refused. */
async function refuses(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  const refused = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
  });
  socket.destroy();
  return refused;
}

const stop = (signal: NodeJS.Signals) => (server: ServerProcess) => void server.child.kill(signal);
const stopGroup = (signal: NodeJS.Signals) => (server: ServerProcess) =>
  void process.kill(-(server.child.pid as number), signal);

/** A signal, and once new connections are refused, another. */
const stopTwice = (first: NodeJS.Signals, second: NodeJS.Signals) => async (server: ServerProcess) => {
  server.child.kill(first);
  await until(() => refuses(server.port));
  server.child.kill(second);
};

test.each([
  ['SIGTERM', stop('SIGTERM'), 1],
  ['SIGINT', stop('SIGINT'), 1],
  ['SIGTERM twice', stopTwice('SIGTERM', 'SIGTERM'), 1],
  ['SIGTERM and SIGINT', stopTwice('SIGTERM', 'SIGINT'), 1],
  ['SIGTERM to the group', stopGroup('SIGTERM'), 1],
  ['SIGTERM to the primary of two workers', stop('SIGTERM'), 2],
  ['SIGINT to the group of two workers', stopGroup('SIGINT'), 2],
])('%s under load loses no request and ends with exit code 0', async (_what, signal, processes) => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: String(processes), LOG_FORMAT: 'off' });
  const { port } = server;
  const [slow, idle] = [oneConnection(), oneConnection()];
  for (const agent of [slow, idle]) await ask(port, '/health', undefined, { agent });

  const load = startLoad(8, async (agent, n) => {
    const reply = await ask(port, '/predict', { n: n % 50 }, { agent });
    // Each gets the answer to its own question.
    expect(reply.body).toEqual({ prediction: n % 50, y: 256 });
    return reply;
  });
  await until(() => load.answered.length > 100);
  const order: string[] = [];
  const slowReply = ask(port, '/predict', { n: 6000 }, { agent: slow });
  void slowReply.then(() => order.push('slow run answered'));

  await signal(server);
  await until(() => refuses(port));
  order.push('new connections refused');
  const health = await ask(port, '/health', undefined, { agent: idle });
  expect(health).toMatchObject({ status: 503, body: { error: expect.stringContaining('shutting down') } });
  expect(health.headers).toMatchObject({ connection: 'close', 'retry-after': expect.any(String) });

  const reply = await slowReply;
  expect(reply).toMatchObject({ status: 200, body: { prediction: 6000, y: 256 } });
  expect(reply.headers.connection).toBe('close');
  expect(order).toEqual(['new connections refused', 'slow run answered']);
  await load.ended;
  // A new connection that is reset was never accepted.
  expect(load.lost.filter(({ reused }) => reused)).toEqual([]);
  expect(load.refused).toBe(8);
  expect(load.answered.every(({ status }) => status === 200)).toBe(true);
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(server.stderr()).toBe('');
});

const binary = JSON.stringify({
  inputs: [{ name: 'n', datatype: 'INT64', shape: [1], data: [1] }],
  parameters: { binary_data_output: true },
});

test.each([
  ['POST', '/predict', '{"n":1}', 200],
  ['POST', '/predict', '{"n":', 400],
  ['POST', '/v2/models/slow-single/infer', binary, 200],
  ['GET', '/v2', undefined, 200],
  ['GET', '/ping', undefined, 503],
  ['GET', '/v2/health/ready', undefined, 503],
  ['GET', '/nowhere', undefined, 404],
  ['OPTIONS', '/predict', undefined, 200],
  ['HEAD', '/v2', undefined, 200],
])(
  '%s %s (%s) on an open connection after the signal is a %i with Connection: close',
  async (method, path, body, status) => {
    const server = await startServer('slow-single');
    const agent = oneConnection();
    await ask(server.port, '/health', undefined, { agent });
    server.child.kill('SIGTERM');
    await until(() => refuses(server.port));
    const reply = await ask(server.port, path, body, { agent, method });
    expect(reply.status).toBe(status);
    expect(reply.headers.connection).toBe('close');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  },
);

test('A preflight on an open connection after the signal is answered with Connection: close', async () => {
  const server = await startServer('single', { CORS_ORIGIN: '*' });
  const agent = oneConnection();
  await ask(server.port, '/health', undefined, { agent });
  server.child.kill('SIGTERM');
  await until(() => refuses(server.port));
  const reply = await ask(server.port, '/predict', undefined, { agent, method: 'OPTIONS' });
  expect([reply.status, reply.headers.connection]).toEqual([204, 'close']);
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('Requests that come one after another on open connections after the signal are answered', async () => {
  const server = await startServer('single');
  const agents = Array.from({ length: 100 }, oneConnection);
  for (const agent of agents) await ask(server.port, '/health', undefined, { agent });
  server.child.kill('SIGTERM');
  await until(() => refuses(server.port));
  for (const agent of agents) {
    expect((await ask(server.port, '/predict', { x: [1, 2, 3] }, { agent })).status).toBe(200);
  }
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('Connections that ask for nothing do not hold a shutdown', async () => {
  const server = await startServer('single');
  const sockets = Array.from({ length: 20 }, () =>
    net.connect(server.port, '127.0.0.1').on('error', () => {}),
  );
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  server.child.kill('SIGTERM');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  for (const socket of sockets) socket.destroy();
});

/** A connection on which a request stops half way. */
async function startRequest(port: number, part: string): Promise<net.Socket> {
  const socket = net
    .connect(port, '127.0.0.1')
    .setEncoding('latin1')
    .on('error', () => {});
  await new Promise<void>((written) => socket.write(part, () => written()));
  await ask(port, '/health');
  return socket;
}

const halfHeaders = 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-';
const halfBody = `${halfHeaders}Length: 100\r\n\r\n{"x":`;

test.each([
  ['Half-sent headers', halfHeaders],
  ['A half-sent body', halfBody],
])('%s hold a shutdown for TIMEOUT and no longer, and get a 408', async (_what, part) => {
  const server = await startServer('single', { TIMEOUT: '2' });
  const socket = await startRequest(server.port, part);
  server.child.kill('SIGTERM');
  const [reply] = await once(socket, 'data');
  expect(reply).toMatch(/^HTTP\/1.1 408 /);
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('A body whose other half comes after the signal is answered', async () => {
  const server = await startServer('single');
  const socket = await startRequest(server.port, `${halfHeaders}Length: 13\r\n\r\n{"x":[`);
  server.child.kill('SIGTERM');
  await until(() => refuses(server.port));
  socket.write('1,2,3]}');
  const [reply] = await once(socket, 'data');
  expect(reply).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\nConnection: close\r\n/);
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('A run that takes more than twice TIMEOUT does not hold a shutdown: the process kills itself', async () => {
  const server = await startServer('slow-single', { TIMEOUT: '1' });
  const agent = oneConnection();
  await ask(server.port, '/health', undefined, { agent });
  const reply = ask(server.port, '/predict', { n: 100_000_000 }, { agent });
  server.child.kill('SIGTERM');
  expect((await reply).status).toBe(504);
  // Nothing else ends a process during a run.
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(server.stderr()).toMatch(/^a run of slow-single takes more than twice TIMEOUT, 1 s[^\n]*\n$/);
});

test('A request that never ends holds a shutdown for 25 s at most; then the exit code is 1', async () => {
  expect(await (await stuck).exited).toEqual({ code: 1, signal: null });
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'])(
  '%s as the server begins to listen ends with exit code 0',
  async (signal) => {
    const listening = `process.kill(process.pid, '${signal}')`;
    const script = `import net from 'node:net';
    const { listen } = net.Server.prototype;
    net.Server.prototype.listen = function (...args) {
      return listen.apply(this.once('listening', () => ${listening}), args);
    };`;
    const child = launch([modelPath('single')], {
      NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(script)}"`,
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);
