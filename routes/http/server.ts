import { once } from 'node:events';
import {
  createServer,
  IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
  STATUS_CODES,
} from 'node:http';
import net from 'node:net';
import type { Express, Request, Response } from 'express';
import { BootError } from '../../model/errors';
import type { Model } from '../../model/model';
import { flushLog, formatLines } from './log';
import type { Options } from './options';
import { isOurWorker } from './workers';

/** A request that is on its way when the server stops may still arrive on an open connection. */
const lingerMs = 1000;
/** From the signal to the end: hosts kill what lives on for 30 s. */
const gracePeriodMs = 25_000;

/** The HTTP server around the app, and what stops it. */
export function createHttpServer(
  app: Express,
  { timeout, keepAlive, bodyLimit }: Options,
): { server: Server; drain(): Promise<void> } {
  const server = createServer(
    {
      ...messagesOf(app),
      keepAliveTimeout: keepAlive,
      requestTimeout: timeout,
      headersTimeout: timeout,
      connectionsCheckingInterval: Math.min(1000, timeout),
    },
    app,
  );
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: net.Socket) => {
    const isUnused = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
    if (!isUnused) return refuse(error, socket);
    // A load balancer's connection, made in advance, is idle, as one whose request was answered is.
    setTimeout(() => socket.bytesRead === 0 && socket.destroy(), keepAlive).unref();
  });
  // A client that asks first need not send a body that is too large.
  server.on('checkContinue', (req, res) => {
    if (Number(req.headers['content-length'] ?? 0) <= bodyLimit) res.writeContinue();
    app(req, res);
  });

  /** Stops accepting connections; resolves when every request on the open ones is answered and they are closed. */
  const drain = () => {
    app.locals.draining = true;
    const closeIdle = () => {
      // A reply that has ended but waits for its reader counts as idle there.
      const isRead = [...sockets].every(({ writableLength }) => writableLength === 0);
      if (isRead) server.closeIdleConnections();
      // A connection that was made in advance and never used does not count as idle.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    };
    return new Promise<void>((resolve) => {
      // http's own close() would reset requests that are just arriving on idle connections.
      net.Server.prototype.close.call(server, () => resolve());
      setTimeout(() => setInterval(closeIdle, 50), lingerMs);
    });
  };
  return { server, drain };
}

/** What Node.js does itself where nobody listens: https://github.com/nodejs/node/blob/v24.0.0/lib/_http_server.js, socketOnError. */
function refuse(error: NodeJS.ErrnoException, socket: net.Socket): void {
  const status = refusals[error.code ?? ''] ?? 400;
  // Not into a reply that has begun.
  const { _httpMessage: reply } = Object(socket);
  if (socket.writable && !reply?.headersSent) {
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy(error);
}

const refusals: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/**
 * The classes of the app's requests and responses. Express gives plain ones other prototypes, one by one, which slows
 * each of their uses from then on: on Node.js 20 a request then costs four times the CPU.
 */
function messagesOf(app: Express): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<T extends IncomingMessage> extends ServerResponse<T> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Listens, and gives the port. Throws BootError where it cannot. */
export async function listen(server: Server, { port, host }: Options): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening').catch(({ code }: NodeJS.ErrnoException) => {
    const reasons: Record<string, string> = {
      EADDRINUSE: `port ${port} is taken: set PORT to another, or stop what listens there.`,
      EACCES: `port ${port} is not allowed to this user: set PORT to one above 1023.`,
    };
    const otherwise = host
      ? `HOST must be an address of this machine, not ${JSON.stringify(host)} (${code}): without it, all are listened on.`
      : `cannot listen on port ${port}: ${code}.`;
    throw new BootError(reasons[code ?? ''] ?? otherwise);
  });
  return Object(server.address()).port;
}

/**
 * Calls `end` at the first SIGTERM, SIGINT or SIGHUP, and `giveUp` where that has not ended the process in time. One line
 * says so, of all workers their primary's.
 */
export function onSignal(end: () => void, giveUp: () => void, options: Options): void {
  let called = false;
  const once = (signal: string) => {
    if (called) return;
    called = true;
    setTimeout(giveUp, gracePeriodMs);
    if (!isOurWorker) {
      console.log(formatLines(options, `${signal}: answering what was accepted, then ending`));
    }
    end();
  };
  process.on('SIGTERM', once).on('SIGINT', once).on('SIGHUP', once);
}

/** At a signal, answers what was accepted, lets the runs in progress end, and ends the process. */
export function endOnSignal(drain: () => Promise<void>, models: readonly Model[], options: Options): void {
  const end = async () => {
    await drain();
    await Promise.all(models.map((model) => model.close()));
    process.exit(0);
  };
  const giveUp = () => {
    const text = `not ended after ${gracePeriodMs / 1000} s: killing what still runs`;
    console.error(formatLines(options, text));
    process.exit(1);
  };
  onSignal(end, giveUp, options);
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
    const text = `a run of ${stuck.name} takes more than twice TIMEOUT, ${timeout / 1000} s: ending the process`;
    console.error(formatLines(options, text));
    setTimeout(() => process.exit(1), gracePeriodMs).unref();
    void drain().then(() => process.exit(1));
  };
  setInterval(check, Math.min(1000, timeout)).unref();
}
