import type { SampleRun, Sampler } from './samples';
import type { Tensor } from './values/tensor';

/** Rows that are timed together, to see whether that pays. */
const sharedRows = 8;
const quickMs = 2;
/** A text that is repeated so often is a long one. */
const longText = 40;
/** Timed runs, of which the best counts: the first allocates, and others may meet a busy machine. */
const timedRuns = 6;
/** No more runs are timed once they have taken so many milliseconds. */
const mostTimedMs = 300;

/** Why nothing is gained by running several rows together, unless that takes less than half of so many runs of one. */
export async function whyNoGain(sampler: Sampler): Promise<string | undefined> {
  if (!sampler.first) return 'no made-up rows were run';
  const alone = await best(sampler, 1);
  const together = await best(sampler, sharedRows);
  const pays = alone && together && together.ms < (sharedRows / 2) * alone.ms;
  return pays ? undefined : 'rows take about as long together as alone';
}

/** The feeds of a run of so many rows, with long texts where the model takes them; undefined where it is not quick. */
export async function findQuickFeeds(sampler: Sampler, rows: number): Promise<readonly Tensor[] | undefined> {
  // An encoder may refuse a text that it does not know. One row first: many of a slow model would take long.
  const alone = (await best(sampler, 1, longText)) ?? (await best(sampler, 1));
  if (!alone || alone.ms > quickMs) return undefined;
  const together = await best(sampler, rows, alone.size);
  return together && together.ms <= quickMs ? together.feeds : undefined;
}

/** The best of a few runs of so many rows like the first that fitted; undefined where one fails at first. */
async function best(sampler: Sampler, count: number, size?: number): Promise<SampleRun | undefined> {
  const { first } = sampler;
  if (!first) return undefined;
  let best: SampleRun | undefined;
  for (let i = 0, total = 0; i < timedRuns && total < mostTimedMs; i++) {
    const run = await sampler.run(Array(count).fill(first.rows[0]), size ?? first.size);
    if (!run) break;
    total += run.ms;
    if (!best || run.ms < best.ms) best = run;
  }
  return best;
}
