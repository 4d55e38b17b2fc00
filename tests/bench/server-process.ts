import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Request } from './load.js';
import { isRunning, startGroup, stopGroup } from './process-group.js';
import { cpuSeconds, megabytes, processTree } from './process-tree.js';

export interface ServerCommand {
  command: (port: number) => string[];
  cwd?: string;
  env?: Record<string, string>;
}

export interface ServerProcess {
  port: number;
  /** Milliseconds from the start of the process to its first 200. */
  firstAnswer: number;
  /** CPU time of the process and its children since they started, in seconds. */
  cpu(): number;
  /** Resident memory of the process and its children, in MB. */
  memory(): number;
  stop(): Promise<void>;
}

// ONNX Runtime's telemetry is on by default since its version 1.29.
const settings = { PYTHONDONTWRITEBYTECODE: '1', ORT_DISABLE_TELEMETRY: '1' };

/** Starts a server, which writes to the file `log`, and waits until it answers the request with 200. */
export async function startServer(
  { command, cwd, env }: ServerCommand,
  { path, body }: Request,
  log: string,
): Promise<ServerProcess> {
  const port = await freePort();
  const output = openSync(log, 'w');
  const start = performance.now();
  const leader = startGroup(command(port), {
    cwd,
    env: { ...process.env, ...settings, ...env, PORT: String(port) },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const stop = () => stopGroup(leader);
  try {
    await untilAnswer(port, path, body, () => isRunning(leader));
  } catch (error) {
    await stop();
    const lines = readFileSync(log, 'utf8').trim().split('\n').slice(-3);
    throw new Error(`${error instanceof Error ? error.message : error}: ${lines.join(' | ')}`);
  }
  const firstAnswer = performance.now() - start;
  const pids = () => processTree(leader.pid ?? 0);
  return { port, firstAnswer, cpu: () => cpuSeconds(pids()), memory: () => megabytes(pids()), stop };
}

function post(
  port: number,
  path: string,
  body: string,
): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const options = { host: '127.0.0.1', port, path, method: 'POST', headers };
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function untilAnswer(port: number, path: string, body: string, isAlive: () => boolean): Promise<void> {
  for (let tries = 0; tries < 15_000; tries++) {
    if (!isAlive()) throw new Error('it ended instead of answering');
    const reply = await post(port, path, body).catch(() => undefined);
    if (reply?.status === 200) return;
    if (reply && reply.status !== 503) throw new Error(`it answers ${reply.status} ${reply.text}`);
    await wait(2);
  }
  throw new Error('it does not answer');
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
