import { setTimeout as wait } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** Asks for /health every 20 ms until it is told to stop, then sends the latencies back. */
async function probe(url: string): Promise<void> {
  const milliseconds: number[] = [];
  let failed = 0;
  let stopped = false;
  parentPort?.once('message', () => {
    stopped = true;
  });
  while (!stopped) {
    const start = performance.now();
    const ok = await fetch(url)
      .then(async (reply) => reply.ok && (await reply.text()) !== '')
      .catch(() => false);
    if (!ok) failed++;
    milliseconds.push(performance.now() - start);
    await wait(20);
  }
  parentPort?.postMessage({ milliseconds, failed });
  parentPort?.close();
}

probe(workerData);
