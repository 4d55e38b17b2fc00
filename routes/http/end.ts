import cluster from 'node:cluster';
import type { Express } from 'express';
import type { Model } from '../../model/model';
import { formatLines } from './lines';
import { flushLog } from './log';
import type { Options } from './options';

/** Most milliseconds from the signal to the end: hosts kill what lives on for 30 s. */
const gracePeriod = 25_000;

/**
 * Calls `end` at the first SIGTERM or SIGINT, and `giveUp` where that has not ended the process in time. One line says so,
 * of all workers their primary's.
 */
export function onSignal(end: () => void, giveUp: () => void, options: Options): void {
  let called = false;
  const once = (signal: string) => {
    if (called) return;
    called = true;
    setTimeout(giveUp, gracePeriod);
    if (!cluster.isWorker) {
      console.log(formatLines(options, `${signal}: answering what was accepted, then ending`));
    }
    end();
  };
  process.on('SIGTERM', once).on('SIGINT', once);
}

/**
 * Whatever ends the process, writes what is to be logged, and does not wait for a run: process.exit() waits for threads,
 * so that nothing but a signal to itself ends one.
 */
export function killRunsOnExit(models: readonly Model[]): void {
  process.on('exit', () => {
    flushLog();
    if (models.some(({ status }) => status.runningSince !== undefined)) process.kill(process.pid, 'SIGKILL');
  });
}

/** At a signal, answers what was accepted, lets the runs in progress end, and ends the process. */
export function endOnSignal(drain: () => Promise<void>, models: readonly Model[], options: Options): void {
  onSignal(
    async () => {
      await drain();
      await Promise.all(models.map((model) => model.close()));
      process.exit(0);
    },
    () => {
      const why = `not ended after ${gracePeriod / 1000} s: killing what still runs`;
      console.error(formatLines(options, why));
      process.exit(1);
    },
    options,
  );
}

/**
 * Watches for a run that does not end, which nothing but the process' own end can stop: health says so, requests for
 * other models are answered, and the process kills itself, for its host to start another.
 */
export function killStuckRuns(
  app: Express,
  drain: () => Promise<void>,
  models: readonly Model[],
  options: Options,
): void {
  const { timeout } = options;
  const check = () => {
    const longest = performance.now() - 2 * timeout;
    const stuck = models.find(({ status }) => (status.runningSince ?? Number.POSITIVE_INFINITY) < longest);
    if (!stuck || app.locals.stuck) return;
    app.locals.stuck = true;
    const why = `a run of ${stuck.name} takes more than twice TIMEOUT, ${timeout / 1000} s: ending the process`;
    console.error(formatLines(options, why));
    setTimeout(() => process.exit(1), gracePeriod).unref();
    void drain().then(() => process.exit(1));
  };
  setInterval(check, Math.min(1000, timeout)).unref();
}
