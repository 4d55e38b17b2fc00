import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import { isAnnouncedTooLarge } from './errors';
import type { Options } from './options';

/** How long idle connections are kept: longer than the routers of common hosts keep theirs. */
const keepAlive = 95_000;
/** A request that is on its way when the server stops may still arrive on an open connection. */
const linger = 1000;

/** The HTTP server around the app; what Node.js' own parser refuses is answered in JSON too. */
export function createHttpServer(app: Express, options: Options): Server {
  const server = createServer({
    keepAliveTimeout: keepAlive,
    requestTimeout: options.timeout,
    headersTimeout: options.timeout,
    connectionsCheckingInterval: Math.min(1000, options.timeout),
    // Missing, it is answered by the app, in JSON.
    requireHostHeader: false,
  });
  watchConnections(server);
  const latest = new WeakMap<
    Duplex,
    { req: IncomingMessage; res: ServerResponse & { locals?: Record<string, unknown> } }
  >();
  const handle = (req: IncomingMessage, res: ServerResponse) => {
    latest.set(req.socket, { req, res });
    app(req, res);
  };
  server.on('request', handle);
  // A client that asks first need not send a body that is too large.
  server.on('checkContinue', (req, res) => {
    if (!isAnnouncedTooLarge(req, options)) res.writeContinue();
    handle(req, res);
  });
  server.on('checkExpectation', handle);
  server.on('connect', (_req, socket) => refuse(socket, 405, 'Method Not Allowed', 'CONNECT is for proxies'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const [status, text, message] = parserErrors[error.code ?? ''] ?? [
      400,
      'Bad Request',
      'this is not HTTP/1.1',
    ];
    const exchange = latest.get(socket);
    if (exchange && !exchange.res.writableFinished && !exchange.res.destroyed) {
      const { req, res } = exchange;
      // An earlier request of the connection is to get its answer first.
      if (req.complete || res.headersSent)
        return void res.once('close', () => refuse(socket, status, text, message));
      const body = errorBody(message);
      if (res.locals) res.locals.why = message;
      res.writeHead(status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        Connection: 'close',
      });
      return void res.end(body);
    }
    refuse(socket, status, text, message);
  });
  return server;
}

const parserErrors: Record<string, [number, string, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'the headers are larger than 16 KB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'the chunk extensions are too large'],
};

function errorBody(message: string): string {
  return `${JSON.stringify({ error: message })}\n`;
}

/** Answers on a connection that has no request to answer, and ends it. */
function refuse(socket: Duplex, status: number, text: string, message: string): void {
  if (!socket.writable) return void socket.destroy();
  const body = errorBody(message);
  socket.end(
    `HTTP/1.1 ${status} ${text}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

/** Stops accepting connections; resolves when every request on the open ones is answered and they are closed. */
export function drain(server: Server, app: Express): Promise<void> {
  app.locals.draining = true;
  return new Promise((resolve) => {
    // http's own close() would reset requests that are just arriving on idle connections.
    net.Server.prototype.close.call(server, () => resolve());
    setTimeout(() => setInterval(() => closeIdle(server), 50), linger);
  });
}

function closeIdle(server: Server): void {
  server.closeIdleConnections();
  // A connection that was made in advance and never used does not count as idle.
  for (const socket of silent.get(server) ?? []) if (socket.bytesRead === 0) socket.destroy();
}

const silent = new WeakMap<Server, Set<net.Socket>>();

/** Keeps the connections that have not sent a byte yet, for the end. */
function watchConnections(server: Server): void {
  const sockets = new Set<net.Socket>();
  silent.set(server, sockets);
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
}
