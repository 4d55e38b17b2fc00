import cluster, { type Worker } from 'node:cluster';
import { formatLines } from './log';
import type { Options } from './options';

/** What a worker tells the primary: its boot log, or why it could not boot. */
interface BootMessage {
  bootLog?: string;
  bootError?: string;
}

/** Set for our own workers: the primary of a process manager, such as pm2's, knows nothing of our messages. */
const workerMark = 'ONNX_MODEL_SERVER_WORKER';

/** Whether the primary of this process is one of ours. */
export const isOurWorker = cluster.isWorker && process.env[workerMark] === '1';

/** Milliseconds before a worker that could not boot is tried again, doubled each time. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** Boots that may fail before any worker has ever listened. */
const mostFailedBoots = 3;

/** Says what a process has to say of its boot: for a worker, its primary does, once for all. Resolves when it is sent. */
export function report(message: BootMessage, options: Partial<Options>): Promise<void> {
  if (!isOurWorker) {
    if (message.bootLog !== undefined) console.log(formatLines(options, message.bootLog));
    if (message.bootError !== undefined) console.error(formatLines(options, message.bootError));
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

/**
 * Starts so many workers on one port, replaces those that die, and ends the process when all have ended. Gives what lets
 * them end, and what kills them.
 */
export function supervise(options: Options): { end(): void; kill(): void } {
  let ending = false;
  let exitCode = 0;
  let everListened = false;
  let failedBoots = 0;
  let logged = false;
  const listening = new Set<number>();
  const complain = (message: string) => console.error(formatLines(options, message));
  const fork = () => cluster.fork({ [workerMark]: '1' });
  const end = () => {
    ending = true;
    for (const worker of alive()) worker.process.kill('SIGTERM');
    if (alive().length === 0) process.exit(exitCode);
  };
  const kill = () => {
    for (const worker of alive()) worker.process.kill('SIGKILL');
    process.exit(1);
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
  cluster.on('message', (_worker, { bootLog, bootError }: BootMessage) => {
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
    if (booted) return void fork();
    failedBoots++;
    if (!everListened && failedBoots >= mostFailedBoots) {
      return fail('The workers die before they can listen.');
    }
    // Others serve meanwhile, and are not to pay for one that cannot boot.
    const pause = everListened ? Math.min(longestPauseMs, firstPauseMs * 2 ** (failedBoots - 1)) : 0;
    setTimeout(() => ending || fork(), pause);
  });
  // In turn, a connection that was handed to a worker which dies would hang: nobody accepts it any more.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  for (let i = 0; i < options.processes; i++) fork();
  return { end, kill };
}

function alive(): Worker[] {
  return Object.values(cluster.workers ?? {}).flatMap((worker) =>
    worker && !worker.isDead() ? [worker] : [],
  );
}
