import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { readOnnx } from '../../model/graph/onnx';
import { rowAxis } from '../../model/independence/rules';
import { type Fact, followRows } from '../../model/independence/walk';
import { provesRows } from '../../model/observed';
import { sizeOf } from '../../model/values/tensor';
import { knownOf, RandomGraph, type Rows } from './random-graphs/graph';

// Random graphs whose rows are proved independent, their rows alone and among others:
// node dist/tests/bench/fuzz-independence.js [seed] [seconds]

/** Creating sessions leaks, so each process makes so many graphs: https://github.com/microsoft/onnxruntime/issues/25325 */
const graphsEach = 400;
const sizes = [2, 3, 5, 8];
/** Sums in another order differ by so much of the largest value of a row. */
const tolerance = 1e-4;

interface Counts {
  graphs: number;
  loaded: number;
  proved: number;
  outputs: number;
  rows: number;
  differences: number;
  /** Differences of rows that give NaN on the way: of that, a maximum or the like takes what comes first or last. */
  ofNaN: number;
  operators: Record<string, number>;
}

const none = (): Counts => ({
  graphs: 0,
  loaded: 0,
  proved: 0,
  outputs: 0,
  rows: 0,
  differences: 0,
  ofNaN: 0,
  operators: {},
});

/** Makes and tries the graphs of one process, and sends the counts of each; a difference is printed and its model kept. */
async function tryGraphs(first: number, until: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-independence-'));
  const path = join(folder, 'graph.onnx');
  for (let seed = first; seed < first + graphsEach && Date.now() < until; seed++) {
    const counts = { ...none(), graphs: 1 };
    const graph = new RandomGraph(seed, path);
    const difference = await tryGraph(graph, path, counts);
    if (difference !== undefined) {
      const kept = join(tmpdir(), `fuzz-${seed}.onnx`);
      writeFileSync(kept, graph.bytes());
      console.log(`${kept}: ${difference}\n  ${graph.text()}`);
    }
    process.send?.(counts);
  }
  rmSync(folder, { recursive: true });
}

/** What differed, if anything. */
async function tryGraph(graph: RandomGraph, path: string, counts: Counts): Promise<string | undefined> {
  writeFileSync(path, graph.bytes());
  const session = await open(path);
  if (!session) return undefined;
  try {
    const alone = [graph.rows(1), graph.rows(1)];
    const expected = [await run(session, alone[0]), await run(session, alone[1])];
    if (!expected[0] || !expected[1]) return undefined;
    counts.loaded++;
    const factOf = followRows(readOnnx(path), graph.inputs);
    const known = session.outputNames.filter((name) => 'shape' in factOf(name));
    const proved = known.filter((name) => provesRows(factOf(name)));
    if (proved.length === 0) return undefined;
    counts.proved++;
    counts.outputs += proved.length;
    for (const operator of graph.operatorsOf(proved))
      counts.operators[operator] = (counts.operators[operator] ?? 0) + 1;
    for (const size of sizes) {
      const places = graph.places(size);
      const found = await together(session, graph, alone, places);
      if (!found) continue;
      for (const [i, place] of places.slice(0, 2).entries()) {
        counts.rows++;
        for (const name of known) {
          const why = differ(factOf(name), expected[i]?.[name], found[name], place, size);
          if (!why) continue;
          const isOfNaN = await givesNaN(graph, path, alone[i]);
          counts[isOfNaN ? 'ofNaN' : 'differences']++;
          return `${name}, row ${place} of ${size}${isOfNaN ? ', with NaN on the way' : ''}: ${why}`;
        }
      }
    }
    return undefined;
  } finally {
    await session.release();
  }
}

function open(path: string): Promise<InferenceSession | undefined> {
  const options = { logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 } as const;
  return InferenceSession.create(path, options).catch(() => undefined);
}

async function givesNaN(graph: RandomGraph, path: string, rows: Rows): Promise<boolean> {
  writeFileSync(path, graph.bytes(true));
  const session = await open(path);
  const values = session && (await run(session, rows));
  await session?.release();
  return Object.values(values ?? {}).some(({ data }) => cellsOf(data).some(Number.isNaN));
}

