import cluster, { type Worker } from 'node:cluster';
import { logInfo, logProblem } from './log-lines';
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

/** Logs how a process has booted; a worker sends it to its primary, which logs it once for all. */
export async function report(message: BootMessage, options: Partial<Options>): Promise<void> {
  const { bootLog, bootError } = message;
  if (isOurWorker) return new Promise((sent) => process.send?.(message, undefined, undefined, () => sent()));
  if (bootLog !== undefined) logInfo(options, bootLog);
  if (bootError !== undefined) logProblem(options, bootError);
}

/** The workers on one port: those that die are replaced, and the process ends when all have ended. */
export class Workers {
  private readonly listening = new Set<number>();
  private everListened = false;
  private failedBoots = 0;
  private isEnding = false;

  constructor(private readonly options: Options) {
    cluster.on('message', (worker, message: BootMessage) => this.onMessage(worker, message));
    cluster.on('exit', (worker, code, signal) => this.onExit(worker, code, signal));
    process.on('exit', () => killAll('SIGKILL'));
    // By round-robin, a connection that was handed to a worker that dies would hang, never accepted.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    for (let i = 0; i < options.processes; i++) fork();
  }

  /** Lets all workers end, and then the process. */
  end(): void {
    this.isEnding = true;
    killAll('SIGTERM');
    if (!isAnyAlive()) process.exit();
  }

  private onMessage({ id }: Worker, { bootLog, bootError }: BootMessage): void {
    if (bootLog !== undefined) {
      if (!this.everListened) logInfo(this.options, bootLog);
      this.everListened = true;
      this.failedBoots = 0;
      this.listening.add(id);
    }
    if (bootError === undefined || this.isEnding) return;
    logProblem(this.options, bootError);
    if (!this.everListened) this.fail();
  }

  private onExit(worker: Worker, code: number | null, signal: string | null): void {
    const hasListened = this.listening.delete(worker.id);
    if (this.isEnding) {
      if (hasListened && code !== 0) process.exitCode = 1;
      if (!isAnyAlive()) process.exit();
      return;
    }
    logProblem(this.options, `worker ${worker.process.pid} died (${signal ?? `exit code ${code}`})`);
    if (!hasListened) this.failedBoots++;
    if (!this.everListened && this.failedBoots >= mostFailedBoots) {
      logProblem(this.options, 'The workers die before they can listen.');
      this.fail();
    }
    // Workers that serve are not to pay for one that cannot boot.
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.failedBoots - 1));
    setTimeout(() => this.isEnding || fork(), hasListened || !this.everListened ? 0 : pauseMs);
  }

  private fail(): void {
    process.exitCode = 1;
    this.end();
  }
}

function fork(): void {
  cluster.fork({ [workerMark]: '1' });
}

function killAll(signal: NodeJS.Signals): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal);
}

function isAnyAlive(): boolean {
  return Object.values(cluster.workers ?? {}).some((worker) => worker?.isDead() === false);
}
