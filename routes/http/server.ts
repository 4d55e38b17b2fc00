import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import type { Express, Request, Response } from 'express';
import { BootError } from '../../model/errors';
import type { Options } from './options';

/** The HTTP server around the app, whose prototypes of requests and responses it replaces. */
export function createHttpServer(app: Express, { timeout, keepAlive }: Options): http.Server {
  const settings: http.ServerOptions = {
    ...replaceMessages(app),
    keepAliveTimeout: keepAlive,
    requestTimeout: timeout,
    headersTimeout: timeout,
    connectionsCheckingInterval: Math.min(1000, timeout),
  };
  return http
    .createServer(settings, app)
    .on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const isUnused = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
      if (!isUnused) return refuse(error, socket);
      // A load balancer's connection, made in advance, is as idle as one whose request was answered.
      setTimeout(() => socket.bytesRead === 0 && socket.destroy(), keepAlive).unref();
    });
}

/** What Node.js does without a listener: https://github.com/nodejs/node/blob/v24.0.0/lib/_http_server.js, socketOnError. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  const status = refusals[error.code ?? ''] ?? 400;
  // Not into a reply that has begun.
  const { _httpMessage: reply } = Object(socket);
  if (socket.writable && !reply?.headersSent) {
    socket.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy(error);
}

const refusals: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

// The classes of the app's requests and responses. Express gives plain ones other prototypes, one by one, which
// slows each of their uses from then on: on Node.js 20 a request then costs four times the CPU.
function replaceMessages(app: Express): Pick<http.ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class AppRequest extends http.IncomingMessage {}
  class AppResponse<T extends http.IncomingMessage> extends http.ServerResponse<T> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Listens, and gives the port. Throws BootError where it cannot. */
export async function listen(server: http.Server, { port, host }: Options): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening').catch(({ message }: Error) => {
    const remedy = 'set PORT to another, or HOST to an address of this machine';
    throw new BootError(`cannot listen on port ${port} (${message}): ${remedy}.`);
  });
  return Object(server.address()).port;
}
