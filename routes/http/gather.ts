import cluster, { type Worker } from 'node:cluster';

/** What workers and their primary tell each other, to put together what all workers know. */
interface Message {
  /** A worker asks for what all know, under a number of its own. */
  asks?: number;
  /** The primary asks each, under a number of its own, and each tells. */
  tell?: number;
  told?: number;
  /** What one knows, or what all do. */
  known?: unknown;
}

/** Milliseconds after which a worker that has not told is left out. */
const patience = 5000;

/** In a worker: shares what it knows with the others, and gives a function that asks for what all know. */
export function shareWithWorkers<T>(know: () => Promise<T>): () => Promise<T[]> {
  const asked = new Map<number, (known: T[]) => void>();
  let count = 0;
  process.on('message', ({ tell, asks, known }: Message) => {
    // One that cannot tell is left out.
    if (tell !== undefined) know().then((known) => sendTo(process, { told: tell, known }), ignore);
    if (asks === undefined) return;
    asked.get(asks)?.(known as T[]);
    asked.delete(asks);
  });
  return () =>
    new Promise((resolve) => {
      asked.set(++count, resolve);
      sendTo(process, { asks: count });
    });
}

/** In the primary: asks all workers that listen for what one of them wants to know of all. */
export function answerWorkers(listening: ReadonlySet<number>): void {
  const rounds = new Map<number, (from: Worker, known: unknown) => void>();
  let count = 0;
  const ask = (asker: Worker, asks: number) => {
    const round = ++count;
    const known: unknown[] = [];
    const missing = new Set([...listening].filter((id) => cluster.workers?.[id]?.isConnected()));
    const end = () => {
      clearTimeout(timer);
      rounds.delete(round);
      cluster.off('exit', leaveOut);
      sendTo(asker, { asks, known });
    };
    const leaveOut = ({ id }: Worker) => {
      if (missing.delete(id) && missing.size === 0) end();
    };
    const timer = setTimeout(end, patience);
    cluster.on('exit', leaveOut);
    rounds.set(round, (from, one) => {
      known.push(one);
      leaveOut(from);
    });
    for (const id of missing) sendTo(cluster.workers?.[id], { tell: round });
  };
  cluster.on('message', (worker, { asks, told, known }: Message) => {
    if (asks !== undefined) ask(worker, asks);
    if (told !== undefined) rounds.get(told)?.(worker, known);
  });
}

function ignore(): void {}

/** Sends a message to a process, which may be gone. */
function sendTo(other: Pick<NodeJS.Process, 'send'> | Worker | undefined, message: Message): void {
  other?.send?.(message, undefined, undefined, ignore);
}
