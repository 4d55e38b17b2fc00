import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { leaveServerCore, pinned } from './cores.js';
import { generator, type Request, runLoad } from './load.js';
import { firstCoreSeconds } from './process-tree.js';
import { findPython, pythonVersions } from './python.js';
import { type Measure, missed, type Result, ratioTable, resultTable } from './report.js';
import {
  bundled,
  cnn,
  type Entrant,
  log,
  makeModels,
  mlp,
  models,
  type Peer,
  processes,
  root,
  type Scenario,
} from './scenarios.js';
import { type ServerProcess, startServer } from './server-process.js';

// This server against what people run instead, all on one core, the load on another, a server at a time. Each round
// starts each server anew, warms it up, and loads it with 64 different bodies in turn, with one body over and over, and
// from one client alone; what is printed is the best round of each. Python's packages (requirements.txt) are installed
// from PyPI into node_modules/.cache at the first run. The load is made by wrk where it is installed, else by
// autocannon, which is slower than a fast server, so that rates come out too low, and counts whole milliseconds.

const usage = `npm run bench -- [TABLE …] [--rounds 3] [--seconds 2] [--warm-up 4] [--peer NAME=COMMAND …]
  tables: bundled, mlp64, mlp256, cnn, log, processes, models; all without one
  --peer adds a server that is started as COMMAND MODEL, with PORT set, to bundled, the MLPs and the CNN`;

// Node.js 24 reached its full rate after some 20,000 requests.
const warmUpSeconds = '4';

const tables: Record<string, (folder: string, peers: Peer[]) => Scenario> = {
  bundled,
  mlp64: (folder, peers) => mlp(folder, peers, '64-1024-1024-10'),
  mlp256: (folder, peers) => mlp(folder, peers, '256-4096-4096-10'),
  cnn,
  log,
  processes,
  models,
};
const withMadeModels = ['mlp64', 'mlp256', 'cnn'];

interface Times {
  rounds: number;
  /** Of each load. */
  seconds: number;
  warmUp: number;
}

interface Options extends Times {
  wanted: string[];
  peers: Peer[];
}

function readCommandLine(): Options {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      'warm-up': { type: 'string', default: warmUpSeconds },
      peer: { type: 'string', multiple: true, default: [] },
    },
  });
  const [rounds, seconds, warmUp] = [values.rounds, values.seconds, values['warm-up']].map(Number);
  const peers = values.peer.map((peer) => {
    const [, name = '', command = ''] = /^([^=]+)=(.+)$/.exec(peer) ?? [];
    return { name, command };
  });
  const isRight = rounds > 0 && seconds > 0 && warmUp > 0 && peers.every(({ command }) => command);
  if (!isRight || positionals.some((name) => !(name in tables))) throw new Error(usage);
  return {
    wanted: positionals.length > 0 ? positionals : Object.keys(tables),
    rounds,
    seconds,
    warmUp,
    peers,
  };
}

async function main(): Promise<void> {
  const { wanted, peers, ...times } = readCommandLine();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  leaveServerCore();
  const isMade = wanted.some((name) => withMadeModels.includes(name)) && makeModels(folder);
  const results: Result[] = [];
  for (const name of wanted.filter((name) => isMade || !withMadeModels.includes(name))) {
    const measured = await measureScenario(tables[name](folder, peers), times, folder);
    console.log(`\n${resultTable(measured)}\n`);
    results.push(...measured);
  }
  console.log(
    `In brackets: this server ÷ that one. Alone: the median of one client. Start: to the first answer.`,
  );
  console.log(`Best of ${times.rounds} interleaved rounds of ${times.seconds} s.\n${environment()}\n`);
  console.log([ratioTable(results), '', ...missed(results)].join('\n'));
}

async function measureScenario(
  { name, connections, entrants }: Scenario,
  times: Times,
  folder: string,
): Promise<Result[]> {
  const measures = new Map(entrants.map((entrant): [Entrant, Measure[]] => [entrant, []]));
  for (let round = 1; round <= times.rounds; round++) {
    for (const [entrant, done] of measures) {
      const subject = `${name}, round ${round}, ${entrant.name}`;
      try {
        const measure = await measureEntrant(entrant, connections, times, round, folder);
        console.error(`${subject}: ${measure.rate.toFixed()}/s, ${measure.cpu.toFixed(1)} µs`);
        done.push(measure);
      } catch (error) {
        console.error(`${subject}: left out, ${error instanceof Error ? error.message : error}`);
        measures.delete(entrant);
        process.exitCode = 1;
      }
    }
  }
  return [...measures].map(([{ name: server }, rounds]) => ({ scenario: name, connections, server, rounds }));
}

async function measureEntrant(
  { server: command, requests, repeated }: Entrant,
  connections: number,
  { seconds, warmUp }: Times,
  round: number,
  folder: string,
): Promise<Measure> {
  const server = await startServer(command, requests[0], path.join(folder, 'server.log'));
  const measure = (load: Request[], clients: number, duration: number) =>
    measureLoad(server, load, clients, duration, folder);
  try {
    await wait(1000);
    const idle = server.memory();
    const first = await measure(requests, connections, Math.min(seconds, warmUp));
    await measure(requests, connections, warmUp);
    // The later load meets a warmer server, so they change places.
    const early = round % 2 === 0 ? await measure(repeated, connections, seconds) : undefined;
    const { rate, cpu, p50, p99, loaded } = await measure(requests, connections, seconds);
    const { rate: repeatedRate } = early ?? (await measure(repeated, connections, seconds));
    const { p50: alone } = await measure(requests, 1, seconds);
    const { firstAnswer: start } = server;
    return { first: first.rate, rate, repeated: repeatedRate, cpu, p50, p99, alone, idle, loaded, start };
  } finally {
    await server.stop();
  }
}

async function measureLoad(
  server: ServerProcess,
  load: Request[],
  connections: number,
  duration: number,
  folder: string,
) {
  let loaded = server.memory();
  const sampling = setInterval(() => {
    loaded = Math.max(loaded, server.memory());
  }, 200);
  const [cpuBefore, coreBefore] = [server.cpu(), firstCoreSeconds()];
  const { requests, failed, p50, p99, seconds } = await runLoad(
    server.port,
    load,
    connections,
    duration,
    folder,
  ).finally(() => clearInterval(sampling));
  // autocannon counts some of the connections that a sync worker closes after each reply.
  if (failed > 0.01 * requests || requests === 0) throw new Error(`${failed} of ${requests} requests failed`);
  if (failed > 0) console.error(`${failed} of ${requests} requests failed`);
  const cpu = server.cpu() - cpuBefore;
  const others = (firstCoreSeconds() - coreBefore - cpu) / seconds;
  if (pinned && others > 0.1) console.error(`Others took ${(100 * others).toFixed()} % of the server's core`);
  return { rate: requests / seconds, cpu: (cpu / requests) * 1e6, p50, p99, loaded };
}

function environment(): string {
  const versions = ['express', 'body-parser', 'morgan', 'onnxruntime-node'].map((name) => {
    const file = path.join(root, 'node_modules', name, 'package.json');
    return `${name} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
  });
  const python = findPython();
  return [
    `Node.js ${process.versions.node}, ${versions.join(', ')}.`,
    python ? `${pythonVersions(python)}.` : 'No Python.',
    `${generator}; server and load on ${pinned ? 'one core each' : 'any core, for want of taskset or cores'}.`,
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, ${os.type()} ${os.release()}.`,
  ].join('\n');
}

main().catch((error) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
