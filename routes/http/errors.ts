import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { BadInput, messageOf, RunError } from '../../model/errors';
import { hintFor, inferHintFor } from '../dialects/usage';
import { sendJson, sendOptions } from './send';

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
  const units = ['gb', 'mb', 'kb', 'b'];
  const power = units.findIndex((_, i) => bodyLimit % 1024 ** (3 - i) === 0);
  const limit = `${bodyLimit / 1024 ** (3 - power)}${units[power]}`;
  return new HttpError(
    413,
    `the body is larger than BODY_LIMIT, ${limit}: set it higher, or send arrays as {"b64": …}, which is shorter`,
  );
}

/** The first after all routes: nothing is served under this path, but the server as a whole has options. */
export const notFound: RequestHandler = (req, res) => {
  if (req.method === 'OPTIONS' && req.url === '*') return sendOptions(res, 'GET, HEAD, POST, OPTIONS');
  throw new HttpError(404, `there is nothing under this path: POST ${req.baseUrl}/predict`);
};

/** Answers every failure with `{"error": …}`. */
export const sendError: ErrorRequestHandler = (error, _req, res, _next) => answerError(res, error);

/** Who asked in the wrong way or place is shown how to ask. */
const hintedStatuses = [400, 404, 405];

/** Ends a reply with an error; what is not the caller's is logged whole. Does nothing where it has ended already. */
export function answerError(res: Response, error: unknown): void {
  if (res.writableEnded || res.destroyed) return;
  const { status, message, isOurs } = translate(error);
  const id = String(res.getHeader('X-Request-Id'));
  const cause = error instanceof BadInput ? error.cause : undefined;
  res.locals.why = isOurs || cause ? messageOf(cause ?? error) : message;
  if (isOurs) res.locals.logError(id, error);
  // Half of a reply cannot be taken back.
  if (res.headersSent) return void res.destroy();
  if (status === 503) res.setHeader('Retry-After', '1');
  if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
  // A path that leads nowhere shows how to ask the first.
  const model = res.req.route ? res.locals.model : res.app.locals.model;
  const hint = res.req.path.startsWith('/v2/') ? inferHintFor : hintFor;
  sendJson(res, status, {
    error: model && hintedStatuses.includes(status) ? `${message}. ${hint(model.signature)}` : message,
    ...(isOurs && { id }),
  });
}

/** What the caller is told. Where it is our fault, the log is to have the whole of it, and the caller only that it happened. */
function translate(error: unknown) {
  const { type, status, expose, message, limit }: Record<string, unknown> = Object(error);
  const callers = (status: number, message: string) => ({ status, message, isOurs: false });
  if (type === 'entity.too.large') return callers(413, `the body is larger than ${limit} bytes`);
  if (typeof type === 'string' && Object.hasOwn(bodyErrors, type)) return callers(...bodyErrors[type]);
  // The router's; one's own code may throw the like without a status.
  if (error instanceof URIError && status !== undefined) {
    return callers(400, 'the path is not valid percent-encoding');
  }
  if (error instanceof RunError) return { status: 500, message: 'the model failed', isOurs: true };
  if (typeof status !== 'number' || !(status >= 400 && status < 600)) {
    return { status: 500, message: 'internal error', isOurs: true };
  }
  // Corrupt compressed data is a 400 of body-parser's without a type; a system call's error has its name.
  if (status === 400 && error instanceof Error && 'errno' in error && !('syscall' in error)) {
    return callers(status, 'the body cannot be decoded');
  }
  if (expose === true || (expose !== false && status < 500)) {
    // What has no message may hold what is nobody's business.
    return callers(
      status,
      typeof message === 'string' ? messageOf(error) : (STATUS_CODES[status] ?? 'refused'),
    );
  }
  return { status, message: 'internal error', isOurs: true };
}

/** body-parser's errors in words of our own: theirs may echo the body. */
const bodyErrors: Record<string, [status: number, message: string]> = {
  'entity.parse.failed': [400, 'the body is not JSON'],
  'encoding.unsupported': [415, 'the Content-Encoding is not supported; gzip, deflate and br are'],
  'charset.unsupported': [415, 'the charset is not supported'],
  'request.aborted': [400, 'the body ended early'],
  'request.size.invalid': [400, 'the body ended early'],
};
