import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import bodyParser from 'body-parser';
import type { Request, RequestHandler, Response } from 'express';
import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { decodeText } from '../../model/values/base64';
import { elementOf } from '../../model/values/elements';
import { HttpError, tooLarge } from './errors';
import { deepestNesting, nestsTooDeep, readJson } from './json-reader';

/** Larger bodies are parsed one a turn of the event loop, so that others are answered in between. */
const largeBodyBytes = 1 << 18;

/** Reads a body of at most so many bytes, whatever its type says. */
export function readBody(limit: number): RequestHandler[] {
  const raw = bodyParser.raw({
    type: () => true,
    limit,
    verify: (_req, res: Response, bytes) => res.locals.pending?.hold(bytes.length),
  });
  const read: RequestHandler = (req, res, next) => {
    // An alias of gzip: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.3
    if (/^x-gzip$/i.test(req.headers['content-encoding'] ?? '')) req.headers['content-encoding'] = 'gzip';
    raw(req, res, (error) => next(error?.type === 'entity.too.large' ? tooLarge(limit) : error));
  };
  return [read, queueLargeBodies()];
}

const roomCheckMs = 10;

/** Lets requests with large bodies go on one after another, each once there is room; one that was aborted meanwhile does not. */
function queueLargeBodies(): RequestHandler {
  /** Settles when the large bodies that came before have had their turn. */
  let last = Promise.resolve();
  return (req, res, next) => {
    if (!Buffer.isBuffer(req.body) || req.body.length < largeBodyBytes) return next();
    const { pending, signal } = res.locals;
    const takeTurn = async () => {
      await nextTurn();
      while (!signal?.aborted && pending?.hasRoom === false) await wait(roomCheckMs);
      if (!signal?.aborted) next();
    };
    last = last.then(takeTurn).catch(next);
  };
}

/** The JSON of a body; one that somebody has parsed already is taken as it is. Throws BadInput or HttpError. */
export function jsonOf(req: Request, signature: Signature): unknown {
  const isParsed = req.body !== undefined && typeof req.body !== 'string' && !Buffer.isBuffer(req.body);
  if (!isParsed) return parseJson(takeBytes(req), signature);
  if (!req.is(['urlencoded', 'multipart'])) return req.body;
  throw new BadInput('the body was read as a form: send JSON with Content-Type: application/json');
}

/**
 * Takes the bytes of a body from its request, so that nothing keeps them; empty where there was none. Throws HttpError
 * for a charset that JSON does not have.
 */
export function takeBytes(req: Request): Buffer {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(req.headers['content-type'] ?? '')?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new HttpError(415, 'the charset is not supported: JSON is UTF-8');
  }
  const { body } = req;
  req.body = undefined;
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : '');
}

/** The value of JSON; where JSON.parse would change or refuse a number, as readJson gives it. Throws BadInput. */
export function parseJson(bytes: Buffer, { inputs }: Signature): unknown {
  if (bytes.length === 0) throw new BadInput('the body is empty: send JSON');
  checkNesting(bytes);
  // Without a byte order mark.
  const text = decodeText(bytes)?.replace(/^\uFEFF/, '');
  if (text === undefined) throw new BadInput('the body is not UTF-8');
  const isExact = inputs.some(({ type }) => elementOf(type).exceedsDoubles) && /[\d.]{16}|\d[eE]/.test(text);
  try {
    if (!isExact) {
      const value: unknown = JSON.parse(text);
      if (!overflows(value)) return value;
    }
  } catch {
    // It may be a literal that JSON.parse does not know; else readJson finds the place of the mistake.
  }
  return readJson(text, isExact);
}

/** Whether JSON.parse has made a number infinite, as it does with those beyond all doubles. */
function overflows(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return false;
  if (!Array.isArray(value)) return Object.values(value).some(overflows);
  // Beside a number nothing else fits. Most of a large body are such lists, of which a builtin tells in a fifth of the time.
  if (typeof value.at(0) !== 'number') return value.some(overflows);
  return value.includes(Number.POSITIVE_INFINITY) || value.includes(Number.NEGATIVE_INFINITY);
}

/** Bytes that an array or object takes at least, once it is parsed. */
const arrayBytes = 64;
const mostArrays = getHeapStatistics().heap_size_limit / 4 / arrayBytes;

/**
 * Throws BadInput for arrays and objects that nest deeper than any tensor, which take a hundred times their size, and
 * HttpError for more of them than there is memory for.
 */
function checkNesting(bytes: Buffer): void {
  if (bytes.length < largeBodyBytes || !isDense(bytes)) return;
  let depth = 0;
  let arrays = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x5c) at++;
    else if (byte === 0x22) inString = !inString;
    else if (inString) continue;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > deepestNesting) throw nestsTooDeep();
      if (++arrays > mostArrays)
        throw new HttpError(413, 'the body has more arrays than fit in memory: send fewer');
    }
  }
}

/** Whether one byte in sixteen opens an array or an object: where fewer do, nesting takes a few times the size only. */
function isDense(bytes: Buffer): boolean {
  let left = bytes.length / 16;
  for (const bracket of [0x5b, 0x7b]) {
    for (let at = bytes.indexOf(bracket); at >= 0 && left > 0; at = bytes.indexOf(bracket, at + 1)) left--;
  }
  return left <= 0;
}
