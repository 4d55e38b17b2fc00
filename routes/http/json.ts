import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { HttpError } from './errors';

/** The JSON of a body; one that somebody has parsed already is taken as it is. Throws BadInput or HttpError. */
export function jsonOf(req: Request, signature: Pick<Signature, 'inputs'>): unknown {
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
export function parseJson(bytes: Buffer, { inputs }: Pick<Signature, 'inputs'>): unknown {
  if (bytes.length === 0) throw new BadInput('the body is empty: send JSON');
  checkNesting(bytes);
  if (!isUtf8(bytes)) throw new BadInput('the body is not UTF-8');
  // Several times faster than a TextDecoder, which would leave out a byte order mark.
  const text = bytes.toString('utf8', startsWithMark(bytes) ? 3 : 0);
  const isExact = inputs.some(({ type }) => type === 'int64' || type === 'uint64');
  // JSON.parse makes 1e400 infinite, which no number in JSON is.
  const isOdd = hasLargeExponent(text) || hasLongNumber(bytes) || (isExact && /[\d.]{16}|\d[eE]/.test(text));
  // Nothing of a large body is needed twice.
  if (bytes.length > large && bytes.length === bytes.buffer.byteLength)
    (bytes.buffer as ArrayBuffer).transfer?.(0);
  if (isOdd) return parseOdd(text, isExact);
  try {
    return JSON.parse(text);
  } catch (error) {
    return /NaN|Infinity/.test(text) ? parseOdd(text, isExact) : notJson(error);
  }
}

function startsWithMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** Whether a number has an exponent of three digits or more; large texts are searched outside of their strings only. */
function hasLargeExponent(text: string): boolean {
  for (let at = 0, pieces = 0; at < text.length; pieces++) {
    const quote = text.length > large && pieces < 1000 ? text.indexOf('"', at) : -1;
    const end = quote < 0 ? text.length : quote;
    const piece = text.slice(at, end);
    // Most hold no such letter, which is found faster.
    if ((piece.includes('e') || piece.includes('E')) && /\d[eE]\+?\d{3}(?![\w+/])/.test(piece)) return true;
    at = quote < 0 ? end : endOfString(text, quote);
  }
  return false;
}

/** The most digits that no infinite number has. */
const manyDigits = 308;

/** Whether more digits than that follow each other: read backwards from where such a run would end, to skip most. */
function hasLongNumber(bytes: Buffer): boolean {
  for (let end = manyDigits; end < bytes.length; ) {
    let at = end;
    while (at >= end - manyDigits && isDigit(bytes[at])) at--;
    if (at < end - manyDigits) return true;
    end = at + manyDigits + 1;
  }
  return false;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function notJson(error: unknown): never {
  const at = /at position \d+/.exec(String(error))?.[0];
  throw new BadInput(`the body is not JSON${at ? ` ${at}` : ''}`);
}

/** What JSON.parse cannot tell: the literals of Python's json, and numbers. */
const tokens = /\bNaN\b|-?\bInfinity\b|-?\d[\d.eE+-]*/g;
/** A key that no client knows. */
const mark = randomUUID();

/** JSON with such tokens put into objects, which become their values when it is parsed. */
function parseOdd(text: string, isExact: boolean): unknown {
  let marked = '';
  // Piece by piece between strings, which are skipped: they may be long, and hold anything.
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at);
    const end = quote < 0 ? text.length : quote;
    marked += text.slice(at, end).replaceAll(tokens, (token) => {
      return needsMark(token, isExact) ? `{"${mark}":"${token}"}` : token;
    });
    at = quote < 0 ? end : endOfString(text, quote);
    marked += text.slice(end, at);
  }
  try {
    return JSON.parse(marked, (_key, value) => {
      const token: unknown = typeof value === 'object' && value !== null ? value[mark] : undefined;
      return typeof token === 'string' ? meaningOf(token, isExact) : value;
    });
  } catch (error) {
    return notJson(error);
  }
}

/** The place behind a string that begins at a quote. */
function endOfString(text: string, quote: number): number {
  let end = text.indexOf('"', quote + 1);
  // A quote behind an odd number of backslashes is part of the string.
  for (; end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function needsMark(token: string, isExact: boolean): boolean {
  if (/[NI]/.test(token)) return true;
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(token)) return false;
  const value = Number(token);
  return !Number.isFinite(value) || (isExact && Number.isInteger(value) && !Number.isSafeInteger(value));
}

function meaningOf(token: string, isExact: boolean): unknown {
  const value = Number(token);
  if (Number.isFinite(value)) return (isExact && wholeOf(token)) || value;
  // JSON has no symbols: one stands for a number that is out of every range.
  return /\d/.test(token) ? Symbol(token.slice(0, 20)) : value;
}

/** The integer that a finite number's token writes, with a point or an exponent, too; undefined where it writes none. */
function wholeOf(token: string): bigint | undefined {
  const [number, exponent = '0'] = token.toLowerCase().split('e');
  const [whole, fraction = ''] = number.split('.');
  const digits = `${whole}${fraction}`.replace(/0+$/, '');
  const zeros = whole.length + Number(exponent) - digits.length;
  return zeros < 0 ? undefined : BigInt(digits + '0'.repeat(zeros));
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

let turns: (() => void)[] = [];

/** Lets requests with large bodies go on one after another. */
export const takeTurns: RequestHandler = (req, _res, next) => {
  if (!Buffer.isBuffer(req.body) || req.body.length < large) return next();
  if (turns.push(next) === 1) setImmediate(goOn);
};

function goOn(): void {
  turns[0]();
  turns = turns.slice(1);
  if (turns.length > 0) setImmediate(goOn);
}
