import { getHeapStatistics } from 'node:v8';
import { parse, splitNumber } from 'lossless-json';
import { BadInput } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { decodeText } from '../../model/values/base64';
import { HttpError } from './errors';

/** From so many bytes on, to parse a body takes long. */
export const largeBodyBytes = 1 << 18;
const deepestNesting = 1000;
const nestsTooDeep = 'the body nests deeper than any tensor';
/** As many as fit in a quarter of the heap: an array or object takes 64 bytes at least, once it is parsed. */
const mostArrays = getHeapStatistics().heap_size_limit / 4 / 64;

/**
 * The value of JSON, in which a bigint or a symbol may stand for a number (values/elements.ts). Throws BadInput, with the
 * place of what is not JSON, or HttpError for what would not fit in memory.
 */
export function parseJson(bytes: Buffer, { inputs }: Signature): unknown {
  if (bytes.length === 0) throw new BadInput('the body is empty: send JSON');
  checkNesting(bytes);
  const text = decodeText(bytes)?.replace(/^\uFEFF/, '');
  if (text === undefined) throw new BadInput('the body is not UTF-8');
  const isExact = inputs.some(({ type }) => type.endsWith('int64')) && /[\d.]{16}|\d[eE]/.test(text);
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

/** Throws for arrays and objects that nest too deep, which take a hundred times their size, and for too many of them. */
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
      if (++depth > deepestNesting) throw new BadInput(nestsTooDeep);
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

/** Whether JSON.parse has made a number infinite, as it does with those beyond all doubles. */
function overflows(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return false;
  if (!Array.isArray(value)) return Object.values(value).some(overflows);
  // What begins with a number fits as numbers only. A large body is mostly such lists; a builtin takes a fifth of the time.
  if (typeof value.at(0) !== 'number') return value.some(overflows);
  return value.includes(Number.POSITIVE_INFINITY) || value.includes(Number.NEGATIVE_INFINITY);
}

/** NaN, Infinity and -Infinity, as Python's json writes them, but not as names; quotes, and what is escaped between them. */
const literals = /\\.|"|(NaN|-?Infinity)(?!\s*:)/gs;

/** A string that stands for a literal, of its length with the quotes, so that positions stay right; no UTF-8 has its character. */
const markOf = (literal: string) => '\uDC00'.padEnd(literal.length - 2);
const numbers = new Map<unknown, number>(
  ['NaN', 'Infinity', '-Infinity'].map((literal) => [markOf(literal), Number(literal)]),
);

function readJson(text: string, isExact: boolean): unknown {
  let isInString = false;
  const marked = text.replace(literals, (found, literal) => {
    if (found === '"') isInString = !isInString;
    return literal && !isInString ? `"${markOf(found)}"` : found;
  });
  const revive = (_key: string, value: unknown) => numbers.get(value) ?? value;
  try {
    return parse(marked, marked === text ? null : revive, {
      parseNumber: (token) => meaningOf(token, isExact),
      onDuplicateKey: ({ newValue }) => newValue,
    });
  } catch (error) {
    // Each array and object takes a frame of the stack.
    if (error instanceof RangeError) throw new BadInput(nestsTooDeep);
    const at = Number(/at position (\d+)$/.exec(String(error))?.[1]);
    const hint = hints.find(([look]) => look.test(text.slice(at, at + 200)))?.[1];
    throw new BadInput(`the body is not JSON at position ${at}${hint ? `: ${hint}` : ''}`);
  }
}

function meaningOf(token: string, isExact: boolean): number | bigint | symbol {
  const value = Number(token);
  if (!Number.isFinite(value)) return Symbol(value);
  const isInteger = Number.isInteger(value) && value !== 0;
  if (!isExact || !isInteger || (Number.isSafeInteger(value) && !/[.eE]/.test(token))) return value;
  // The first digit counts 10^exponent.
  const { sign, digits, exponent } = splitNumber(token);
  if (digits.length > exponent + 1) return Symbol(value);
  return Number.isSafeInteger(value) ? value : BigInt(`${sign}${digits.padEnd(exponent + 1, '0')}`);
}

/** How common mistakes look from their place on. */
const hints: [RegExp, string][] = [
  [/^$/, 'it ends early'],
  [/^(True|False|None)\b/, "Python's True, False and None are true, false and null in JSON: use json.dumps"],
  [/^'/, 'strings and names take double quotes in JSON: use json.dumps'],
  [/^\+?(nan|inf)/i, 'write NaN, Infinity or -Infinity'],
  [/^([\w.%+-]+=|-\S+\r?\n)/, 'this is a form: requests.post sends JSON with json=, not with data='],
];
