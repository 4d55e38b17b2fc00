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
export async function whyNoGain(sampler: Sampler, like: SampleRun | undefined): Promise<string | undefined> {
  if (!like) return 'no made-up rows were run';
  const alone = await best(sampler, 1, like);
  const together = await best(sampler, sharedRows, like);
  const pays = alone && together && together.ms < (sharedRows / 2) * alone.ms;
  return pays ? undefined : 'rows take about as long together as alone';
}

/** The feeds of a run of so many rows, with long texts where the model takes them; undefined where it is not quick. */
export async function findQuickFeeds(
  sampler: Sampler,
  rows: number,
  like: SampleRun,
): Promise<readonly Tensor[] | undefined> {
  // An encoder may refuse a text that it does not know.
  const long = await best(sampler, 1, { ...like, size: longText });
  // One alone first: so many of a slow model would take long.
  const alone = long ?? (await best(sampler, 1, like));
  if (!alone || alone.ms > quickMs) return undefined;
  const together = await best(sampler, rows, alone);
  return together && together.ms <= quickMs ? together.feeds : undefined;
}

/** The best of a few runs of so many rows like that of another, of fewer where they are slow; undefined where one fails at first. */
async function best(
  sampler: Sampler,
  rows: number,
  { rows: [row], size }: Pick<SampleRun, 'rows' | 'size'>,
): Promise<SampleRun | undefined> {
  let best: SampleRun | undefined;
  for (let i = 0, total = 0; i < timedRuns && total < mostTimedMs; i++) {
    const done = await sampler.run(Array(rows).fill(row), size);
    if (!done) break;
    total += done.ms;
    if (!best || done.ms < best.ms) best = done;
  }
  return best;
}
