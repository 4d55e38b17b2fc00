import { Column } from '../../model/values/column';
import { shortenFloat32 } from '../../model/values/digits';
import { piecesOf, writeJson } from '../../model/values/json';

// How long float32 take to be written as JSON, in pieces with the shortest digits, against JSON.stringify of the same
// numbers as doubles (with the 17 or so digits that those have) and of the doubles with the shortest digits:
// node dist/tests/bench/digits.js [numbers, 1000000] [rounds, 5]

const kinds: Record<string, () => number> = {
  'uniform in 0…1': Math.random,
  normal,
  'near 1e-20': () => normal() * 1e-20,
  '1e7 and above': () => 10 ** (7 + 10 * Math.random()),
};

function main(count: number, rounds: number): void {
  console.log(`ms for ${count} float32, best of ${rounds}`);
  console.log(`${'numbers'.padEnd(16)} this server     doubles    shortest`);
  for (const [kind, next] of Object.entries(kinds)) {
    const data = Float32Array.from({ length: count }, next);
    const [doubles, shortest] = [Array.from(data), Array.from(data, shortenFloat32)];
    const column = Column.ofRows({ type: 'float32', shape: [1, count], data });
    const writers = [
      () => lengthOf(piecesOf(writeJson(column.rowsJson()))),
      () => JSON.stringify(doubles).length,
      () => JSON.stringify(shortest).length,
    ];
    const [ours, ...others] = bestTimes(writers, rounds);
    const ratios = others.map((time) => `${time.toFixed()} (${(ours / time).toFixed(2)} ×)`.padStart(11));
    console.log(kind.padEnd(16), ours.toFixed().padStart(11), ...ratios);
  }
}

/** Milliseconds of each, which take turns, in its best round. */
function bestTimes(runs: (() => void)[], rounds: number): number[] {
  const best = runs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (const [i, run] of runs.entries()) {
      const start = performance.now();
      run();
      best[i] = Math.min(best[i], performance.now() - start);
    }
  }
  return best;
}

/** Takes each piece and lets it go, as a reply does. */
function lengthOf(pieces: Iterable<string>): number {
  let length = 0;
  for (const piece of pieces) length += Buffer.byteLength(piece);
  return length;
}

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

main(Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 5));
