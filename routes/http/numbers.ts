import { randomUUID } from 'node:crypto';
import { BadInput } from '../../model/errors';

// Numbers that JSON.parse would change without a word: 1e400 becomes infinite, and 9007199254740993 even. And literals that
// it refuses: NaN, Infinity and -Infinity, as Python's json writes them.

/** Whether a text may hold a number that no double is near. */
export function mayHoldInfinite(text: string, bytes: Buffer): boolean {
  return hasLargeExponent(text) || hasLongNumber(bytes);
}

/** Whether a text may hold an integer that no double is. */
export function mayHoldInexact(text: string): boolean {
  return /[\d.]{16}|\d[eE]/.test(text);
}

/** In longer texts, strings are skipped; where they are many and short, that would take longer than to search them. */
const longText = 1 << 18;
const manyStrings = 1000;

/** Whether a number has an exponent of three digits or more. */
function hasLargeExponent(text: string): boolean {
  for (let at = 0, pieces = 0; at < text.length; pieces++) {
    const quote = text.length > longText && pieces < manyStrings ? text.indexOf('"', at) : -1;
    const end = quote < 0 ? text.length : quote;
    const piece = text.slice(at, end);
    // Most hold no such letter, which is found faster.
    if ((piece.includes('e') || piece.includes('E')) && /\d[eE]\+?\d{3,}(?![\w+/])/.test(piece)) return true;
    at = quote < 0 ? end : endOfString(text, quote);
  }
  return false;
}

/** With no more digits, and an exponent of two digits, a number is finite. */
const manyDigits = 200;

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

/** What JSON.parse cannot tell: the literals of Python's json, and numbers. */
const tokens = /\bNaN\b|-?\bInfinity\b|-?\d[\d.eE+-]*/g;
/** A key that no client knows. */
const mark = randomUUID();

/** JSON with such tokens put into objects, which become their values when it is parsed. */
export function parseOdd(text: string, isExact: boolean): unknown {
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
    if (marked === text) return JSON.parse(text);
    return JSON.parse(marked, (_key, value) => {
      const token: unknown = typeof value === 'object' && value !== null ? value[mark] : undefined;
      return typeof token === 'string' ? meaningOf(token) : value;
    });
  } catch (error) {
    // Positions are the body's only where nothing was put into it.
    return notJson(marked === text ? error : undefined);
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
  if (!Number.isFinite(value)) return true;
  return isExact && Number.isInteger(value) && (!Number.isSafeInteger(value) || /[.eE]/.test(token));
}

/**
 * What a token means: a number; a bigint, for an integer that no double is; or a symbol, which JSON has none of, for a
 * fraction or a size that no double is.
 */
function meaningOf(token: string): number | bigint | symbol {
  const value = Number(token);
  if (/[NI]/.test(token)) return value;
  const integer = Number.isFinite(value) ? integerOf(token) : undefined;
  if (integer === undefined) return Symbol(value);
  return Number.isSafeInteger(value) ? value : integer;
}

/** The integer that a finite number's token writes, with a point or an exponent, too; undefined where it writes none. */
function integerOf(token: string): bigint | undefined {
  const [number, exponent = '0'] = token.replace(/^-/, '').split(/e/i);
  const [whole, fraction = ''] = number.split('.');
  const digits = whole + fraction;
  let [from, to] = [0, digits.length];
  while (digits[from] === '0') from++;
  if (from === to) return 0n;
  while (digits[to - 1] === '0') to--;
  const zeros = whole.length + Number(exponent) - to;
  if (zeros < 0) return undefined;
  const size = BigInt(digits.slice(from, to) + '0'.repeat(zeros));
  return token.startsWith('-') ? -size : size;
}

/** Throws BadInput, with the place where JSON.parse's error names one. */
export function notJson(error: unknown): never {
  const at = /at position \d+/.exec(String(error))?.[0];
  throw new BadInput(`the body is not JSON${at ? ` ${at}` : ''}`);
}
