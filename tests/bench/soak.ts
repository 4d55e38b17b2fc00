import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { ask, startServer } from '../process';
import { modelPath } from '../serve';
import { megabytes, processTree } from './process-tree';
import { bundledModel } from './scenarios';

// Ordinary and hostile clients together, and workers that are killed: node dist/tests/bench/soak.js [minutes]

const ordinaryClients = 16;
const hostileClients = 4;
const distinctRows = 256;
/** Seconds between kills of a worker; for so many after one, connections may break. */
const killsEvery = 45;
const killCosts = 3;

const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

/** What hostile clients do, each over a connection of its own. */
const attacks: Record<string, (port: number) => Promise<unknown>> = {
  'CONNECT and reset': (port) => raw(port, ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'], 5, true),
  'no HTTP': (port) => raw(port, ['\x16\x03\x01\0\xff\r\n\r\n'], 100),
  'headers, slowly': (port) => raw(port, ['POST /predict HTTP/1.1\r\n', 'Host: x\r\n', 'A: b\r\n'], 500),
  'much announced, nothing sent': (port) => raw(port, [head('/predict', 10_000_000)], 2000),
  'half a body': (port) => raw(port, [head('/predict', 1000), '{"sepal_length":'], 500),
  'pipelined, and gone': (port) => {
    const body = '{"n":20000}';
    return raw(port, [(head('/predict/slow-single', body.length) + body).repeat(5)], 50, true);
  },
  'a large reply, not read': (port) => {
    const body = JSON.stringify({ b64: Buffer.alloc(4_000_000).toString('base64'), shape: [500_000, 2] });
    return raw(port, [head('/predict/identity-float32', body.length) + body], 3000);
  },
  'deep nesting': (port) => send(port, '['.repeat(5_000_000)),
  'many empty rows': (port) => send(port, `{"instances":[${'[],'.repeat(500_000)}[]]}`),
  'many unknown keys': (port) =>
    send(port, `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join()}}`),
  'a gzip bomb': (port) =>
    send(port, gzipSync(Buffer.alloc(100_000_000, ' ')), { 'Content-Encoding': 'gzip' }),
  'no gzip': (port) => send(port, 'x'.repeat(1000), { 'Content-Encoding': 'gzip' }),
  'one output many times': (port) => {
    const outputs = Array.from({ length: 20_000 }, () => ({ name: 'y' }));
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
    return send(port, JSON.stringify({ inputs, outputs }), {}, '/v2/models/identity-float32/infer');
  },
  'numbers beyond all': (port) => send(port, `{"instances":[[1e999,${'9'.repeat(100_000)}]]}`),
  'a large body of text': (port) => send(port, JSON.stringify('a'.repeat(9_000_000))),
  'odd paths': (port) => send(port, '{}', {}, `/predict/${Math.random()}`),
};

async function main(minutes: number): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-soak-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  // By name, the bundled one is the first.
  copyFileSync(bundledModel, path.join(folder, 'flowers.onnx'));
  for (const name of ['identity-float32', 'slow-single']) {
    copyFileSync(modelPath(name), path.join(folder, `${name}.onnx`));
  }
  const server = await startServer(folder, { WEB_CONCURRENCY: '2', LOG_FORMAT: 'off', TIMEOUT: '20' });
  const { port } = server;
  const pid = server.child.pid as number;

  const rows = Array.from({ length: distinctRows }, randomRow);
  const expected: unknown[] = [];
  for (const row of rows) expected.push((await ask(port, '/predict', row)).body);

  const count = { right: 0, wrong: 0, busy: 0, lost: 0, killed: 0, attacks: 0, kills: 0 };
  const examples: string[] = [];
  const healths: number[] = [];
  let healthFailed = 0;
  let lastKill = Number.NEGATIVE_INFINITY;
  const wasKilled = () => performance.now() - lastKill < killCosts * 1000;
  const end = performance.now() + minutes * 60_000;
  const untilEnd = async (act: () => Promise<void>) => {
    while (performance.now() < end) await act();
  };

  const ordinary = async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await untilEnd(async () => {
      const row = Math.floor(Math.random() * rows.length);
      const reply = await ask(port, '/predict', rows[row], { agent }).catch((error: Error) => error);
      if (reply instanceof Error) {
        if (wasKilled()) count.killed++;
        else count.lost++;
        if (!wasKilled()) examples.push(`lost: ${reply.message}`);
      } else if (reply.status === 503) {
        count.busy++;
        await wait(50);
      } else if (reply.status === 200 && agree(reply.body, expected[row])) count.right++;
      else {
        count.wrong++;
        examples.push(`wrong: ${reply.status} ${reply.text.slice(0, 200)}`);
      }
      // Some load, but not all of the machine's.
      await wait(5);
    });
    agent.destroy();
  };
  const hostile = () =>
    untilEnd(async () => {
      const names = Object.keys(attacks);
      await attacks[names[Math.floor(Math.random() * names.length)]](port).catch(() => {});
      count.attacks++;
    });
  const health = () =>
    untilEnd(async () => {
      const start = performance.now();
      const reply = await ask(port, '/health', undefined, { agent: false }).catch((): undefined => undefined);
      if (reply?.status === 200) healths.push(performance.now() - start);
      else if (!wasKilled()) healthFailed++;
      await wait(50);
    });
  const killer = async () => {
    for (;;) {
      await wait(Math.min(killsEvery * 1000, Math.max(0, end - performance.now())));
      if (performance.now() >= end) return;
      const [, ...workers] = processTree(pid);
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim === undefined) continue;
      lastKill = performance.now();
      process.kill(victim, 'SIGKILL');
      count.kills++;
    }
  };
  const memory: number[] = [];
  const watch = async () => {
    while (performance.now() < end) {
      await wait(Math.min(30_000, Math.max(0, end - performance.now())));
      memory.push(megabytes(processTree(pid)));
      console.log(`${memory.at(-1)?.toFixed(0)} MB`, JSON.stringify(count));
    }
  };

  await Promise.all([
    ...Array.from({ length: ordinaryClients }, ordinary),
    ...Array.from({ length: hostileClients }, hostile),
    health(),
    killer(),
    watch(),
  ]);
  server.child.kill('SIGTERM');
  const { code } = await server.exited;

  healths.sort((one, other) => one - other);
  const at = (part: number) =>
    healths[Math.min(healths.length - 1, Math.floor(healths.length * part))]?.toFixed(1);
  console.log(`${minutes} minutes, ${count.attacks} attacks, ${count.kills} workers killed`);
  console.log(
    `${count.right} answered rightly, ${count.wrong} wrongly, ${count.busy} told to come again (503)`,
  );
  console.log(`${count.lost} lost, ${count.killed} broken within ${killCosts} s of a kill`);
  console.log(
    `health: median ${at(0.5)} ms, 99th percentile ${at(0.99)}, longest ${at(1)}, ${healthFailed} failed`,
  );
  console.log(`memory: ${memory[0]?.toFixed(0)} MB at first, ${memory.at(-1)?.toFixed(0)} MB at the end`);
  console.log(`exit code after SIGTERM: ${code}`);
  for (const line of examples.slice(0, 10)) console.error(line);
  if (count.wrong + count.lost + healthFailed > 0 || code !== 0) process.exitCode = 1;
}

