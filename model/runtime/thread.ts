import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { messageOf } from '../errors';
import type { Tensor } from '../values/tensor';
import { openSession, type Runner, type Source } from './session';

/** The key under which a thread is told what to load. */
const sourceKey = 'onnx-model-server';

type Values = Pick<Runner, 'inputs' | 'outputs'>;
type Reply<T> = { value: T } | { error: string };

/**
 * Loads a model on a thread of its own, so that its runs do not block this one.
 * Rejects with the runtime's error. A run whose thread dies rejects, and the next run starts a new thread.
 */
export async function startThread(source: Source): Promise<Runner> {
  let [worker, values] = await start(source);
  let idle: Promise<unknown> = Promise.resolve();
  const runNow = async (feeds: readonly Tensor[], fetches: readonly string[]) => {
    // A thread that has ended has the id -1.
    if (worker.threadId === -1) [worker] = await start(source);
    const own = feeds.map(withOwnMemory);
    worker.postMessage({ feeds: own, fetches }, buffersOf(own));
    return ask<Tensor[]>(worker);
  };
  return {
    ...values,
    run(feeds, fetches) {
      // One that nobody waits for any more may still be going on.
      const answer = idle.then(() => runNow(feeds, fetches));
      idle = answer.catch(() => {});
      return answer;
    },
    // Ending a thread during a run aborts the process.
    close: () => idle.then(async () => void (await worker.terminate())),
  };
}

async function start(source: Source): Promise<[Worker, Values]> {
  const worker = new Worker(__filename, { workerData: { [sourceKey]: source } });
  // An error between runs would end the process if nobody listened; 'exit' follows it.
  worker.on('error', () => {});
  try {
    return [worker, await ask<Values>(worker)];
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

/** What the thread's next message holds; rejects with its error, or where it ends before. */
function ask<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    let reason = new Error('the inference thread died');
    const onMessage = (reply: Reply<T>) => {
      forget();
      if ('error' in reply) reject(new Error(reply.error));
      else resolve(reply.value);
    };
    const onError = (error: Error) => {
      reason = error;
    };
    const onExit = () => {
      forget();
      reject(reason);
    };
    const forget = () => worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

/** A tensor that shares its memory with nothing else: what is handed over cannot be read here any more. */
function withOwnMemory(tensor: Tensor): Tensor {
  const { data } = tensor;
  if (Array.isArray(data) || data.byteLength === data.buffer.byteLength) return tensor;
  return { ...tensor, data: data.slice() };
}

/** The memory of tensors, to be handed over in place of a copy; strings have none. */
function buffersOf(tensors: readonly Tensor[]): ArrayBuffer[] {
  const all = tensors.map(({ data }) => (Array.isArray(data) ? undefined : data.buffer));
  return [...new Set(all)].filter((buffer) => buffer instanceof ArrayBuffer);
}

async function answerMessages(port: MessagePort, source: Source): Promise<void> {
  let session: Runner;
  const reply = (message: Reply<Values | Tensor[]>, buffers: ArrayBuffer[] = []) =>
    port.postMessage(message, buffers);
  try {
    session = await openSession(source);
    reply({ value: { inputs: session.inputs, outputs: session.outputs } });
  } catch (error) {
    return reply({ error: messageOf(error) });
  }
  port.on('message', async ({ feeds, fetches }: { feeds: Tensor[]; fetches: string[] }) => {
    try {
      const tensors = await session.run(feeds, fetches);
      reply({ value: tensors }, buffersOf(tensors));
    } catch (error) {
      reply({ error: messageOf(error) });
    }
    // V8 rarely collects here, since this thread makes little garbage of its own, and what it was handed would pile up.
    for (const buffer of buffersOf(feeds)) buffer.transfer?.(0);
  });
}

// Not where this file is loaded by a worker of somebody else's.
if (!isMainThread && parentPort && workerData?.[sourceKey])
  void answerMessages(parentPort, workerData[sourceKey]);
