import type { IncomingMessage } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { BadInput, messageOf, Unavailable } from '../model/errors';
import type { Options } from './options';

/** What went wrong, for the caller: `status` and `expose` as http-errors has them. */
export class HttpError extends Error {
  readonly expose = true;
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Ends a reply with JSON. */
export function sendJson(res: Response, status: number, value: unknown): void {
  // Without a charset, which JSON has none of: KServe's client looks for exactly this.
  send(res, status, 'application/json', `${JSON.stringify(value)}\n`);
}

/** Whether a client that waits for leave to send its body has announced one over the limit. */
export function isAnnouncedTooLarge({ headers }: IncomingMessage, { bodyLimit }: Options): boolean {
  return headers.expect !== undefined && Number(headers['content-length']) > bodyLimit;
}

/** Refuses what HTTP/1.1 wants refused before the body is read. */
export function checkHeaders(options: Options): RequestHandler {
  return (req, res, next) => {
    const { expect, host } = req.headers;
    if (host === undefined && req.httpVersion === '1.1') {
      res.setHeader('Connection', 'close');
      throw new HttpError(400, 'the Host header is missing');
    }
    if (expect !== undefined && !/^100-continue$/i.test(expect)) {
      throw new HttpError(417, 'the expectation is unknown: only 100-continue is met');
    }
    if (isAnnouncedTooLarge(req, options)) throw new HttpError(413, tooLarge(options));
    next();
  };
}

/** While the process drains, a connection ends with its reply. */
export function closeIfDraining(res: Response): void {
  if (res.app.locals.draining) res.setHeader('Connection', 'close');
}

/** Ends a reply that tells the methods of a path. */
export function sendOptions(res: Response, allow: string): void {
  res.setHeader('Allow', allow);
  closeIfDraining(res);
  res.status(204).end();
}

/** Ends a reply. */
export function send(res: Response, status: number, type: string, body: string | Buffer): void {
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  const length = Buffer.byteLength(body);
  res.setHeader('Content-Length', length);
  closeIfDraining(res);
  // ASCII, as nearly all replies are, is written faster as what it also is.
  res.end(body, length === body.length ? 'latin1' : 'utf8');
}

/** The last of the routes: nothing is served under this path, but the server as a whole has options. */
export const notFound: RequestHandler = (req, res) => {
  if (req.method === 'OPTIONS' && req.url === '*') return sendOptions(res, 'GET, HEAD, POST, OPTIONS');
  throw new HttpError(404, 'there is nothing under this path');
};

/** Who asked in the wrong way or place is shown how to ask. */
const showHint = [400, 404, 405];

/** Answers every failure with `{"error": …}`; what is not the caller's is logged whole. */
export function sendError(options: Options, hint: (path: string) => string): ErrorRequestHandler {
  return (error, req, res, _next) => {
    const { status, message } = translate(error, options);
    const id = status === 500 ? res.getHeader('X-Request-Id') : undefined;
    res.locals.why = status === 500 ? messageOf(error) : message;
    if (status === 500)
      console.error(`${id} ${JSON.stringify(error instanceof Error ? error.stack : String(error))}`);
    if (res.headersSent) return void res.destroy();
    if (status === 503) res.setHeader('Retry-After', '1');
    if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
    // A client that was refused early may take what comes next for the body that it announced.
    if ([408, 413, 417].includes(status)) res.setHeader('Connection', 'close');
    sendJson(res, status, {
      error: showHint.includes(status) ? `${message}. ${hint(req.url)}` : message,
      id,
    });
  };
}

function tooLarge({ bodyLimit }: Options): string {
  const units = ['gb', 'mb', 'kb', 'b'];
  const power = units.findIndex((_, i) => bodyLimit % 1024 ** (3 - i) === 0);
  return `the body is larger than BODY_LIMIT, ${bodyLimit / 1024 ** (3 - power)}${units[power]}`;
}

/** Express' and body-parser's errors in words of our own: theirs may echo the body. */
function translate(error: unknown, options: Options): { status: number; message: string } {
  if (error instanceof HttpError || error instanceof BadInput || error instanceof Unavailable) return error;
  const { type, status } = (error ?? {}) as { type?: string; status?: number };
  if (type === 'entity.too.large') return { status: 413, message: tooLarge(options) };
  if (type === 'encoding.unsupported') {
    return { status: 415, message: 'the Content-Encoding is not supported; gzip, deflate and br are' };
  }
  if (type === 'request.aborted' || type === 'request.size.invalid') {
    return { status: 400, message: 'the body ended early' };
  }
  if (error instanceof URIError) return { status: 400, message: 'the path is not valid percent-encoding' };
  // Corrupt compressed data is a 400 of body-parser's without a type.
  if (status === 400) return { status, message: 'the body cannot be decoded' };
  return { status: 500, message: 'the model failed' };
}
