import { setImmediate as nextTurn } from 'node:timers/promises';
import bodyParser from 'body-parser';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { HttpError, tooLarge } from './errors';
import { largeBodyBytes, parseJson } from './json-reader';

/** Reads a body of at most so many bytes, whatever its type says; large ones go on one after another, each once there is room. */
export function readBody(limit: number): RequestHandler {
  const raw = bodyParser.raw({
    type: () => true,
    limit,
    verify: (_req, res: Response, bytes) => res.locals.pending?.hold(bytes.length),
  });
  /** Settles when the large bodies that came before have had their turn. */
  let last = Promise.resolve();
  return (req, res, next) => {
    // An alias of gzip: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
    if (/^x-gzip$/i.test(req.headers['content-encoding'] ?? '')) req.headers['content-encoding'] = 'gzip';
    raw(req, res, (error) => {
      if (error) return next(error.type === 'entity.too.large' ? tooLarge(limit) : error);
      if (!Buffer.isBuffer(req.body) || req.body.length < largeBodyBytes) return next();
      last = last.then(() => takeTurn(res, next)).catch(next);
    });
  };
}

/** Goes on in another turn of the event loop, so that others are answered in between; with the reason where it is aborted. */
async function takeTurn({ locals: { pending } }: Response, next: NextFunction): Promise<void> {
  await nextTurn();
  await pending?.waitForRoom();
  next(pending?.signal.reason);
}

/** The JSON of a body; one that somebody has parsed already is taken as it is. Throws BadInput or HttpError. */
export function jsonOf(req: Request, signature: Signature): unknown {
  const isParsed = req.body !== undefined && typeof req.body !== 'string' && !Buffer.isBuffer(req.body);
  if (!isParsed) return parseJson(takeBytes(req), signature);
  if (!req.is(['urlencoded', 'multipart'])) return req.body;
  throw new BadInput('the body was read as a form: send JSON with Content-Type: application/json');
}

/** Takes the bytes of a body from its request, so that nothing keeps them. Throws HttpError for a charset that is not JSON's. */
export function takeBytes(req: Request): Buffer {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(req.headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new HttpError(415, 'the charset is not supported: JSON is UTF-8');
  }
  const { body } = req;
  req.body = undefined;
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : '');
}
