import { handWritten, ours, oursBytes } from './scenarios.js';

export interface Measure {
  rate: number;
  cpu: number;
  p50: number;
  p99: number;
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
  ['rate', 'requests/s'],
  ['cpu', 'CPU µs a request'],
  ['p50', 'p50 ms'],
  ['p99', 'p99 ms'],
  ['loaded', 'MB loaded'],
  ['idle', 'MB idle'],
  ['start', 'start ms'],
];

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/** The median of what each round gives, since a shared machine is faster in one than in the next. */
function ratioOf(own: Result, peer: Result, key: keyof Measure): number {
  return median(own.rounds.map((round, i) => round[key] / (peer.rounds[i]?.[key] ?? Number.NaN)));
}

/** All results in Markdown, each figure of a peer with the ratio of this server's to it. */
export function resultTable(results: Result[]): string {
  const rows = results.map((result) => {
    const { scenario, connections, server, rounds } = result;
    const own = find(results, scenario, connections, ours);
    const cells = columns.map(([key]) => {
      const value = figure(median(rounds.map((round) => round[key])));
      return own && server !== ours ? `${value} (${figure(ratioOf(own, result, key))} ×)` : value;
    });
    return [scenario, connections, server, ...cells];
  });
  return table(['model', 'connections', 'server', ...columns.map(([, title]) => title)], rows);
}

/** The targets and what was reached, in Markdown; those that were not measured are left out. */
export function targetTable(results: Result[]): string {
  const rows = targets.flatMap(([key, scenario, connections, of, against, bound, aim]) => {
    const own = find(results, scenario, connections, of);
    const peer = find(results, scenario, connections, against);
    const reached = own && peer ? ratioOf(own, peer, key) : Number.NaN;
    if (Number.isNaN(reached)) return [];
    const meets = (value: number) => (key === 'rate' ? reached >= value : reached <= value);
    const title = columns.find((column) => column[0] === key)?.[1];
    const verdict = meets(aim) ? 'aim' : meets(bound) ? 'bound' : 'neither';
    const clients = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
    const subject = [title, scenario, clients, ...(of === ours ? [] : [of])].join(', ');
    const asked = `at ${key === 'rate' ? 'least' : 'most'} ${bound} ×`;
    return [[subject, against, `**${figure(reached)} ×**`, asked, `${aim} ×`, verdict]];
  });
  return table(['', 'against', 'measured', 'bound', 'aim', 'reaches'], rows);
}

type Target = [keyof Measure, string, number, string, string, number, number];

const targets: Target[] = [
  ['rate', 'bundled', 32, ours, 'Flask', 5, 8],
  ['rate', 'bundled', 32, ours, 'FastAPI', 2.3, 4],
  ['rate', 'bundled', 32, ours, handWritten, 1.1, 1.5],
  ['rate', 'MLP 64-1024-1024-10', 32, ours, handWritten, 1.5, 2.5],
  ['rate', 'MLP 256-4096-4096-10', 32, ours, handWritten, 5, 8],
  ['rate', 'CNN 3×224×224', 8, ours, handWritten, 1.1, 1.5],
  ['rate', 'CNN 3×224×224', 8, oursBytes, ours, 3, 8],
  ['loaded', 'CNN 3×224×224', 8, ours, handWritten, 1.2, 0.8],
  ['p50', 'bundled', 1, ours, handWritten, 1.5, 1.2],
  ['idle', 'bundled', 1, ours, 'Flask', 0.9, 0.7],
  ['start', 'bundled', 1, ours, 'Flask', 0.45, 0.25],
];

function find(results: Result[], scenario: string, connections: number, server: string) {
  return results.find((r) => r.scenario === scenario && r.connections === connections && r.server === server);
}

function figure(value: number): string {
  if (Number.isNaN(value)) return 'n/a';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function table(head: (string | number)[], rows: (string | number)[][]): string {
  const rule = head.map(() => '---');
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
