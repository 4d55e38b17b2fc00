import { charactersOf, valuesIn } from '../values/tensor';
import type { Runner, Source } from './session';
import { startThread } from './thread';

/** A run of so many values, with texts of so many characters in all, was over in a moment. */
export interface Momentary {
  values: number;
  characters: number;
}

/**
 * A runner that keeps runs here which are no larger than made-up ones that were over in a moment, and gives the others
 * to a thread, started when first needed: crossing to a thread costs a tiny model as much as its run.
 */
export async function placeRuns(
  here: Runner,
  source: Source,
  momentary: Momentary | undefined,
): Promise<Runner> {
  if (!momentary) {
    await here.close();
    return startThread(source);
  }
  let thread: Promise<Runner> | undefined;
  return {
    ...here,
    async run(feeds, fetches) {
      // Every dimension but the batch is fixed, so that values count rows.
      const isMomentary = valuesIn(feeds) <= momentary.values && charactersOf(feeds) <= momentary.characters;
      if (isMomentary) return here.run(feeds, fetches);
      thread ??= startThread(source).catch((error) => {
        thread = undefined;
        throw error;
      });
      return (await thread).run(feeds, fetches);
    },
    async close() {
      await here.close();
      await (await thread)?.close();
    },
  };
}
