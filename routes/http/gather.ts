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
const timeLimit = 5000;

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
  const rounds = new Map<number, Round>();
  let count = 0;
  const end = (number: number, { asker, asks, known, timer }: Round) => {
    clearTimeout(timer);
    rounds.delete(number);
    sendTo(asker, { asks, known });
  };
  const leaveOut = (number: number, round: Round, id: number) => {
    if (round.missing.delete(id) && round.missing.size === 0) end(number, round);
  };
  const ask = (asker: Worker, asks: number) => {
    const number = ++count;
    const missing = new Set([...listening].filter((id) => cluster.workers?.[id]?.isConnected()));
    const round: Round = {
      asker,
      asks,
      known: [],
      missing,
      timer: setTimeout(() => end(number, round), timeLimit),
    };
    rounds.set(number, round);
    for (const id of missing) sendTo(cluster.workers?.[id], { tell: number });
  };
  cluster.on('exit', ({ id }) => {
    for (const [number, round] of rounds) leaveOut(number, round, id);
  });
  cluster.on('message', (worker, { asks, told, known }: Message) => {
    if (asks !== undefined) ask(worker, asks);
    const round = told === undefined ? undefined : rounds.get(told);
    if (told === undefined || !round) return;
    round.known.push(known);
    leaveOut(told, round, worker.id);
  });
}

interface Round {
  asker: Worker;
  asks: number;
  known: unknown[];
  missing: Set<number>;
  timer: NodeJS.Timeout;
}

function ignore(): void {}

/** Sends a message to a process, which may be gone. */
function sendTo(other: Pick<NodeJS.Process, 'send'> | Worker | undefined, message: Message): void {
  other?.send?.(message, undefined, undefined, ignore);
}
