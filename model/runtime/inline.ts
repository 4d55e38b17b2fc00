import { allNodes, type OnnxFile } from '../graph/onnx';
import type { Sampler } from '../samples';
import { bytesIn, sizeOf, valuesIn } from '../values/tensor';
import type { Runner, Source } from './session';
import { openOnThread, threadRunner } from './thread';

/** Models of up to so many bytes may run on the thread that serves HTTP, if they are quick. */
const inlineModelBytes = 16 * 2 ** 20;
const inlineMs = 2;
/** How often a text is repeated in a long one. */
const longTextRepeats = 40;
/** Operators that may compute much for little input. */
const slow =
  /^(.*Conv.*|GRU|LSTM|RNN|.*Attention.*|Loop|Scan|Range|Expand|Tile|ConstantOfShape|Resize|Upsample|OneHot|Pad|CenterCropPad|NonZero|NonMaxSuppression)$/;

/** Whether a model is small, and neither values nor open lengths decide how much it computes for a row. */
export function mayRunInline(file: OnnxFile): boolean {
  const { graph, size } = file;
  // Weights may be in another file: as if they were all float32.
  const weights = graph.initializers.reduce((sum, { dims }) => sum + 4 * sizeOf(dims), 0);
  if (Math.max(size, weights) > inlineModelBytes) return false;
  // Of an unknown rank, all lengths are open.
  const lengths = graph.inputs.flatMap(({ dims: [, ...row] = [-1, -1] }) => row);
  return lengths.every((length) => length >= 0) && ![...allNodes(file)].some(({ op }) => slow.test(op));
}

/** Keeps runs here that are no larger than quick ones of made-up rows: crossing to a thread costs as much as a tiny model's run. */
export async function inline(here: Runner, source: Source, sampler: Sampler, rows: number): Promise<Runner> {
  // An encoder may refuse a text that it does not know. One row first: many of a slow model would take long.
  const alone = (await sampler.best(1, longTextRepeats)) ?? (await sampler.best(1));
  const together = alone && alone.ms <= inlineMs ? await sampler.best(rows, alone.size) : undefined;
  if (!together || together.ms > inlineMs) {
    await here.close();
    return openOnThread(source);
  }
  const timed = sampler.feeds(together.rows, together.size);
  const [values, bytes] = [valuesIn(timed), bytesIn(timed)];
  const thread = threadRunner(source);
  return {
    ...here,
    run(feeds, fetches) {
      // Every dimension but the batch is fixed, so that values count rows.
      const isQuick = valuesIn(feeds) <= values && bytesIn(feeds) <= bytes;
      return (isQuick ? here : thread).run(feeds, fetches);
    },
    async close() {
      await here.close();
      await thread.close();
    },
  };
}
