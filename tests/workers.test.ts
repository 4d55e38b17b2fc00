import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import {
  ask,
  freePort,
  killServers,
  launch,
  launchAndEnd,
  type ServerProcess,
  startLoad,
  startServer,
  until,
} from './process';
import { modelPath, root } from './serve';

afterEach(killServers);

/** One line a request: which process answered what. */
const LOG_FORMAT = 'served :pid :status :id';

/** The processes that have served, and the ids of what each did, in order. */
function servedBy(server: ServerProcess): Map<number, string[]> {
  const served = new Map<number, string[]>();
  for (const [, pid, id] of server.stdout().matchAll(/^served (\d+) \d+ (.*)$/gm))
    served.set(Number(pid), [...(served.get(Number(pid)) ?? []), id]);
  return served;
}

/** Clients that each keep a connection, and so a worker; a request's id tells whose it is. */
function startClients(port: number, clients: number) {
  return startLoad(clients, (agent, n, client) => askAs(port, `${client}/${n}`, n % 20, agent));
}

async function askAs(port: number, id: string, n: number, agent: http.Agent | false) {
  const reply = await ask(port, '/predict', { n }, { agent, headers: { 'X-Request-Id': id } });
  // Each gets the answer to its own question.
  expect(reply.body).toEqual({ prediction: n, y: 256 });
  return reply;
}

/** Asks over new connections until so many of the processes that have served are alive. */
async function untilServing(server: ServerProcess, count: number): Promise<void> {
  await until(async () => {
    await askAs(server.port, 'newcomer', 1, false).catch(() => {});
    return [...servedBy(server).keys()].filter(isAlive).length === count;
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.each([2, 3, 4])(
  'WEB_CONCURRENCY=%i serves from so many processes on one port, with one boot log',
  async (count) => {
    const server = await startServer('slow-single', { WEB_CONCURRENCY: String(count), LOG_FORMAT });
    await untilServing(server, count);
    expect(servedBy(server).has(server.child.pid as number)).toBe(false);
    expect(server.stdout().match(/^Try: /gm)).toHaveLength(1);
    expect(server.stderr()).toBe('');
  },
);

test('A worker that is killed under load costs only what it held, and is replaced', async () => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: '4', LOG_FORMAT });
  await untilServing(server, 4);
  const load = startClients(server.port, 12);
  for (let round = 1; round <= 2; round++) {
    await untilServing(server, 4);
    await until(() => load.answered.length > 100 * round);
    const [victim] = [...servedBy(server).keys()].filter(isAlive);
    const lostBefore = load.lost.length;
    process.kill(victim, 'SIGKILL');
    await until(() => !isAlive(victim));
    await untilServing(server, 4);
    expect(servedBy(server).size).toBe(4 + round);
    const clients = load.lost.slice(lostBefore).map(({ client }) => client);
    // Each of its clients had one request under way at most, and the other workers' clients saw nothing.
    expect(new Set(clients).size).toBe(clients.length);
    const victims = new Set(
      servedBy(server)
        .get(victim)
        ?.map((id) => Number(id.split('/')[0])),
    );
    for (const client of clients) expect(victims).toContain(client);
    expect(server.stderr().match(new RegExp(`\\b${victim}\\b`, 'g'))).toHaveLength(1);
  }
  await load.stop();
  expect(load.refused).toBe(0);
  expect(server.stdout().match(/^Try: /gm)).toHaveLength(1);
});

test('All workers killed at once are replaced, again and again', async () => {
  const env = { WEB_CONCURRENCY: '2', LOG_FORMAT, PORT: String(await freePort()) };
  const server = await startServer('slow-single', env);
  for (let round = 0; round < 3; round++) {
    await untilServing(server, 2);
    for (const pid of [...servedBy(server).keys()].filter(isAlive)) process.kill(pid, 'SIGKILL');
    await until(() => ![...servedBy(server).keys()].some(isAlive));
  }
  await untilServing(server, 2);
  // They ask the primary for the metrics, and die before it asks them.
  server.child.kill('SIGSTOP');
  const scrape = ask(server.port, '/metrics').catch(() => {});
  await wait(500);
  for (const pid of [...servedBy(server).keys()].filter(isAlive)) process.kill(pid, 'SIGKILL');
  await wait(500);
  server.child.kill('SIGCONT');
  await scrape;
  await until(() => server.stderr().match(/died/g)?.length === 8);
  await untilServing(server, 2);
  expect(server.child.exitCode).toBe(null);
});

test('A worker that is stopped by SIGTERM loses nothing, and is replaced', async () => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: '2', LOG_FORMAT });
  await untilServing(server, 2);
  const load = startClients(server.port, 8);
  await until(() => load.answered.length > 50);
  const [victim] = servedBy(server).keys();
  process.kill(victim, 'SIGTERM');
  await until(() => !isAlive(victim));
  await untilServing(server, 2);
  await load.stop();
  expect(load).toMatchObject({ lost: [], refused: 0 });
});

test('A request that kills its worker is the only one to fail', async () => {
  const server = await startServer('divide', { WEB_CONCURRENCY: '2', LOG_FORMAT });
  await untilServing(server, 2);
  // The quotient is one too many for an int32, which is a signal on x64.
  const broken = ask(server.port, '/predict', { a: -2147483648, b: -1 });
  if (process.arch === 'x64') await expect(broken).rejects.toThrow('hang up');
  for (let i = 0; i < 8; i++)
    expect((await ask(server.port, '/predict', { a: 9, b: 3 })).body).toEqual({ prediction: 3 });
});

