import cluster, { type Worker } from 'node:cluster';
import { logProblem } from './log-lines';
import type { Options } from './options';

const workerMark = 'ONNX_MODEL_SERVER_WORKER';

/** Whether the primary of this process is one of ours: that of a process manager, such as pm2's, knows nothing of what we ask ours. */
export const isOurWorker = cluster.isWorker && process.env[workerMark] === '1';

/** Before a worker that could not boot is tried again; doubled each time. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;

/** The workers on one port: the others boot once the first has, without which the process ends; those that die are replaced. */
export class Workers {
  private readonly listening = new Set<number>();
  private hasBooted = false;
  private pauseMs = firstPauseMs;
  private isEnding = false;

  constructor(private readonly options: Options) {
    cluster.on('listening', (worker) => this.onListening(worker));
    cluster.on('exit', (worker, code, signal) => this.onExit(worker, code, signal));
    // By round-robin, a connection that was handed to a worker that dies would hang, never accepted.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    this.fork();
  }

  /** Lets all workers end, and then the process. */
  end(): void {
    this.isEnding = true;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
    if (!isAnyAlive()) process.exit();
  }

  private fork(): void {
    if (this.isEnding) return;
    cluster.fork({ [workerMark]: '1' }).on('error', (error: NodeJS.ErrnoException) => {
      // The metrics were asked of a worker that has just died.
      if (error.syscall !== 'write') throw error;
    });
  }

  private onListening({ id }: Worker): void {
    this.listening.add(id);
    this.pauseMs = firstPauseMs;
    if (!this.hasBooted) for (let i = 1; i < this.options.processes; i++) this.fork();
    this.hasBooted = true;
  }

  private onExit(worker: Worker, code: number | null, signal: string | null): void {
    const hasListened = this.listening.delete(worker.id);
    if (this.isEnding) {
      if (hasListened && code !== 0) process.exitCode = 1;
      if (!isAnyAlive()) process.exit();
      return;
    }
    // The first has said why it could not boot, unless it crashed.
    if (this.hasBooted || code !== 1) {
      const reason = signal ?? `exit code ${code}`;
      logProblem(this.options.logFormat, `worker ${worker.process.pid} died (${reason})`);
    }
    if (!this.hasBooted) process.exit(1);
    if (hasListened) return void this.fork();
    setTimeout(() => this.fork(), this.pauseMs);
    this.pauseMs = Math.min(longestPauseMs, 2 * this.pauseMs);
  }
}

function isAnyAlive(): boolean {
  return Object.values(cluster.workers ?? {}).some((worker) => worker?.isDead() === false);
}
