import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import net from 'node:net';
import type { Express, Request, Response } from 'express';
import type { Options } from './options';

/** How long idle connections are kept: longer than the routers of common hosts keep theirs. */
const keepAlive = 95_000;
/** A request that is on its way when the server stops may still arrive on an open connection. */
const linger = 1000;

/** The HTTP server around the app, and what stops it. */
export function createHttpServer(
  app: Express,
  { timeout, bodyLimit }: Options,
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
      setTimeout(() => setInterval(closeIdle, 50), linger);
    });
  };
  return { server, drain };
}

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
