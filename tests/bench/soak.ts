import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { bundledModel, serverScript } from './scenarios.js';
import { post, startServer } from './server-process.js';

const clients = 64;
const distinctRows = 512;
const samples = 20;

/** Serves the bundled model for so many requests, and says whether each reply was right. */
async function main(requests: number): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-soak-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const command = () => [process.execPath, serverScript, bundledModel];
  const log = path.join(folder, 'server.log');
  const server = await startServer({ command }, JSON.stringify(makeRow()), log);
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });

  const rows: Row[] = [];
  const alone: Reply[] = [];
  for (let tries = 0; rows.length < distinctRows; tries++) {
    if (tries > 10 * distinctRows) throw new Error(`${rows.length} replies that tell rows apart`);
    const row = makeRow();
    const { status, text } = await post(server.port, JSON.stringify(row), agent);
    if (status !== 200) throw new Error(`${status} ${text}`);
    const reply = JSON.parse(text);
    if (alone.some((other) => agree(other, reply))) continue;
    rows.push(row);
    alone.push(reply);
  }

  const wrong: string[] = [];
  const memory: number[] = [];
  let sent = 0;
  let answered = 0;
  const client = async () => {
    while (sent++ < requests) {
      const picked = Array.from({ length: pickSize() }, () => pick(distinctRows));
      const bare = picked.length === 1;
      const body = picked.map((i) => rows[i]);
      const reply = await post(server.port, JSON.stringify(bare ? body[0] : body), agent).catch((error) => ({
        status: 0,
        text: String(error),
      }));
      const expected = picked.map((i) => alone[i] as Reply);
      const right =
        reply.status === 200 && agree(JSON.parse(reply.text), bare ? expected[0] : together(expected));
      if (!right) wrong.push(`${reply.status} for rows ${picked}: ${reply.text.slice(0, 200)}`);
      answered++;
      if (answered % Math.ceil(requests / samples) === 0) {
        memory.push(server.memory());
        console.log(`${answered} requests, ${memory.at(-1)?.toFixed(1)} MB`);
      }
    }
  };

  const health = `http://127.0.0.1:${server.port}/health`;
  const probe = new Worker(path.join(__dirname, 'health-probe.js'), { workerData: health });
  const start = performance.now();
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - start) / 1000;
  probe.postMessage('stop');
  const [{ milliseconds, failed }] = await once(probe, 'message');
  await server.stop();

  milliseconds.sort((a: number, b: number) => a - b);
  const p99 = milliseconds[Math.floor(milliseconds.length * 0.99)];
  console.log(`${requests} requests of 1 to 200 rows from ${clients} clients, ${wrong.length} wrong`);
  console.log(`${Math.round(requests / seconds)} requests/s`);
  const [first, last] = [memory[0], memory.at(-1)].map((size) => `${size?.toFixed(1)} MB`);
  console.log(`resident: ${first} after ${100 / samples} % of the requests, ${last} at the end`);
  console.log(`GET /health: p99 ${p99.toFixed(1)} ms of ${milliseconds.length}, ${failed} failed`);
  for (const line of wrong.slice(0, 10)) console.error(line);
  if (wrong.length > 0 || failed > 0) process.exitCode = 1;
}

type Row = Record<string, number>;
type Reply = Record<string, unknown>;

/** The reply to several rows at once, by the contract: `predictions`, other outputs in arrays. */
function together(replies: Reply[]): Reply {
  const names = Object.keys(replies[0] ?? {});
  const columns = names.map((name) => [
    name === 'prediction' ? 'predictions' : name,
    replies.map((reply) => reply[name]),
  ]);
  return Object.fromEntries(columns);
}

/** Equal, but for one millionth of 1 or of the larger of two numbers. */
function agree(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    // Between runs of one row and of several, onnxruntime 1.30 moves a probability by up to 2e-7,
    // which is more than a millionth of the tiny ones.
    return Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a), Math.abs(b));
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return (
    left.length === right.length &&
    left.every(([key, value]) => agree(value, (b as Record<string, unknown>)[key]))
  );
}

// Lengths and widths in the range of the Iris measurements, in cm.
function makeRow(): Row {
  const between = (least: number, most: number) => least + (pick(1000) / 1000) * (most - least);
  return {
    sepal_length: between(4.3, 7.9),
    sepal_width: between(2, 4.4),
    petal_length: between(1, 6.9),
    petal_width: between(0.1, 2.5),
  };
}

function pickSize(): number {
  const dice = pick(100);
  if (dice < 80) return 1;
  return dice < 98 ? 2 + pick(19) : 20 + pick(181);
}

let seed = 1;

/** A whole number below `limit`, the same ones in each run. */
function pick(limit: number): number {
  // The constants of Numerical Recipes' linear congruential generator; its high bits are random.
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
}

main(Number(process.argv[2] ?? process.env.SOAK_REQUESTS ?? 500_000)).catch((error) => {
  console.error(error);
  process.exit(1);
});
