import { on } from 'node:events';
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { messageOf } from '../errors';
import type { Tensor } from '../values/tensor';
import { openSession, type Runner, type Source } from './session';

const sourceKey = 'onnx-model-server';

/** Loads a model on a thread of its own, so that its runs do not block this one. Rejects with the runtime's error. */
export async function openOnThread(source: Source): Promise<Runner> {
  const thread = await startThread(source);
  return { ...thread.metadata, ...threadRunner(source, thread) };
}

/** Runs a model on a thread, which is started when first needed and after one that died, whose run rejects. */
export function threadRunner(source: Source, thread?: Thread): Pick<Runner, 'run' | 'close'> {
  let last: Promise<unknown> = Promise.resolve();
  return {
    // One before, for which nobody waits any more, may still be going on: it is answered first.
    async run(feeds, fetches) {
      // A thread that has ended has the id -1.
      if (!thread || thread.worker.threadId === -1) thread = await startThread(source);
      thread.worker.postMessage({ feeds, fetches }, buffersOf(feeds));
      const outputs = thread.nextReply<Tensor[]>();
      last = outputs.catch(() => {});
      return outputs;
    },
    // Ending a thread during a run aborts the process.
    close: () => last.then(async () => void (await thread?.worker.terminate())),
  };
}

type Thread = Awaited<ReturnType<typeof startThread>>;

/** A thread with its model loaded; `nextReply` rejects with the thread's error, or where it ends before it replies. */
async function startThread(source: Source) {
  const worker = new Worker(__filename, { workerData: { [sourceKey]: source } });
  const messages = on(worker, 'message', { close: ['exit'] });
  const fail = async (error: unknown): Promise<never> => {
    await worker.terminate();
    throw error;
  };
  const nextReply = async <T>(): Promise<T> => {
    const { done, value: message } = await messages.next().catch(fail);
    if (done) throw new Error('the inference thread died');
    const [{ value, error }]: { value: T; error?: string }[] = message;
    if (error !== undefined) throw new Error(error);
    return value;
  };
  return { worker, nextReply, metadata: await nextReply<Pick<Runner, 'inputs' | 'outputs'>>().catch(fail) };
}

/** The memory of tensors, to be handed over in place of a copy; strings have none. */
function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const all = tensors.map(({ data }) => (Array.isArray(data) ? undefined : data.buffer));
  return [...new Set(all)].filter((buffer) => buffer instanceof ArrayBuffer);
}

async function serveRuns(port: MessagePort, source: Source): Promise<void> {
  const fail = (error: unknown) => port.postMessage({ error: messageOf(error) });
  const session = await openSession(source).catch(fail);
  if (!session) return;
  const { inputs, outputs, run } = session;
  port.postMessage({ value: { inputs, outputs } });
  port.on('message', async ({ feeds, fetches }: { feeds: Tensor[]; fetches: string[] }) => {
    const reply = (outputs: Tensor[]) => port.postMessage({ value: outputs }, buffersOf(outputs));
    await run(feeds, fetches).then(reply).catch(fail);
    // V8 rarely collects here, since this thread makes little garbage of its own, and what it was handed would pile up.
    for (const buffer of buffersOf(feeds)) buffer.transfer?.(0);
  });
}

// Not where this file is loaded by a worker of somebody else's.
if (!isMainThread && parentPort && workerData?.[sourceKey]) void serveRuns(parentPort, workerData[sourceKey]);
