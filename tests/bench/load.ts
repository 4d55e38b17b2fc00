import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { startGroup } from './process-group.js';

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
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = io.open(args[1], "rb"):read("*a")
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status + e.connect + e.read + e.write + e.timeout))
end`;

/** Posts the file `body` over and over, from so many connections, for so many seconds. */
export async function runLoad(
  url: string,
  body: string,
  connections: number,
  seconds: number,
): Promise<Load> {
  const sizes = [`-c${connections}`, `-d${seconds}`];
  if (!wrk.error) {
    const script = `${body}.lua`;
    writeFileSync(script, wrkScript);
    const output = await outputOf(['wrk', '-t1', ...sizes, '--timeout=30s', '-s', script, url, '--', body]);
    return JSON.parse(output.split('\n').at(-1) ?? '');
  }
  const json = ['-m', 'POST', '-H', 'content-type=application/json', '-i', body];
  const output = await outputOf(['npx', '-y', 'autocannon', '-j', ...sizes, '-t30', ...json, url]);
  const { requests, duration, latency, non2xx, errors } = JSON.parse(output);
  return { requests: requests.total, seconds: duration, ...latency, failed: non2xx + errors };
}

async function outputOf(command: string[]): Promise<string> {
  const child = startGroup(command, { stdio: ['ignore', 'pipe', 'ignore'] });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk) => chunks.push(chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}`);
  return Buffer.concat(chunks).toString().trim();
}
