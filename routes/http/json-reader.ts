import { parse, splitNumber } from 'lossless-json';
import { BadInput } from '../../model/errors';

/** Deeper than any tensor nests. */
export const deepestNesting = 1000;

export function nestsTooDeep(): BadInput {
  return new BadInput('the body nests deeper than any tensor');
}

/** NaN, Infinity and -Infinity, as Python's json writes them, and strings, in which they do not count. */
const literals = /"[^"\\]*(?:\\.[^"\\]*)*"?|NaN|-?Infinity/gs;

/** A string that stands for each literal, of the same length, so that positions stay right; no UTF-8 has its character. */
const marks = new Map(
  ['NaN', 'Infinity', '-Infinity'].map((literal) => [literal, `"${'\uDC00'.padEnd(literal.length - 2)}"`]),
);
const numbers = new Map<unknown, number>(
  [...marks].map(([literal, mark]) => [mark.slice(1, -1), Number(literal)]),
);

/**
 * The value of what JSON.parse would change or refuse: the literals are the numbers; a bigint stands for an integer that no
 * double is, where it is to be exact, and a symbol for another number that none is. Throws BadInput, always with the place.
 */
export function readJson(text: string, isExact: boolean): unknown {
  const marked = text.replace(literals, (found) => marks.get(found) ?? found);
  const revive = (_key: string, value: unknown) => numbers.get(value) ?? value;
  try {
    return parse(marked, marked === text ? null : revive, {
      parseNumber: (token) => meaningOf(token, isExact),
      onDuplicateKey: ({ newValue }) => newValue,
    });
  } catch (error) {
    // Each array and object takes a frame of the stack.
    if (error instanceof RangeError) throw nestsTooDeep();
    const at = Number(/at position (\d+)$/.exec(String(error))?.[1]);
    // A minus that no number follows is the mistake.
    const place = text[at - 1] === '-' ? at - 1 : at;
    const hint = hints.find(([look]) => look.test(text.slice(place, place + 200)))?.[1];
    throw new BadInput(`the body is not JSON at position ${place}${hint ? `: ${hint}` : ''}`);
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
  [/^[-+]?(nan|inf)/i, 'write NaN, Infinity or -Infinity'],
  [/^([\w.%+-]+=|--\S+\r?\n)/, 'this is a form: requests.post sends JSON with json=, not with data='],
];
