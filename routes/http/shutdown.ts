import type { Server } from 'node:http';
import net from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Express } from 'express';
import type { Model } from '../../model/model';
import { flushLog, logInfo, logProblem } from './log-lines';
import type { Options } from './options';
import { isOurWorker } from './workers';

/** A request that is on its way when the server stops may still arrive on an open connection. */
const lingerMs = 1000;
/** From the signal to the end: hosts kill what lives on for 30 s. */
const gracePeriodMs = 25_000;
const stuckCheckMs = 1000;

/** Has the process end well: at a signal, where a run does not end, and whatever else ends it. */
export function endWell(app: Express, server: Server, models: readonly Model[], options: Options): void {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  onSignal(options, async () => {
    await drain(app, server, sockets);
    await Promise.all(models.map((model) => model.close()));
    process.exit(0);
  });
  onStuckRun(models, options, async () => {
    await Promise.race([drain(app, server, sockets), wait(gracePeriodMs)]);
    process.exit(1);
  });
  process.on('exit', () => {
    flushLog();
    // To end, a process waits for its threads; nothing but a signal to itself ends one during a run.
    if (models.some(({ status }) => status.runningSince !== undefined)) process.kill(process.pid, 'SIGKILL');
  });
}

/** Calls `end` at the first SIGTERM, SIGINT or SIGHUP, and ends the process where that has not ended it in time. */
export function onSignal(options: Options, end: () => void): void {
  let isEnding = false;
  const stop = (signal: string) => {
    if (isEnding) return;
    isEnding = true;
    // Of workers the primary says so, for all.
    if (!isOurWorker) logInfo(options.logFormat, `${signal}: answering what was accepted, then ending`);
    setTimeout(() => {
      logProblem(options.logFormat, `not ended after ${gracePeriodMs / 1000} s: killing what still runs`);
      process.exit(1);
    }, gracePeriodMs);
    end();
  };
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', stop);
}

/** Calls `end` once where a run takes so long that it may never end, which only the end of its process can stop. */
function onStuckRun(models: readonly Model[], options: Options, end: () => void): void {
  const { timeout } = options;
  const timer = setInterval(() => {
    const earliest = performance.now() - 2 * timeout;
    const stuck = models.find(({ status }) => (status.runningSince ?? Number.POSITIVE_INFINITY) < earliest);
    if (!stuck) return;
    clearInterval(timer);
    const limit = `more than twice TIMEOUT, ${timeout / 1000} s`;
    logProblem(options.logFormat, `a run of ${stuck.name} takes ${limit}: ending the process`);
    end();
  }, stuckCheckMs).unref();
}

/** Has a server accept no more connections; resolves once the open ones are answered and closed. */
async function drain(app: Express, server: Server, sockets: ReadonlySet<net.Socket>): Promise<void> {
  app.locals.draining = true;
  // Before the app, whose cors and routes of one's own do not answer by send.ts.
  server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'));
  // http's own close() would reset requests that are just arriving on idle connections.
  net.Server.prototype.close.call(server);
  const lingersUntil = performance.now() + lingerMs;
  while (sockets.size > 0) {
    await wait(50);
    if (performance.now() < lingersUntil) continue;
    // A reply that has ended but waits for its reader counts as idle there.
    const isRead = [...sockets].every(({ writableLength }) => writableLength === 0);
    if (isRead) server.closeIdleConnections();
    // A connection that was made in advance and never used does not count as idle.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
