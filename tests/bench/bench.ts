import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { leaveServerCore, pinned } from './cores.js';
import { generator, runLoad } from './load.js';
import { firstCoreSeconds } from './process-tree.js';
import { findPython, pythonVersions } from './python.js';
import { type Measure, type Result, resultTable, targetTable } from './report.js';
import { bundled, cnn, type Entrant, makeModels, mlp, root, type Scenario } from './scenarios.js';
import { type ServerProcess, startServer } from './server-process.js';

const usage = 'npm run bench -- [bundled] [mlp64] [mlp256] [cnn] [--rounds 3] [--seconds 3]';

// Node.js 24 reached its full rate on an Express server after some 20,000 requests.
const warmUpSeconds = 5;

const scenarios: Record<string, (folder: string) => Scenario> = {
  bundled,
  mlp64: (folder) => mlp(folder, '64-1024-1024-10'),
  mlp256: (folder) => mlp(folder, '256-4096-4096-10'),
  cnn,
};

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '3' } },
  });
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  let wanted = positionals.length > 0 ? positionals : Object.keys(scenarios);
  if (!(rounds > 0 && seconds > 0) || wanted.some((name) => !(name in scenarios))) throw new Error(usage);

  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  leaveServerCore();
  if (wanted.some((name) => name !== 'bundled') && !makeModels(folder)) {
    console.error('Only the bundled model is measured: no Python here has numpy and onnx');
    wanted = wanted.filter((name) => name === 'bundled');
  }
  const results: Result[] = [];
  for (const name of wanted) {
    const scenario = scenarios[name]?.(folder);
    if (scenario) results.push(...(await measureScenario(scenario, rounds, seconds, folder)));
  }
  console.log(`\n${targetTable(results)}\n\n${resultTable(results)}\n`);
  console.log('In brackets: this server ÷ that one. Start: from process start to first answer.');
  console.log(
    `Medians of ${rounds} interleaved rounds of ${seconds} s, for ratios of what each round gives.\n${environment()}`,
  );
}

async function measureScenario(
  { name, connections, entrants }: Scenario,
  rounds: number,
  seconds: number,
  folder: string,
): Promise<Result[]> {
  const measures = new Map(entrants.map((entrant): [Entrant, Measure[][]] => [entrant, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [entrant, done] of measures) {
      const subject = `${name}, round ${round}, ${entrant.name}`;
      try {
        const measured = await measureEntrant(entrant, connections, seconds, folder);
        const rates = measured.map(({ rate }, i) => `${rate.toFixed()}/s at ${connections[i]}`);
        console.error(`${subject}: ${rates.join(', ')}`);
        done.push(measured);
      } catch (error) {
        console.error(`${subject}: left out, ${error instanceof Error ? error.message : error}`);
        measures.delete(entrant);
        process.exitCode = 1;
      }
    }
  }
  return connections.flatMap((count, i) =>
    [...measures].map(([{ name: server }, done]) => {
      return { scenario: name, connections: count, server, rounds: done.flatMap((round) => round[i] ?? []) };
    }),
  );
}

async function measureEntrant(
  { server: command, body }: Entrant,
  connections: number[],
  seconds: number,
  folder: string,
): Promise<Measure[]> {
  const file = path.join(folder, 'body.json');
  writeFileSync(file, body);
  const server = await startServer(command, body, path.join(folder, 'server.log'));
  try {
    await wait(1000);
    const idle = server.memory();
    await measureLoad(server, file, Math.min(32, ...connections.slice(-1)), warmUpSeconds);
    const measures: Measure[] = [];
    for (const count of connections) {
      const load = await measureLoad(server, file, count, seconds);
      measures.push({ ...load, idle, start: server.firstAnswer });
    }
    return measures;
  } finally {
    await server.stop();
  }
}

async function measureLoad(server: ServerProcess, body: string, connections: number, seconds: number) {
  let loaded = server.memory();
  const sampling = setInterval(() => {
    loaded = Math.max(loaded, server.memory());
  }, 200);
  const [cpuBefore, coreBefore] = [server.cpu(), firstCoreSeconds()];
  const url = `http://127.0.0.1:${server.port}/predict`;
  const load = await runLoad(url, body, connections, seconds).finally(() => clearInterval(sampling));
  const { requests, failed, p50, p99 } = load;
  // autocannon counts some of the connections that a sync worker closes after each reply.
  if (failed > 0.01 * requests || requests === 0) throw new Error(`${failed} of ${requests} requests failed`);
  if (failed > 0) console.error(`${failed} of ${requests} requests failed`);
  const cpu = server.cpu() - cpuBefore;
  const others = (firstCoreSeconds() - coreBefore - cpu) / load.seconds;
  if (pinned && others > 0.1) console.error(`Others took ${(100 * others).toFixed()} % of the server's core`);
  return { rate: requests / load.seconds, cpu: (cpu / requests) * 1e6, p50, p99, loaded };
}

function environment(): string {
  const versions = ['express', 'body-parser', 'morgan', 'onnxruntime-node'].map((name) => {
    const file = path.join(root, 'node_modules', name, 'package.json');
    return `${name} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
  });
  const python = findPython(['sklearn']);
  const packages = ['scikit-learn', 'numpy', 'flask', 'gunicorn', 'fastapi', 'pydantic', 'uvicorn'];
  return [
    `Node.js ${process.versions.node}, ${versions.join(', ')}.`,
    python ? `${pythonVersions(python, [...packages, 'uvloop', 'httptools'])}.` : 'No scikit-learn.',
    `${generator}; server and load on ${pinned ? 'one core each' : 'any core, for want of taskset or cores'}.`,
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, ${os.type()} ${os.release()}.`,
  ].join('\n');
}

main().catch((error) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
