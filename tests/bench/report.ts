import { handWritten, ours, oursBytes } from './scenarios.js';

export interface Measure {
  /** Requests a second of the first load after the start. */
  first: number;
  rate: number;
  repeated: number;
  cpu: number;
  p50: number;
  p99: number;
  alone: number;
  idle: number;
  loaded: number;
  start: number;
}

export interface Result {
  scenario: string;
  connections: number;
  server: string;
  rounds: Measure[];
}

const columns: [keyof Measure, string][] = [
  ['first', 'first requests/s'],
  ['rate', 'requests/s'],
  ['repeated', 'one body, requests/s'],
  ['cpu', 'CPU µs a request'],
  ['p50', 'p50 ms'],
  ['p99', 'p99 ms'],
  ['alone', 'alone ms'],
  ['idle', 'MB idle'],
  ['loaded', 'MB loaded'],
  ['start', 'start ms'],
];

/** What the best round gave, since neighbours on a shared machine only ever slow one down. */
function best({ rounds }: Result, key: keyof Measure): number {
  const values = rounds.map((round) => round[key]);
  return ['first', 'rate', 'repeated'].includes(key) ? Math.max(...values) : Math.min(...values);
}

/** A scenario's results in Markdown, each figure of a peer with the ratio of this server's to it. */
export function resultTable(results: Result[]): string {
  const own = results.find(({ server }) => server === ours);
  const rows = results.map((result) => {
    const cells = columns.map(([key]) => {
      const value = figure(best(result, key));
      return own && result !== own ? `${value} (${figure(best(own, key) / best(result, key))} ×)` : value;
    });
    return [result.server, ...cells];
  });
  const [{ scenario, connections }] = results;
  return table([`${scenario}, ${connections} clients`, ...columns.map(([, title]) => title)], rows);
}

/** The table of README.md: ratios of this server to others. Those that were not measured are left out. */
export function ratioTable(results: Result[]): string {
  const rows = reached(results).map(({ title, against, ratio }) => [title, against, `${figure(ratio)} ×`]);
  return table(['', 'against', 'ratio'], rows);
}

/** A line for each ratio that misses its floor. */
export function missed(results: Result[]): string[] {
  return reached(results)
    .filter(({ key, floor, ratio }) => (key === 'rate' ? ratio < floor : ratio > floor))
    .map(({ title, against, ratio, floor, aim }) => {
      return `Missed: ${title}, against ${against}: ${figure(ratio)} ×, floor ${floor} ×, aim ${aim} ×`;
    });
}

interface Ratio {
  title: string;
  key: keyof Measure;
  scenario: string;
  of: string;
  against: string;
  floor: number;
  aim: number;
}

const [middle, big, images] = ['MLP 64-1024-1024-10', 'MLP 256-4096-4096-10', 'CNN 3×224×224'];

const ratios: Ratio[] = [
  rate('bundled model', 'bundled', 'Flask', 8, 12),
  rate('bundled model', 'bundled', 'FastAPI', 5, 8),
  rate('bundled model', 'bundled', 'FastAPI, onnxruntime', 3, 5),
  rate('bundled model', 'bundled', 'LitServe', 8, 12),
  rate('bundled model', 'bundled', handWritten, 1.3, 1.8),
  rate(middle, middle, handWritten, 1.6, 2),
  rate(big, big, handWritten, 6, 8),
  rate('images as JSON', images, handWritten, 1.3, 1.3),
  { ...rate('images as bytes', images, ours, 4, 4), of: oursBytes },
  rate('with the log', 'log', 'LOG_FORMAT=off', 0.9, 0.97),
  least('median latency of one client', 'alone', 'bundled', handWritten, 1.4, 1.1),
  least('resident memory, idle', 'idle', 'bundled', 'Flask', 0.65, 0.65),
  least('start to first answer', 'start', 'bundled', 'Flask', 0.2, 0.2),
  { ...least('CPU a request, two processes', 'cpu', 'processes', ours, 1.1, 1), of: 'WEB_CONCURRENCY=2' },
  { ...least('CPU a request, two models', 'cpu', 'models', ours, 1.1, 1), of: 'two models' },
];

function rate(what: string, scenario: string, against: string, floor: number, aim: number): Ratio {
  return { title: `requests/s, ${what}`, key: 'rate', scenario, of: ours, against, floor, aim };
}

function least(
  title: string,
  key: keyof Measure,
  scenario: string,
  against: string,
  floor: number,
  aim: number,
): Ratio {
  return { title, key, scenario, of: ours, against, floor, aim };
}

function reached(results: Result[]): (Ratio & { ratio: number })[] {
  const find = (scenario: string, server: string) =>
    results.find((result) => result.scenario === scenario && result.server === server);
  return ratios.flatMap((ratio) => {
    const [own, peer] = [find(ratio.scenario, ratio.of), find(ratio.scenario, ratio.against)];
    return own && peer ? [{ ...ratio, ratio: best(own, ratio.key) / best(peer, ratio.key) }] : [];
  });
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function table(head: string[], rows: string[][]): string {
  const rule = head.map(() => '---');
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
