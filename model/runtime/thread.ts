import { on } from 'node:events';
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { messageOf } from '../errors';
import type { Tensor } from '../values/tensor';
import { openSession, type Runner, type Source } from './session';

const sourceKey = 'onnx-model-server';

/** Loads a model on a thread of its own, so that its runs do not block this one. Rejects with the runtime's error. */
export async function startThread(source: Source): Promise<Runner> {
  const thread = await start(source);
  return { ...thread.values, ...threadFor(source, thread) };
}

/** Runs a model on a thread, which is started when first needed and after one that died, whose run rejects. */
export function threadFor(source: Source, thread?: Thread): Pick<Runner, 'run' | 'close'> {
  let last: Promise<unknown> = Promise.resolve();
  return {
    // One before, for which nobody waits any more, may still be going on: it is answered first.
    async run(feeds, fetches) {
      // A thread that has ended has the id -1.
      if (!thread || thread.worker.threadId === -1) thread = await start(source);
      thread.worker.postMessage({ feeds, fetches }, buffersOf(feeds));
      const answer = thread.reply<Tensor[]>();
      last = answer.catch(() => {});
      return answer;
    },
    // Ending a thread during a run aborts the process.
    close: () => last.then(async () => void (await thread?.worker.terminate())),
  };
}

type Thread = Awaited<ReturnType<typeof start>>;

/** A thread with its model loaded; `reply` gives what it says next, or rejects with its error, or where it ends before. */
async function start(source: Source) {
  const worker = new Worker(__filename, { workerData: { [sourceKey]: source } });
  const messages = on(worker, 'message', { close: ['exit'] });
  const fail = async (error: unknown): Promise<never> => {
    await worker.terminate();
    throw error;
  };
  const reply = async <T>(): Promise<T> => {
    const { done, value: message } = await messages.next().catch(fail);
    if (done) throw new Error('the inference thread died');
    const [{ value, error }]: { value: T; error?: string }[] = message;
    if (error !== undefined) throw new Error(error);
    return value;
  };
  return { worker, reply, values: await reply<Pick<Runner, 'inputs' | 'outputs'>>().catch(fail) };
}

/** The memory of tensors, to be handed over in place of a copy; strings have none. */
function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const all = tensors.map(({ data }) => (Array.isArray(data) ? undefined : data.buffer));
  return [...new Set(all)].filter((buffer) => buffer instanceof ArrayBuffer);
}

async function answerMessages(port: MessagePort, source: Source): Promise<void> {
  const fail = (error: unknown) => port.postMessage({ error: messageOf(error) });
  const session = await openSession(source).catch(fail);
  if (!session) return;
  const { inputs, outputs, run } = session;
  port.postMessage({ value: { inputs, outputs } });
  port.on('message', async ({ feeds, fetches }: { feeds: Tensor[]; fetches: string[] }) => {
    const answer = (tensors: Tensor[]) => port.postMessage({ value: tensors }, buffersOf(tensors));
    await run(feeds, fetches).then(answer).catch(fail);
    // V8 rarely collects here, since this thread makes little garbage of its own, and what it was handed would pile up.
    for (const buffer of buffersOf(feeds)) buffer.transfer?.(0);
  });
}

// Not where this file is loaded by a worker of somebody else's.
if (!isMainThread && parentPort && workerData?.[sourceKey])
  void answerMessages(parentPort, workerData[sourceKey]);
