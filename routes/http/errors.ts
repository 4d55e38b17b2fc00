import { STATUS_CODES } from 'node:http';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { messageOf, RunError } from '../../model/errors';
import { hintFor } from '../dialects/usage';
import { logError } from './log-lines';
import { sendJson } from './send';

/** What went wrong, for the caller: `status` and `expose` as https://github.com/jshttp/http-errors has them. */
export class HttpError extends Error {
  readonly expose = true;
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** A body over the limit, in bytes. */
export function tooLarge(bodyLimit: number): HttpError {
  const megabytes = bodyLimit / 2 ** 20;
  const limit = Number.isInteger(megabytes) ? `${megabytes}mb` : `${bodyLimit} bytes`;
  const advice = 'set it higher, or send arrays as {"b64": …}, which is shorter';
  return new HttpError(413, `the body is larger than BODY_LIMIT, ${limit}: ${advice}`);
}

/** A 404 for what no route has answered; OPTIONS of the whole server are answered. */
export const notFound: RequestHandler = (req, res) => {
  const allow = 'GET, HEAD, POST, PUT, OPTIONS';
  if (req.method === 'OPTIONS' && req.url === '*') return sendJson(res.set('Allow', allow), 200, { allow });
  throw new HttpError(404, `nothing is served at this path: use POST ${req.baseUrl}/predict`);
};

/** Ends a reply with an error; what is not the caller's is logged whole. Does nothing where it has ended, or nobody waits. */
export function sendError(error: unknown, _req: Request, res: Response, _next?: NextFunction): void {
  if (res.writableEnded || res.req.socket.destroyed) return;
  const { status, message, isOurs } = translate(error);
  const { id } = res.locals;
  const { cause } = Object(error);
  res.locals.errorMessage = isOurs || cause ? messageOf(cause ?? error) : message;
  if (isOurs) logError(res.app.locals.logFormat, id, error);
  // Half of a reply cannot be taken back.
  if (res.headersSent) return void res.destroy();
  if (status === 503) res.setHeader('Retry-After', '1');
  if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
  // How to ask: where there is no route, the first model.
  const model = res.req.route ? res.locals.model : res.app.locals.model;
  const hint = model && [400, 404, 405].includes(status) ? hintFor(model, res.req.baseUrl) : undefined;
  sendJson(res, status, { error: hint ? `${message}. ${hint}` : message, ...(isOurs && { id }) });
}

/** What the caller is told: of what is our fault, no more than that it happened. */
function translate(error: unknown): { status: number; message: string; isOurs?: true } {
  const { status, expose, type, message }: Record<string, unknown> = Object(error);
  const isStatus = typeof status === 'number' && status >= 400 && status < 600;
  if (!isStatus || !(expose ?? status < 500)) {
    const failure = error instanceof RunError ? 'the model failed' : 'internal error';
    return { status: isStatus ? status : 500, message: failure, isOurs: true };
  }
  // A parser's message repeats the body.
  if (type === 'entity.parse.failed') return { status, message: 'the body is not JSON' };
  // An object without a message is not shown: it may hold anything.
  const shown = typeof message === 'string' ? messageOf(error) : (STATUS_CODES[status] ?? 'refused');
  return { status, message: shown };
}
