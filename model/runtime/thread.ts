import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { messageOf } from '../errors';
import type { Tensor } from '../values/tensor';
import { openSession, type Runner, type Source } from './session';

/** The key under which a thread is told what to load. */
const sourceKey = 'onnx-model-server';

type Values = Pick<Runner, 'inputs' | 'outputs'>;
type Reply = { ready: Values } | { tensors: Tensor[] } | { error: string };

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
    worker.postMessage({ feeds: own, fetches }, [...new Set(own.flatMap(bufferOf))]);
    const answer = await ask(worker);
    if ('tensors' in answer) return answer.tensors;
    throw new Error('error' in answer ? answer.error : 'the inference thread gave no answer');
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
  const answer = await ask(worker);
  if ('ready' in answer) return [worker, answer.ready];
  await worker.terminate();
  throw new Error('error' in answer ? answer.error : 'the inference thread did not start');
}

/** The thread's next message; rejects where it ends before. */
function ask(worker: Worker): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let reason = new Error('the inference thread died');
    const onMessage = (reply: Reply) => {
      forget();
      resolve(reply);
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

/** A tensor that shares its memory with nothing else: what is handed over is gone here. */
function withOwnMemory(tensor: Tensor): Tensor {
  const { data } = tensor;
  if (Array.isArray(data) || data.byteLength === data.buffer.byteLength) return tensor;
  return { ...tensor, data: data.slice() };
}

/** The memory of a tensor, to be handed over in place of a copy; strings have none. */
function bufferOf({ data }: Tensor): ArrayBuffer[] {
  return Array.isArray(data) || !(data.buffer instanceof ArrayBuffer) ? [] : [data.buffer];
}

async function serve(port: MessagePort, source: Source): Promise<void> {
  let session: Runner;
  const reply = (message: Reply, buffers: ArrayBuffer[] = []) =>
    port.postMessage(message, [...new Set(buffers)]);
  try {
    session = await openSession(source);
    reply({ ready: { inputs: session.inputs, outputs: session.outputs } });
  } catch (error) {
    return reply({ error: messageOf(error) });
  }
  port.on('message', async ({ feeds, fetches }: { feeds: Tensor[]; fetches: string[] }) => {
    try {
      const tensors = await session.run(feeds, fetches);
      reply({ tensors }, tensors.flatMap(bufferOf));
    } catch (error) {
      reply({ error: messageOf(error) });
    }
    // V8 rarely collects here, since this thread makes little garbage of its own, and what it was handed would pile up.
    for (const buffer of new Set(feeds.flatMap(bufferOf))) buffer.transfer?.(0);
  });
}

// Not where this file is loaded by a worker of somebody else's.
if (!isMainThread && parentPort && workerData?.[sourceKey]) void serve(parentPort, workerData[sourceKey]);