/** Runs both rows among extreme neighbours, or where those make the run fail, among ordinary ones. */
async function together(session: InferenceSession, graph: RandomGraph, alone: Rows[], places: number[]) {
  for (const isExtreme of [true, true, false]) {
    const rows = places.map((_, i) => alone[i] ?? graph.neighbour(alone[0], isExtreme));
    const ordered = places.map((_, place) => rows[places.indexOf(place)]);
    const found = await run(session, graph.stack(ordered));
    if (found) return found;
  }
  return undefined;
}

async function run(session: InferenceSession, rows: Rows) {
  const feeds = session.inputNames.map((name) => [name, toTensor(rows[name])]);
  return session.run(Object.fromEntries(feeds)).catch(() => undefined);
}

function toTensor({ type, data, dims }: Rows[string]): Tensor {
  if (type === 'string') return new Tensor(type, data.map(String), dims);
  if (type === 'int64') return new Tensor(type, BigInt64Array.from(data, BigInt), dims);
  if (type === 'bool') return new Tensor(type, data.map(Boolean), dims);
  return new Tensor('float32', Float32Array.from(data, Number), dims);
}

const cellsOf = (data: Iterable<unknown> = []) =>
  [...data].map((cell) => (typeof cell === 'bigint' ? Number(cell) : cell));

/** How what is known of a tensor is wrong, by a run of one row and one of several; undefined where it is right. */
function differ(fact: Fact, one: Tensor | undefined, all: Tensor, row: number, rows: number) {
  if (!('shape' in fact) || !one) return 'was not given';
  const { shape, axis = -1 } = knownOf(fact);
  const fits = (dims: readonly number[], count: number) =>
    dims.length === shape.length &&
    dims.every((length, place) => {
      const expected = Number.isNaN(shape[place]) ? one.dims[place] : shape[place];
      return length === (place === axis ? expected * count : expected);
    });
  if (!fits(one.dims, 1) || !fits(all.dims, rows)) return `[${one.dims}], [${all.dims}], not [${shape}]`;
  const expected = cellsOf(one.data);
  const found = cellsOfRow(all, fact, row, rows);
  const largest = Math.max(...expected.map((value) => Math.abs(Number(value))).filter(Number.isFinite), 0);
  const isNear = (a: unknown, b: unknown) =>
    Object.is(a, b) ||
    (typeof a === 'number' && typeof b === 'number' && Math.abs(a - b) <= tolerance * largest + 1e-30);
  const place = expected.findIndex((value, i) => !isNear(value, found[i]));
  return place < 0 ? undefined : `entry ${place} is ${expected[place]} alone, ${found[place]} together`;
}

/** The entries that belong to a row; without an axis, all. */
function cellsOfRow({ dims, data }: Tensor, fact: Fact, row: number, rows: number): unknown[] {
  const cells = cellsOf(data);
  const axis = 'shape' in fact ? rowAxis(fact) : -1;
  if (axis < 0) return cells;
  const size = sizeOf(dims.slice(axis)) / rows;
  const starts = Array.from({ length: sizeOf(dims.slice(0, axis)) }, (_, i) => (i * rows + row) * size);
  return starts.flatMap((start) => cells.slice(start, start + size));
}

function add(total: Counts, { operators, ...counts }: Counts): void {
  for (const [operator, count] of Object.entries(operators))
    total.operators[operator] = (total.operators[operator] ?? 0) + count;
  for (const key of ['graphs', 'loaded', 'proved', 'outputs', 'rows', 'differences', 'ofNaN'] as const)
    total[key] += counts[key];
}

async function main(seed: number, seconds: number): Promise<void> {
  const total = none();
  const until = Date.now() + seconds * 1000;
  for (let first = seed * 1_000_000; Date.now() < until; ) {
    const child = fork(__filename, ['from', String(first), String(until)]);
    child.on('message', (counts: Counts) => {
      add(total, counts);
      first++;
    });
    const [code, signal] = await once(child, 'close');
    if (code !== 0) console.log(`the graph ${first++} ended the process with ${code ?? signal}`);
  }
  const { operators, ...counts } = total;
  console.log(JSON.stringify(counts));
  const byCount = Object.entries(operators).sort(([, one], [, other]) => one - other);
  console.log(byCount.map(([operator, count]) => `${operator} ${count}`).join(', '));
  process.exitCode = total.differences > 0 ? 1 : 0;
}

const [first, second, third] = process.argv.slice(2);
if (first === 'from') tryGraphs(Number(second), Number(third));
else main(Number(first ?? 1), Number(second ?? 60));
