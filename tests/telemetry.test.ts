import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, killServers, startServer, until } from './process';

const folder = mkdtempSync(join(tmpdir(), 'telemetry-'));

afterEach(killServers);
afterAll(() => rmSync(folder, { recursive: true }));

/** Whether system calls can be watched here: some containers forbid it. */
const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0;

/** An address to connect or send to, of a resolver too: a server needs none at all. */
const reachesOut = /\b(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=/;

// The runtime reports neither in CI services nor with its variable set: `startServer` hands over no such variable.
test.each<[string, string, unknown, unknown, NodeJS.ProcessEnv]>([
  ['the main thread', 'single', { x: [1, 2, 3] }, { prediction: [2, 4, 6] }, {}],
  ['an inference thread', 'slow-single', { n: 3 }, { prediction: 3, y: 256 }, {}],
  ['two workers', 'slow-single', { n: 3 }, { prediction: 3, y: 256 }, { WEB_CONCURRENCY: '2' }],
])('Nothing is reported and no file is left from %s', async (where, model, body, answer, env) => {
  const home = join(folder, where);
  const cache = join(home, 'cache');
  mkdirSync(cache, { recursive: true });
  const trace = join(folder, `${where}.txt`);
  const script = canTrace ? `exec strace -f -qq -e trace=network -o '${trace}' "$@"` : undefined;
  const LOG_FORMAT = 'served by :pid';
  const server = await startServer(
    model,
    { HOME: home, XDG_CACHE_HOME: cache, LOG_FORMAT, ...env },
    { script },
  );
  const pids = () => new Set(server.stdout().match(/^served by \d+$/gm)).size;
  await until(async () => {
    // A new connection each, so that every worker gets some.
    expect((await ask(server.port, '/predict', body, { agent: false })).body).toEqual(answer);
    // Errors were reported as well.
    expect((await ask(server.port, '/predict', { x: 'wrong' }, { agent: false })).status).toBe(400);
    return pids() === Number(env.WEB_CONCURRENCY ?? 1);
  });
  // To the group: strace hands nothing on.
  process.kill(-(server.child.pid as number), 'SIGTERM');
  expect((await server.exited).code).toBe(0);
  expect(server.stderr()).toBe('');
  expect(readdirSync(home, { recursive: true })).toEqual(['cache']);
  if (!canTrace) return;
  const calls = readFileSync(trace, 'utf8').split('\n');
  expect(calls.some((call) => /\blisten\(/.test(call))).toBe(true);
  expect(calls.filter((call) => reachesOut.test(call))).toEqual([]);
});
