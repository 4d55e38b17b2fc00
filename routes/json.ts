import type { Request } from 'express';
import { BadInput } from '../model/errors';
import { HttpError } from './errors';
import type { Options } from './options';

/** The bytes of a body, empty where there was none. Throws HttpError for a charset that JSON does not have. */
export function bodyOf(req: Request): Buffer {
  const type = req.headers['content-type'] ?? '';
  const charset = type.includes(';') && /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type)?.[1];
  if (charset && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new HttpError(415, 'the charset is not supported: JSON is UTF-8');
  }
  return Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The value of JSON. Throws BadInput, or HttpError for too much of it. */
export function readJson(bytes: Buffer, options: Options): unknown {
  if (bytes.length === 0) throw new BadInput('the body is empty: send JSON');
  checkBrackets(bytes, options);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new BadInput('the body is not UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = /at position \d+/.exec(String(error))?.[0];
    const literal = /(^|[[:,])\s*-?(NaN|Infinity)\s*($|[\],}])/.test(text);
    throw new BadInput(
      literal
        ? 'the body is not JSON, which has no NaN or Infinity: use null, "Infinity" or "-Infinity"'
        : `the body is not JSON${at ? ` ${at}` : ''}`,
    );
  }
}

/** Frees the memory of bytes that nobody needs any more: V8 collects all garbage whenever some such bodies have piled up. */
export function free({ buffer, length }: Buffer): void {
  if (length === buffer.byteLength) (buffer as ArrayBuffer).transfer?.(0);
}

/** So many arrays and objects never take much memory. */
const fewBrackets = 100_000;
const deepest = 1000;
/** Bytes of BODY_LIMIT for each array or object: a row of a few numbers is longer. */
const bytesPerBracket = 16;

/** Throws where arrays and objects are so many, or nest so deep, that they would take many times a body's size in memory. */
function checkBrackets(bytes: Buffer, { bodyLimit }: Options): void {
  if (bytes.length <= fewBrackets || count(bytes, '[') + count(bytes, '{') <= fewBrackets) return;
  const most = Math.max(fewBrackets, Math.floor(bodyLimit / bytesPerBracket));
  let opened = 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x5c) at++;
    else if (byte === 0x22) inString = !inString;
    else if (inString) continue;
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > deepest) throw new BadInput('the body nests deeper than any tensor');
      if (++opened > most) {
        throw new HttpError(
          413,
          `the body holds more than ${most} arrays and objects, what BODY_LIMIT leaves room for: send fewer rows at once`,
        );
      }
    }
  }
}

/** How often a character comes, counted until there are more than a few. */
function count(bytes: Buffer, character: string): number {
  let found = 0;
  for (let at = bytes.indexOf(character); at >= 0 && found <= fewBrackets; found++) {
    at = bytes.indexOf(character, at + 1);
  }
  return found;
}
