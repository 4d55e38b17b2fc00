import cluster, { type Worker } from 'node:cluster';
import { onSignal } from './end';
import { answerWorkers } from './gather';
import { formatLines } from './lines';
import type { Options } from './options';

/** What a worker tells the primary: its boot log, or why it could not boot. */
interface Message {
  bootLog?: string;
  bootError?: string;
}

/** Milliseconds before a worker that could not boot is tried again, doubled each time. */
const firstPause = 500;
const longestPause = 30_000;
/** Boots that fail before any worker ever listened. */
const fewBoots = 3;

/** Says what a process has to say of its boot: a worker's primary prints it once for all. Resolves when it is sent. */
export function report(message: Message, options: Partial<Options>): Promise<void> {
  if (!cluster.isWorker) {
    if (message.bootLog !== undefined) console.log(formatLines(options, message.bootLog));
    if (message.bootError !== undefined) console.error(formatLines(options, message.bootError));
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    if (!process.send) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });
}

/** Starts so many workers on one port, replaces those that die, and ends when all have ended. */
export function supervise(options: Options): void {
  let ending = false;
  let exitCode = 0;
  let everListened = false;
  let failedBoots = 0;
  let logged = false;
  const listening = new Set<number>();
  const complain = (message: string) => console.error(formatLines(options, message));
  const end = () => {
    ending = true;
    for (const worker of alive()) worker.process.kill('SIGTERM');
    if (alive().length === 0) process.exit(exitCode);
  };
  const fail = (message: string) => {
    if (!ending) complain(message);
    exitCode = 1;
    end();
  };
  cluster.on('listening', ({ id }) => {
    everListened = true;
    failedBoots = 0;
    listening.add(id);
  });
  cluster.on('message', (_worker, { bootLog, bootError }: Message) => {
    if (bootLog !== undefined && !logged) {
      logged = true;
      console.log(formatLines(options, bootLog));
    }
    if (bootError === undefined) return;
    if (everListened) complain(bootError);
    else fail(bootError);
  });
  cluster.on('exit', (worker, code, signal) => {
    const booted = listening.delete(worker.id);
    if (ending) {
      if (booted && code !== 0) exitCode = 1;
      if (alive().length === 0) process.exit(exitCode);
      return;
    }
    complain(`worker ${worker.process.pid} died (${signal ?? `exit code ${code}`})`);
    if (booted) return void cluster.fork();
    failedBoots++;
    if (!everListened && failedBoots >= fewBoots) return fail('The workers die before they can listen.');
    // Others serve meanwhile, and are not to pay for one that cannot boot.
    const pause = everListened ? Math.min(longestPause, firstPause * 2 ** (failedBoots - 1)) : 0;
    setTimeout(() => ending || cluster.fork(), pause);
  });
  answerWorkers(listening);
  const giveUp = () => {
    for (const worker of alive()) worker.process.kill('SIGKILL');
    process.exit(1);
  };
  onSignal(end, giveUp, options);
  // In turn, a connection that was handed to a worker which dies would hang: nobody accepts it any more.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  for (let i = 0; i < options.processes; i++) cluster.fork();
}

function alive(): Worker[] {
  return Object.values(cluster.workers ?? {}).flatMap((worker) =>
    worker && !worker.isDead() ? [worker] : [],
  );
}
