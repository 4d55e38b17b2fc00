import { charactersOf } from '../values/tensor';
import type { Runner, Source } from './session';
import { startThread } from './thread';

/** A run of so many rows, with texts of so many characters in all, was over in a moment. */
export interface Momentary {
  rows: number;
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
      const rows = feeds[0]?.shape[0] ?? 1;
      if (rows <= momentary.rows && charactersOf(feeds) <= momentary.characters)
        return here.run(feeds, fetches);
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
