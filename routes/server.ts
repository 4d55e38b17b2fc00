import {
  createServer,
  IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
  STATUS_CODES,
} from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express, Request, Response } from 'express';
import { isAnnouncedTooLarge, sendJson } from './errors';
import type { Options } from './options';

/** How long idle connections are kept: longer than the routers of common hosts keep theirs. */
const keepAlive = 95_000;
/** A request that is on its way when the server stops may still arrive on an open connection. */
const linger = 1000;

/** The HTTP server around the app, and what stops it; what Node.js' own parser refuses is answered in JSON too. */
export function createHttpServer(app: Express, options: Options): { server: Server; drain(): Promise<void> } {
  const server = createServer({
    ...messagesOf(app),
    keepAliveTimeout: keepAlive,
    requestTimeout: options.timeout,
    headersTimeout: options.timeout,
    connectionsCheckingInterval: Math.min(1000, options.timeout),
    // Missing, it is answered by the app, in JSON.
    requireHostHeader: false,
  });
  /** The open connections, each with the response to its latest request. */
  const latest = new Map<net.Socket, Response | undefined>();
  server.on('connection', (socket: net.Socket) => {
    latest.set(socket, undefined);
    socket.once('close', () => latest.delete(socket));
  });
  const handle = (req: IncomingMessage, res: ServerResponse) => {
    latest.set(req.socket, res as Response);
    app(req, res);
  };
  server.on('request', handle);
  // A client that asks first need not send a body that is too large.
  server.on('checkContinue', (req, res) => {
    if (!isAnnouncedTooLarge(req, options)) res.writeContinue();
    handle(req, res);
  });
  server.on('checkExpectation', handle);
  server.on('connect', (_req, socket) => refuse(socket, 405, 'CONNECT is for proxies'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const [status, message] = parserErrors[error.code ?? ''] ?? [400, 'this is not HTTP/1.1'];
    const res = latest.get(socket as net.Socket);
    latest.delete(socket as net.Socket);
    if (!res || res.writableFinished || res.destroyed) return refuse(socket, status, message);
    // An earlier request of the connection is to get its answer first.
    if (res.req.complete || res.headersSent) {
      return void res.once('close', () => refuse(socket, status, message));
    }
    res.locals.why = message;
    res.setHeader('Connection', 'close');
    sendJson(res, status, { error: message });
  });

  /** Stops accepting connections; resolves when every request on the open ones is answered and they are closed. */
  const drain = () => {
    app.locals.draining = true;
    const closeIdle = () => {
      server.closeIdleConnections();
      // A connection that was made in advance and never used does not count as idle.
      for (const socket of latest.keys()) if (socket.bytesRead === 0) socket.destroy();
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

const parserErrors: Record<string, [number, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'the headers are larger than 16 KB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions are too large'],
};

/** Answers on a connection that has no request to answer, and ends it. */
function refuse(socket: Duplex, status: number, message: string): void {
  if (!socket.writable) return void socket.destroy();
  const body = `${JSON.stringify({ error: message })}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
