import type { QuickRun } from './runtime/inline';
import type { Recipe, Sampler } from './samples';

/** Rows that are timed together, to see whether that pays. */
const sharedRows = 8;
/** A run that is over within so many milliseconds is quick. */
const quickMs = 2;
/** A text that is repeated so often is a long one. */
const longTextRepeats = 40;

/** Whether a run of several rows takes less than half of so many runs of one. */
export async function paysToShare(sampler: Sampler, recipe: Recipe): Promise<boolean> {
  const alone = await sampler.best(1, recipe);
  const together = await sampler.best(sharedRows, recipe);
  return alone !== undefined && together !== undefined && together.ms < (sharedRows / 2) * alone.ms;
}

/** The size of a run of so many rows, with long texts where the model takes them; undefined where it is not quick. */
export async function findQuickRun(
  sampler: Sampler,
  rows: number,
  recipe: Recipe,
): Promise<QuickRun | undefined> {
  const long = { ...recipe, repeats: longTextRepeats };
  // An encoder may refuse a text that it does not know.
  const tried = (await sampler.run([0], long)) ? long : recipe;
  // One alone first: so many of a slow model would take long.
  const alone = await sampler.best(1, tried);
  if (!alone || alone.ms > quickMs) return undefined;
  const together = await sampler.best(rows, tried);
  return together && together.ms <= quickMs ? together.size : undefined;
}