test.each([
  ['SIGTERM to the primary', (server: ServerProcess) => server.child.kill('SIGTERM')],
  ['SIGINT to the group', (server: ServerProcess) => process.kill(-(server.child.pid as number), 'SIGINT')],
  [
    'SIGTERM to the group, twice',
    (server: ServerProcess) => {
      for (let i = 0; i < 2; i++) process.kill(-(server.child.pid as number), 'SIGTERM');
    },
  ],
])('%s ends every worker, with exit code 0 and none replaced', async (_what, signal) => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: '3', LOG_FORMAT });
  await untilServing(server, 3);
  const load = startClients(server.port, 9);
  await until(() => load.answered.length > 50);
  signal(server);
  await load.ended;
  // A new connection that is reset was never accepted.
  expect(load.lost.filter(({ reused }) => reused)).toEqual([]);
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect([...servedBy(server).keys()].filter(isAlive)).toEqual([]);
  expect(servedBy(server).size).toBe(3);
  expect(server.stderr()).toBe('');
  expect(server.stdout().match(/^SIG(TERM|INT): /gm)).toHaveLength(1);
});

test('A primary that is killed takes its workers along', async () => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: '2', LOG_FORMAT });
  await untilServing(server, 2);
  const workers = [...servedBy(server).keys()];
  server.child.kill('SIGKILL');
  await until(() => !workers.some(isAlive));
});

test.each([
  ['is missing', 'no/such.onnx', 'no/such.onnx'],
  ['has an unknown operator', modelPath('unknown-op'), 'Magic'],
])('A model that %s ends all workers with one line and exit code 1', async (_what, model, named) => {
  for (const count of ['2', '4']) {
    const { stdout, stderr, code } = await launchAndEnd([model], { WEB_CONCURRENCY: count });
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toContain(named);
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  }
});

test('A primary that is killed takes along workers whose run does not end', async () => {
  const server = await startServer('slow-single', { WEB_CONCURRENCY: '2', TIMEOUT: '60', LOG_FORMAT });
  await untilServing(server, 2);
  const pids = [...servedBy(server).keys()];
  void ask(server.port, '/predict', { n: 100_000_000 }).catch(() => {});
  void ask(server.port, '/predict', { n: 100_000_000 }).catch(() => {});
  await wait(500);
  server.child.kill('SIGKILL');
  await until(() => pids.every((pid) => !isAlive(pid)));
});

test('A taken port ends all workers with one line and exit code 1', async () => {
  const { port } = await startServer('single');
  const env = { PORT: String(port), WEB_CONCURRENCY: '2' };
  const { stdout, stderr, code } = await launchAndEnd([modelPath('single')], env);
  expect(stderr).toMatch(new RegExp(`^[^\\n]*port ${port}[^\\n]*\\n$`));
  expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
});

test('A model that crashes its worker at boot ends the whole with exit code 1', async () => {
  const { stdout, stderr, code } = await launchAndEnd([modelPath('crash')], { WEB_CONCURRENCY: '4' });
  expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  expect(stderr).toMatch(/die|crash/);
  // Few tries, not a loop.
  expect(stderr.split('\n').length).toBeLessThan(10);
});

describe('under a cluster primary that is not ours', () => {
  const folder = mkdtempSync(join(tmpdir(), 'primary-'));
  // As pm2 does, it forks the server, listens to nothing that a worker says, and sends what is no message of ours.
  const primary = join(folder, 'primary.js');
  writeFileSync(
    primary,
    `const cluster = require('node:cluster');
    cluster.setupPrimary({ exec: ${JSON.stringify(join(root, 'dist', 'app.js'))}, args: process.argv.slice(2) });
    for (let i = 0; i < 2; i++) {
      const worker = cluster.fork();
      setInterval(() => worker.isConnected() && worker.send(null, () => {}), 20);
    }
    cluster.on('exit', () => Object.keys(cluster.workers).length || process.exit());
    process.on('SIGTERM', () => Object.values(cluster.workers).forEach((worker) => worker.process.kill('SIGTERM')));`,
  );
  afterAll(() => rmSync(folder, { recursive: true }));

  test('it logs, answers, tells its own figures and ends as alone', async () => {
    const server = await startServer('single', { PORT: String(await freePort()) }, { app: primary });
    await until(() => server.stdout().match(/^Try: /gm)?.length === 2);
    expect(server.stdout().match(/^Loading /gm)).toHaveLength(2);
    for (let i = 0; i < 10; i++) {
      const { status, text } = await ask(server.port, '/metrics', undefined, { agent: false });
      expect(status).toBe(200);
      expect(text).toMatch(/^http_requests_in_flight 1$/m);
    }
    await wait(100);
    expect((await ask(server.port, '/predict', { x: [1, 2, 3] })).body).toEqual({ prediction: [2, 4, 6] });
    server.child.kill('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stdout().match(/^SIGTERM: /gm)).toHaveLength(2);
    expect(server.stderr()).toBe('');
  });

  test('it says why it cannot boot', async () => {
    const child = launch(['no/such.onnx'], {}, { app: primary });
    expect(await text(child.stderr as NodeJS.ReadableStream)).toMatch(/^(no\/such\.onnx: [^\n]*\n){2}$/);
  });
});

test.each(['1', '2'])('SIGHUP ends as SIGTERM does (WEB_CONCURRENCY=%s)', async (processes) => {
  const server = await startServer('single', { WEB_CONCURRENCY: processes });
  server.child.kill('SIGHUP');
  expect(await server.exited).toEqual({ code: 0, signal: null });
  expect(server.stdout()).toMatch(/^SIGHUP: [^\n]*\n$/m);
});
