import { BadInput } from '../../model/errors';

/** Deeper than any tensor nests. */
export const deepestNesting = 1000;

export function nestsTooDeep(): BadInput {
  return new BadInput('the body nests deeper than any tensor');
}

/**
 * Reads what JSON.parse would change or refuse: NaN, Infinity and -Infinity, as Python's json writes them, are the numbers;
 * a bigint stands for an integer that no double is, where it is to be exact, and a symbol for another number that none is.
 * Of a mistake it tells the place, always, which V8 does for some only.
 */
export class JsonReader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly isExact: boolean,
  ) {}

  /** The value of the whole text. Throws BadInput. */
  read(): unknown {
    const value = this.value(0);
    if (this.next() !== undefined) throw notJson(this.text, this.at);
    return value;
  }

  private value(depth: number): unknown {
    if (depth > deepestNesting) throw nestsTooDeep();
    const char = this.next();
    if (char === '[') return this.array(depth);
    if (char === '{') return this.object(depth);
    return char === '"' ? this.string() : this.scalar();
  }

  private array(depth: number): unknown[] {
    const items: unknown[] = [];
    this.at++;
    if (this.take(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.take(','));
    this.expect(']');
    return items;
  }

  private object(depth: number): object {
    const entries: [string, unknown][] = [];
    this.at++;
    if (this.take('}')) return {};
    do {
      if (this.next() !== '"') throw notJson(this.text, this.at);
      const key = this.string();
      this.expect(':');
      entries.push([key, this.value(depth + 1)]);
    } while (this.take(','));
    this.expect('}');
    return Object.fromEntries(entries);
  }

  private string(): string {
    const end = endOfString(this.text, this.at);
    try {
      const text: string = JSON.parse(this.text.slice(this.at, end));
      this.at = end;
      return text;
    } catch (error) {
      // Within a string, V8 always tells the place.
      const place = Number(/at position (\d+)/.exec(String(error))?.[1] ?? end - this.at);
      throw notJson(this.text, this.at + place);
    }
  }

  private scalar(): unknown {
    scalar.lastIndex = this.at;
    const [token] = scalar.exec(this.text) ?? [];
    if (token === undefined) throw notJson(this.text, this.at);
    this.at += token.length;
    return Object.hasOwn(words, token) ? words[token] : meaningOf(token, this.isExact);
  }

  /** The next character that is no space, and stays where it is; undefined at the end. */
  private next(): string | undefined {
    if (this.text.charCodeAt(this.at) <= 0x20) {
      spaces.lastIndex = this.at;
      spaces.test(this.text);
      this.at = spaces.lastIndex;
    }
    return this.text[this.at];
  }

  private take(char: string): boolean {
    if (this.next() !== char) return false;
    this.at++;
    return true;
  }

  private expect(char: string): void {
    if (!this.take(char)) throw notJson(this.text, this.at);
  }
}

const words: Record<string, unknown> = { true: true, false: false, null: null };
const spaces = /[ \t\n\r]*/y;
const scalar = /true|false|null|NaN|-?Infinity|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** The place behind a string that begins at a quote; the end where it does not end. */
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

/** What a number means. */
function meaningOf(token: string, isExact: boolean): number | bigint | symbol {
  const value = Number(token);
  if (!Number.isFinite(value)) return /[NI]/.test(token) ? value : Symbol(value);
  const isInteger = Number.isInteger(value) && value !== 0;
  if (!isExact || !isInteger || (Number.isSafeInteger(value) && !/[.eE]/.test(token))) return value;
  const [number, exponent = '0'] = token.replace(/^-/, '').split(/e/i);
  const [whole, fraction = ''] = number.split('.');
  // The number is digits × 10^zeros.
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const zeros = Number(exponent) - fraction.length;
  if (zeros < 0 && /[1-9]/.test(digits.slice(zeros))) return Symbol(value);
  if (Number.isSafeInteger(value)) return value;
  const size = BigInt(zeros < 0 ? digits.slice(0, zeros) : digits + '0'.repeat(zeros));
  return value < 0 ? -size : size;
}

/** How common mistakes look from their place on. */
const hints: [RegExp, string][] = [
  [/^$/, 'it ends early'],
  [
    /^(True|False|None)\b/,
    "Python's True, False and None are true, false and null there, as json.dumps writes them",
  ],
  [/^'/, 'texts and names stand in double quotes there, as json.dumps writes them'],
  [/^[-+]?(nan|inf)/i, 'NaN, Infinity and -Infinity are written so'],
  [/^([\w.%+-]+=|--\S+\r?\n)/, 'a form came in its place: requests.post sends JSON by json=, not by data='],
];

function notJson(text: string, at: number): BadInput {
  const hint = hints.find(([look]) => look.test(text.slice(at, at + 200)))?.[1];
  return new BadInput(`the body is not JSON at position ${at}${hint ? `: ${hint}` : ''}`);
}
