import { BadInput } from '../../model/errors';

/** What a body that is not JSON is told: the place, and what it looks like where that is common. */
export function notJson(text: string): BadInput {
  const at = placeOfMistake(text);
  const rest = text.slice(at, at + 200);
  const hint = hints.find(([looks]) => looks.test(rest))?.[1];
  return new BadInput(`the body is not JSON at position ${at}${hint ? `: ${hint}` : ''}`);
}

/** How common mistakes begin. */
const hints: [RegExp, string][] = [
  [/^$/, 'it ends early'],
  [
    /^(True|False|None)\b/,
    "Python's True, False and None are true, false and null there, as json.dumps writes them",
  ],
  [/^'/, 'texts and names stand in double quotes there, as json.dumps writes them'],
  [/^(nan|[-+]?inf)/i, 'the literals that are read are NaN, Infinity and -Infinity'],
  [
    /^([\w.%+-]+=|--\S+\r?\n)/,
    'a form is sent in its place; requests.post sends JSON by json=, not by data=',
  ],
];

type Expected = 'value' | 'first value' | 'key' | 'first key' | 'colon' | 'comma';

const space = /[ \t\n\r]*/y;
const scalar = /true|false|null|NaN|-?Infinity|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The place of the first character that JSON, with NaN and the infinities, cannot have there; V8 tells it of some mistakes only. */
function placeOfMistake(text: string): number {
  const open: string[] = [];
  let expected: Expected = 'value';
  for (let at = endOf(space, text, 0); ; at = endOf(space, text, at)) {
    const char = text[at];
    const inside = open.at(-1);
    const isKey: boolean = expected === 'key' || expected === 'first key';
    const isValue: boolean = expected === 'value' || expected === 'first value';
    if (isValue && (char === '[' || char === '{')) {
      open.push(char);
      expected = char === '[' ? 'first value' : 'first key';
      at++;
    } else if (/comma|first/.test(expected) && inside && char === (inside === '[' ? ']' : '}')) {
      open.pop();
      expected = 'comma';
      at++;
    } else if (expected === 'comma' && inside && char === ',') {
      expected = inside === '[' ? 'value' : 'key';
      at++;
    } else if (expected === 'colon' && char === ':') {
      expected = 'value';
      at++;
    } else if ((isKey || isValue) && char === '"') {
      const end = skipString(text, at);
      const mistake = placeInString(text.slice(at, end));
      if (mistake !== undefined) return at + mistake;
      expected = isKey ? 'colon' : 'comma';
      at = end;
    } else {
      const end = isValue ? endOf(scalar, text, at) : at;
      if (end === at) return at;
      expected = 'comma';
      at = end;
    }
  }
}

/** Where a sticky pattern that begins at a place ends; there where it does not match. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Of mistakes in a string V8 tells the place; undefined where there is none. */
function placeInString(text: string): number | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return Number(/at position (\d+)/.exec(String(error))?.[1] ?? text.length);
  }
}

/** The place behind a string that begins at a quote; the end where it does not end. */
export function skipString(text: string, quote: number): number {
  let end = text.indexOf('"', quote + 1);
  // A quote behind an odd number of backslashes is part of the string.
  for (; end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  return text.length;
}
