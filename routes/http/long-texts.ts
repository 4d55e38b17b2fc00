import { randomUUID } from 'node:crypto';

/** Shorter texts are left to JSON.parse. */
const long = 1 << 16;
/** A text that no client sends. */
const mark = randomUUID();
const beginning = /\s*:\s*"/y;

/**
 * As JSON.parse, which looks at each character of a text, so that base64 takes it twice as long as decoding does: long texts
 * under a key `b64` are taken out before, and put back into what it gives. They are not looked at here: who decodes them
 * sees what is no base64.
 */
export function parseAroundBase64(text: string): unknown {
  const { rest, texts } = takeOut(text);
  if (texts.length === 0 || rest.length > long) return JSON.parse(text);
  const putBack = (key: string, value: unknown) =>
    key === 'b64' && typeof value === 'string' && value.startsWith(mark)
      ? texts[Number(value.slice(mark.length))]
      : value;
  try {
    return JSON.parse(rest, putBack);
  } catch {
    // Its error names the place.
    return JSON.parse(text);
  }
}

/** A text with a mark and its number in place of each long one under `b64`. */
function takeOut(text: string): { rest: string; texts: string[] } {
  const texts: string[] = [];
  let rest = '';
  let done = 0;
  for (let key = text.indexOf('"b64"'); key >= 0; key = text.indexOf('"b64"', done)) {
    beginning.lastIndex = key + 5;
    // Behind a backslash, the key is a longer one.
    const isKey = text[key - 1] !== '\\' && beginning.test(text);
    const start = isKey ? beginning.lastIndex : key + 5;
    const end = isKey ? text.indexOf('"', start) : start;
    if (end < 0) break;
    const value = text.slice(start, end);
    const isTaken = value.length >= long && !value.includes('\\');
    rest += text.slice(done, start) + (isTaken ? `${mark}${texts.length}` : value);
    if (isTaken) texts.push(value);
    done = end;
  }
  return { rest: rest + text.slice(done), texts };
}
