import { setImmediate as nextTurn } from 'node:timers/promises';
import bodyParser from 'body-parser';
import type { Request, RequestHandler, Response } from 'express';
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
      const { pending } = res.locals;
      const takeTurn = async () => {
        // Others are answered in between.
        await nextTurn();
        await pending?.waitForRoom();
        next(pending?.signal.reason);
      };
      last = last.then(takeTurn).catch(next);
    });
  };
}

/**
 * Takes a body from its request, so that nothing keeps it: its JSON and, where a header says how many bytes are JSON, the
 * others, Triton's binary tensor data. What somebody has parsed already is JSON. Throws BadInput or HttpError.
 */
export function takeBody(req: Request, signature: Signature): { json: unknown; binary?: Buffer } {
  const { body, headers } = req;
  req.body = undefined;
  const bytes = typeof body === 'string' || body === undefined ? Buffer.from(body ?? '') : body;
  if (!Buffer.isBuffer(bytes)) {
    if (!req.is(['urlencoded', 'multipart'])) return { json: body };
    throw new BadInput('the body was read as a form: send JSON with Content-Type: application/json');
  }
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new HttpError(415, 'the charset is not supported: JSON is UTF-8');
  }
  const header = headers['inference-header-content-length'];
  if (header === undefined) return { json: parseJson(bytes, signature) };
  const length = /^\d{1,15}$/.test(String(header)) ? Number(header) : Number.POSITIVE_INFINITY;
  if (length > bytes.length)
    throw new BadInput(`Inference-Header-Content-Length must be a number up to the body's ${bytes.length}`);
  return { json: parseJson(bytes.subarray(0, length), signature), binary: bytes.subarray(length) };
}
