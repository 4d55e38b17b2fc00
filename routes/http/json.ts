import { isAscii, isUtf8 } from 'node:buffer';
import bodyParser from 'body-parser';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { elementOf } from '../../model/values/elements';
import { HttpError } from './errors';
import { parseAroundBase64 } from './long-texts';
import { mayHoldInexact, mayHoldInfinite, notJson, parseOdd } from './numbers';

/** Large bodies that were read here, so that their memory is nobody else's. */
const ownBodies = new WeakSet<Buffer>();

/** Reads a body of at most so many bytes, whatever its type says. */
export function readBody(limit: number): RequestHandler {
  const verify = (_req: unknown, _res: unknown, bytes: Buffer) => {
    if (bytes.length >= large) ownBodies.add(bytes);
  };
  return bodyParser.raw({ type: () => true, limit, verify });
}

/** The JSON of a body; one that somebody has parsed already is taken as it is. Throws BadInput or HttpError. */
export function jsonOf(req: Request, signature: Signature): unknown {
  const isParsed = req.body !== undefined && typeof req.body !== 'string' && !Buffer.isBuffer(req.body);
  return isParsed ? req.body : parseJson(takeBytes(req), signature);
}

/**
 * Takes the bytes of a body from its request, so that nothing keeps them; empty where there was none. Throws HttpError
 * for a charset that JSON does not have.
 */
export function takeBytes(req: Request): Buffer {
  const type = req.headers['content-type'] ?? '';
  const charset = type.includes(';') && /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type)?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new HttpError(415, 'the charset is not supported: JSON is UTF-8');
  }
  const { body } = req;
  req.body = undefined;
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : '');
}

/**
 * The value of JSON, in which NaN, Infinity and -Infinity stand for the numbers, and integers of 64-bit inputs are exact.
 * Throws BadInput.
 */
export function parseJson(bytes: Buffer, { inputs, features }: Signature): unknown {
  if (bytes.length === 0) throw new BadInput('the body is empty: send JSON');
  checkNesting(bytes);
  const text = textOf(bytes);
  const isExact = inputs.some(({ type }) => elementOf(type).exceedsDoubles);
  const isOdd = mayHoldInfinite(text, bytes) || (isExact && mayHoldInexact(text));
  // Nothing of a large body is needed twice.
  if (ownBodies.has(bytes)) (bytes.buffer as ArrayBuffer).transfer?.(0);
  if (isOdd) return parseOdd(text, isExact);
  const mayHoldBase64 =
    text.length > large && !features?.includes('b64') && !inputs.some(({ name }) => name === 'b64');
  try {
    return mayHoldBase64 ? parseAroundBase64(text) : JSON.parse(text);
  } catch (error) {
    return /NaN|Infinity/.test(text) ? parseOdd(text, isExact) : notJson(error);
  }
}

/** The text of UTF-8, without a byte order mark. Throws BadInput. */
function textOf(bytes: Buffer): string {
  // As nearly all JSON is; a large body is read five times as fast as what it also is on Node.js 20.
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new BadInput('the body is not UTF-8');
  // Several times faster than a TextDecoder, which would leave out the mark.
  return bytes.toString('utf8', hasByteOrderMark(bytes) ? 3 : 0);
}

function hasByteOrderMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

const deepest = 1000;

/** Throws BadInput for arrays and objects that nest deeper than any tensor: they take a hundred times their size. */
function checkNesting(bytes: Buffer): void {
  if (bytes.length < large || !isDense(bytes)) return;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x5c) at++;
    else if (byte === 0x22) inString = !inString;
    else if (inString) continue;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if ((byte === 0x5b || byte === 0x7b) && ++depth > deepest) {
      throw new BadInput('the body nests deeper than any tensor');
    }
  }
}

/** Whether one byte in sixteen opens an array or an object, as where a body holds little else. */
function isDense(bytes: Buffer): boolean {
  let left = bytes.length / 16;
  for (const bracket of [0x5b, 0x7b]) {
    for (let at = bytes.indexOf(bracket); at >= 0 && left > 0; at = bytes.indexOf(bracket, at + 1)) left--;
  }
  return left <= 0;
}

/** Larger bodies are parsed one a turn of the event loop, so that others are answered in between. */
const large = 1 << 18;

let turns: { res: Response; next: NextFunction }[] = [];

/** Lets requests with large bodies go on one after another, but for those that got a 504, or whose client has gone. */
export const takeTurns: RequestHandler = (req, res, next) => {
  if (!Buffer.isBuffer(req.body) || req.body.length < large) return next();
  if (turns.push({ res, next }) === 1) setImmediate(goOn);
};

function goOn(): void {
  const at = turns.findIndex(({ res }) => !res.locals.pending?.aborted);
  turns[at]?.next();
  turns = at < 0 ? [] : turns.slice(at + 1);
  if (turns.length > 0) setImmediate(goOn);
}