function head(url: string, length: number): string {
  return `POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
}

/** Writes parts, with a pause after each, and leaves without reading: by a reset, or ending properly. */
async function raw(port: number, parts: string[], pause: number, isReset = false): Promise<void> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  for (const part of parts) {
    socket.write(part, 'latin1');
    await wait(pause);
  }
  if (isReset) socket.resetAndDestroy();
  else socket.destroy();
}

/** Sends a whole request over a connection of its own, and reads the reply. */
async function send(
  port: number,
  body: string | Buffer,
  headers: http.OutgoingHttpHeaders = {},
  url = '/predict',
): Promise<void> {
  const request = http.request({ port, host: '127.0.0.1', path: url, method: 'POST', agent: false, headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  for await (const _chunk of response);
}

/** Equal, but for a millionth: runs of one row and of several round probabilities in other places. */
function agree(one: unknown, other: unknown): boolean {
  if (typeof one === 'number' && typeof other === 'number') {
    return Math.abs(one - other) <= 1e-6 * Math.max(1, Math.abs(one), Math.abs(other));
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return one === other;
  const keys = Object.keys(other);
  return (
    Object.keys(one).length === keys.length &&
    keys.every((key) => agree(Reflect.get(one, key), Reflect.get(other, key)))
  );
}

/** A flower with lengths and widths in the range of the Iris measurements, in cm. */
function randomRow(): Record<string, number> {
  return Object.fromEntries(
    Object.entries(flower).map(([name, value]) => [name, Number((value * (0.5 + Math.random())).toFixed(1))]),
  );
}

main(Number(process.argv[2] ?? 30)).catch((error) => {
  console.error(error);
  process.exit(1);
});
