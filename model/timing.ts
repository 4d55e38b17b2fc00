import { setTimeout } from 'node:timers/promises';
import type { QuickRun } from './runtime/inline';
import type { Recipe } from './samples';
import { bytesIn, type Tensor, valuesIn } from './values/tensor';

/** A run of made-up rows: what it took, gave, and lasted. */
export interface SampleRun {
  size: QuickRun;
  outputs: Tensor[];
  ms: number;
}

/** Runs made-up rows of these numbers; undefined where they do not fit the model, or the time is over. */
export type RunSamples = (rows: readonly number[], recipe: Recipe) => Promise<SampleRun | undefined>;

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
/** How often a text is repeated to be a long one. */
const longText = 40;

/** How made-up rows are tried, given how they are made and run. */
export function sampleRunner(
  makeFeeds: (...made: Parameters<RunSamples>) => Tensor[],
  run: (feeds: Tensor[]) => Promise<Tensor[]>,
): RunSamples {
  return async (...made) => {
    try {
      const feeds = makeFeeds(...made);
      const size = { values: valuesIn(feeds), bytes: bytesIn(feeds) };
      const [start, before] = [performance.now(), process.cpuUsage()];
      const outputs = await run(feeds);
      const ms = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      // Of a run that others on a busy machine held up, what it used itself; some systems count in steps of 16 ms.
      return { size, outputs, ms: Math.min(ms, (user + system) / 1000 || ms) };
    } catch {
      return undefined;
    }
  };
}

/** The same for as long as the runs at boot may take. */
export function withinTime(runSamples: RunSamples): RunSamples {
  const end = performance.now() + timeLimitMs;
  return async (...made) => {
    const left = end - performance.now();
    if (left <= 0) return undefined;
    return Promise.race([runSamples(...made), setTimeout(left, undefined, { ref: false })]);
  };
}

/** Whether a run of several rows takes less than half of so many runs of one. */
export async function paysToShare(runSamples: RunSamples, recipe: Recipe): Promise<boolean> {
  const alone = await best(runSamples, 1, recipe);
  const together = await best(runSamples, sharedRows, recipe);
  return alone !== undefined && together !== undefined && together.ms < (sharedRows / 2) * alone.ms;
}

/** The size of a run of so many rows, with long texts where the model takes them; undefined where it is not quick. */
export async function findQuickRun(
  runSamples: RunSamples,
  rows: number,
  recipe: Recipe,
): Promise<QuickRun | undefined> {
  for (const repeats of [longText, 1]) {
    const tried = { ...recipe, repeats };
    // One alone first: so many of a slow model would take long.
    const alone = await best(runSamples, 1, tried);
    // An encoder may refuse a text that it does not know.
    if (!alone) continue;
    const together = alone.ms <= quickMs ? await best(runSamples, rows, tried) : undefined;
    return together && together.ms <= quickMs ? together.size : undefined;
  }
  return undefined;
}

/** The best of a few runs of so many rows, of fewer where they are slow; undefined where one fails at first. */
async function best(runSamples: RunSamples, rows: number, recipe: Recipe): Promise<SampleRun | undefined> {
  let fastest: SampleRun | undefined;
  for (let i = 0, total = 0; i < timedRuns && total < mostTimedMs; i++) {
    const done = await runSamples(Array(rows).fill(0), recipe);
    if (!done) break;
    total += done.ms;
    if (!fastest || done.ms < fastest.ms) fastest = done;
  }
  return fastest;
}
