import { isUtf8 } from 'node:buffer';

/** `{"b64": …, "shape"?: …}`: little-endian bytes in a value's place; for a string input, one UTF-8 string. */
export interface Base64 {
  b64: string;
  shape?: unknown;
}

export function isBase64(value: unknown): value is Base64 {
  return typeof value === 'object' && value !== null && 'b64' in value && typeof value.b64 === 'string';
}

/** The bytes of a text in base64; undefined where it is not valid base64. */
export function decodeBase64(text: string): Buffer | undefined {
  const length = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  const bytes = Buffer.from(text, 'base64');
  // Node.js skips what is not base64, so that there are fewer bytes. One character too many encodes none.
  return length % 4 !== 1 && bytes.length === Math.floor((length * 3) / 4) ? bytes : undefined;
}

/** UTF-8 as a text; undefined where it is not valid UTF-8. */
export function decodeText(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString() : undefined;
}
