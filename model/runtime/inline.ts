import { allNodes, type OnnxFile } from '../graph/onnx';
import { bytesIn, type Tensor, valuesIn } from '../values/tensor';
import type { Runner, Source } from './session';
import { startThread, threadFor } from './thread';

/** Models of up to so many bytes may run on the thread that serves HTTP, if they are quick. */
const inlineModelBytes = 16 * 2 ** 20;
/** Operators that may compute much for little input. */
const slow =
  /^(.*Conv.*|GRU|LSTM|RNN|.*Attention.*|Loop|Scan|Range|Expand|Tile|ConstantOfShape|Resize|Upsample|OneHot|Pad|CenterCropPad|NonZero|NonMaxSuppression)$/;

/** Whether a model of so many bytes is small, and neither values nor open lengths decide how much it computes for a row. */
export function mayRunInline(file: OnnxFile, bytes: number): boolean {
  if (bytes > inlineModelBytes) return false;
  // Of an unknown rank, all lengths are open.
  const lengths = file.graph.inputs.flatMap(({ dims: [, ...row] = [-1, -1] }) => row);
  return lengths.every((length) => length >= 0) && ![...allNodes(file)].some(({ op }) => slow.test(op));
}

/**
 * A runner that keeps runs here which are no larger than made-up ones that were quick, and gives the others to a thread,
 * started when first needed: crossing to a thread costs a tiny model as much as its run.
 */
export async function inlineRunner(here: Runner, source: Source, quick?: readonly Tensor[]): Promise<Runner> {
  if (!quick) {
    await here.close();
    return startThread(source);
  }
  const [values, bytes] = [valuesIn(quick), bytesIn(quick)];
  const thread = threadFor(source);
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
