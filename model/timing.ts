import { setTimeout } from 'node:timers/promises';
import { type Recipe, sampleFeeds } from './samples';
import type { Input, Kind } from './signature';
import { bytesIn, type Tensor } from './values/tensor';

/** The outputs of a run, or undefined where it fails or the time is over: then its feeds are not made. */
export type Attempt = (makeFeeds: () => Tensor[]) => Promise<Tensor[] | undefined>;

/** Milliseconds from the first run that fits to the end of the runs at boot. */
const timeLimitMs = 2000;
/** Rows that are timed together, to see whether that pays. */
const sharedRows = 8;
/** Timed runs, of which the best counts: the first allocates, and others may meet a busy machine. */
const timedRuns = 6;
/** No more runs are timed once they have taken so many milliseconds. */
const mostTimedMs = 300;
/** A run that is over within so many milliseconds is quick. */
const quickMs = 2;

/** Runs for as long as the runs at boot may take. */
export function withinTime(run: (feeds: Tensor[]) => Promise<Tensor[]>): Attempt {
  const end = performance.now() + timeLimitMs;
  return async (makeFeeds) => {
    const left = end - performance.now();
    if (left <= 0) return undefined;
    const outputs = (async () => run(makeFeeds()))().catch(() => undefined);
    return Promise.race([outputs, setTimeout(left, undefined, { ref: false })]);
  };
}

/** Whether a run of several rows takes less than half of so many runs of one. */
export async function paysToShare(
  attempt: Attempt,
  samples: (rows: number) => () => Tensor[],
): Promise<boolean> {
  const alone = await bestMs(attempt, samples(1));
  const together = await bestMs(attempt, samples(sharedRows), (sharedRows / 2) * alone);
  return together < (sharedRows / 2) * alone;
}

/** Bytes of the feeds of so many rows, with texts much longer than one word where a run of such is quick; undefined where none is. */
export async function largestQuickFeeds(
  attempt: Attempt,
  inputs: readonly Input[],
  kind: Kind,
  recipe: Recipe,
  maxBatch: number,
): Promise<number | undefined> {
  const rows = kind === 'batched' ? maxBatch : 1;
  const longer: Recipe = {
    ...recipe,
    valuesFor: (input, row) =>
      recipe
        .valuesFor(input, row)
        .map((value) => (typeof value === 'string' ? `${value} `.repeat(40) : value)),
  };
  const hasText = inputs.some(({ type }) => type === 'string');
  for (const tried of hasText ? [longer, recipe] : [recipe]) {
    const samples = (count: number) => () => sampleFeeds(inputs, kind, count, tried);
    // One alone first: so many of a slow model would take long.
    if ((await bestMs(attempt, samples(1), quickMs)) > quickMs) continue;
    if (rows > 1 && (await bestMs(attempt, samples(rows), quickMs)) > quickMs) continue;
    return bytesIn(samples(rows)());
  }
  return undefined;
}

/** Milliseconds of the best of a few runs, of fewer where they are slow, or one is well within what is enough. */
async function bestMs(attempt: Attempt, makeFeeds: () => Tensor[], enough = Number.NaN): Promise<number> {
  let [best, total] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < timedRuns && total < mostTimedMs; i++) {
    const feeds = makeFeeds();
    const [start, before] = [performance.now(), process.cpuUsage()];
    if (!(await attempt(() => feeds))) break;
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    // Of a run that others on a busy machine held up, what it used itself; some systems count in steps of 16 ms.
    const ownMs = Math.min(ms, (user + system) / 1000 || ms);
    total += ownMs;
    best = Math.min(best, ownMs);
    if (best < enough / 2) break;
  }
  return best;
}
