import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { startGroup } from './process-group.js';

export interface Request {
  path: string;
  /** JSON in one line. */
  body: string;
}

export interface Load {
  requests: number;
  seconds: number;
  /** Latencies in milliseconds. */
  p50: number;
  p99: number;
  failed: number;
}

const wrk = spawnSync('wrk', ['-v']);

export const generator = wrk.error ? 'autocannon' : String(wrk.stdout).split(' ', 2).join(' ');

// wrk gives times in microseconds, and counts each status above 399 as an error.
const wrkScript = `
init = function(args)
  requests, n = {}, 0
  local lines = io.lines(args[1])
  for path in lines do
    requests[#requests + 1] = wrk.format("POST", path, { ["Content-Type"] = "application/json" }, lines())
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status + e.connect + e.read + e.write + e.timeout))
end`;

/** Posts the requests in turn, over and over, from so many connections, for so many seconds. */
export function runLoad(
  port: number,
  requests: Request[],
  connections: number,
  seconds: number,
  folder: string,
): Promise<Load> {
  const url = `http://127.0.0.1:${port}`;
  if (wrk.error) return runAutocannon(url, requests, connections, seconds);
  return runWrk(url, fileOf(requests, folder), connections, seconds);
}

const files = new Map<Request[], string>();

/** A file of the requests in the folder: a line of path, a line of body. */
function fileOf(requests: Request[], folder: string): string {
  const file = files.get(requests) ?? path.join(folder, `requests-${files.size}`);
  if (!files.has(requests)) writeFileSync(file, requests.map((r) => `${r.path}\n${r.body}\n`).join(''));
  files.set(requests, file);
  return file;
}

async function runWrk(url: string, file: string, connections: number, seconds: number): Promise<Load> {
  const script = `${file}.lua`;
  writeFileSync(script, wrkScript);
  const sizes = ['-t1', `-c${connections}`, `-d${seconds}`, '--timeout=30s'];
  const output = await outputOf(['wrk', ...sizes, '-s', script, url, '--', file]);
  return JSON.parse(output.split('\n').at(-1) ?? '');
}

/** autocannon copies all requests for each connection, in the time that it measures. */
const mostBytes = 1 << 24;

async function runAutocannon(
  url: string,
  requests: Request[],
  connections: number,
  duration: number,
): Promise<Load> {
  const headers = { 'content-type': 'application/json' };
  const count = Math.ceil(mostBytes / requests[0].body.length);
  const posts = requests.slice(0, count).map((request) => ({ ...request, method: 'POST', headers }));
  // It comes without types.
  const result = await require('autocannon')({ url, connections, duration, timeout: 30, requests: posts });
  const { latency, non2xx, errors } = result;
  return {
    requests: result.requests.total,
    seconds: result.duration,
    p50: latency.p50,
    p99: latency.p99,
    failed: non2xx + errors,
  };
}

async function outputOf(command: string[]): Promise<string> {
  const child = startGroup(command, { stdio: ['ignore', 'pipe', 'ignore'] });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk) => chunks.push(chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}`);
  return Buffer.concat(chunks).toString().trim();
}
