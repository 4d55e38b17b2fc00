import { charactersOf, valuesIn } from '../values/tensor';
import type { Runner, Source } from './session';
import { startThread } from './thread';

/** A run of so many values, with texts of so many characters in all, was quick. */
export interface QuickRun {
  values: number;
  characters: number;
}

/**
 * A runner that keeps runs here which are no larger than made-up ones that were quick, and gives the others to a thread,
 * started when first needed: crossing to a thread costs a tiny model as much as its run.
 */
export async function runInline(
  here: Runner,
  source: Source,
  quickRun: QuickRun | undefined,
): Promise<Runner> {
  if (!quickRun) {
    await here.close();
    return startThread(source);
  }
  let thread: Promise<Runner> | undefined;
  return {
    ...here,
    async run(feeds, fetches) {
      // Every dimension but the batch is fixed, so that values count rows.
      const isQuick = valuesIn(feeds) <= quickRun.values && charactersOf(feeds) <= quickRun.characters;
      if (isQuick) return here.run(feeds, fetches);
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
