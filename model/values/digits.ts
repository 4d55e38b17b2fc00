import { f16round } from '@petamoriken/float16';

/** The powers of ten that are doubles without rounding, so that a product or quotient with one is rounded once. */
const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power);
const largestPower = 22;
/** Smaller ones take other powers of ten than the square of the largest, and the smallest of all have fewer bits. */
const least = 1e-36;

/**
 * The double with the fewest decimal digits that reads back as `value`, itself a float32:
 * 0.9700000286102295 becomes 0.97. JSON then shows a float32 as NumPy or C would print it.
 */
export function shortenFloat32(value: number): number {
  const size = Math.abs(value);
  if (isShort(size)) return value;
  if (!isOrdinary(size)) return shorten(value, Math.fround, 9);
  const short = withFewestDigits(size, toDouble);
  return value < 0 ? -short : short;
}

/** The same for a number that came from a float16. */
export function shortenFloat16(value: number): number {
  return shorten(value, f16round, 5);
}

/** Whether a number has few digits as it stands. */
function isShort(size: number): boolean {
  return size < 1e6 && Number.isInteger(size);
}

/** Whether a float32 is one of those that withFewestDigits takes. */
function isOrdinary(size: number): boolean {
  return size >= least && size < Number.POSITIVE_INFINITY;
}

function shorten(value: number, round: (short: number) => number, most: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 1; digits < most; digits++) {
    // Below a power of two neighbours lie half as far as above, so what reads back may all lie above.
    for (const near of [value, value * (1 + 2 ** -26)]) {
      const short = Number(near.toPrecision(digits));
      if (round(short) === value) return short;
    }
  }
  return Number(value.toPrecision(most));
}

/** Gives the whole number `digits` for which digits / 10^power reads back as a positive float32, with as few digits as do. */
function withFewestDigits<T>(value: number, give: (digits: number, power: number) => T): T {
  const scale = Math.floor(Math.log10(value));
  // Six digits always survive a float32, nine always suffice.
  for (let count = 6; count < 9; count++) {
    const power = count - 1 - scale;
    const digits = Math.round(timesTen(value, power));
    if (readsBack(digits, power, value)) return give(digits, power);
    // Below a power of two neighbours lie half as far as above, so what reads back may all lie above.
    if (readsBack(digits + 1, power, value)) return give(digits + 1, power);
  }
  return give(Math.round(timesTen(value, 8 - scale)), 8 - scale);
}

/** value × 10^power, to some 15 digits. */
function timesTen(value: number, power: number): number {
  if (power > largestPower) return value * powersOfTen[largestPower] * powersOfTen[power - largestPower];
  if (power >= 0) return value * powersOfTen[power];
  if (power >= -largestPower) return value / powersOfTen[-power];
  return value / powersOfTen[largestPower] / powersOfTen[-power - largestPower];
}

function readsBack(digits: number, power: number, value: number): boolean {
  if (power > largestPower || power < -largestPower) {
    const near = timesTen(digits, -power);
    const [low, high] = [Math.fround(near * (1 - 1e-15)), Math.fround(near * (1 + 1e-15))];
    if (low === high) return low === value;
  }
  return Math.fround(toDouble(digits, power)) === value;
}

/** The double next to digits / 10^power. */
function toDouble(digits: number, power: number): number {
  if (power > largestPower || power < -largestPower) return Number(`${digits}e${-power}`);
  return timesTen(digits, -power);
}

/** Most float32 that are written at once. */
export const mostFloats = 2048;
/** Holds the longest: sign, 21 digits and comma. */
const text = Buffer.allocUnsafe(mostFloats * 24);
let end = 0;

/** The JSON of some float32 with the fewest digits, a comma between two: what JSON.stringify writes of them shortened. */
export function writeFloats(values: ArrayLike<number>, from: number, to: number): string {
  end = 0;
  for (let i = from; i < to; i++) {
    if (i > from) text[end++] = 0x2c;
    writeFloat(values[i]);
  }
  return text.toString('latin1', 0, end);
}

function writeFloat(value: number): void {
  const size = Math.abs(value);
  const isDone = isShort(size);
  if (isDone || isOrdinary(size)) {
    if (value < 0) text[end++] = 0x2d;
    if (isDone) writeDecimal(size, 0);
    else withFewestDigits(size, writeDecimal);
  } else if (Number.isNaN(value)) writeText('null');
  else writeText(Number.isFinite(value) ? String(shortenFloat32(value)) : `"${value}"`);
}

function writeText(ascii: string): void {
  end += text.write(ascii, end, 'latin1');
}

/** Writes digits / 10^power as https://tc39.es/ecma262/#sec-numeric-types-number-tostring has it. */
function writeDecimal(digits: number, power: number): void {
  while (digits % 10 === 0 && digits !== 0) {
    digits /= 10;
    power--;
  }
  let count = 1;
  while (digits >= powersOfTen[count]) count++;
  const point = count - power;
  if (point > 21 || point <= -6) {
    writeDigits(digits, count, 1);
    writeText(`e${point > 0 ? '+' : ''}${point - 1}`);
  } else if (point > 0) {
    writeDigits(digits, count, point);
    for (let i = count; i < point; i++) text[end++] = 0x30;
  } else {
    writeText('0.');
    for (let i = point; i < 0; i++) text[end++] = 0x30;
    writeDigits(digits, count, count);
  }
}

/** Writes so many digits, with a point behind the first `whole` of them where there are more. */
function writeDigits(digits: number, count: number, whole: number): void {
  const from = end;
  end += count > whole ? count + 1 : count;
  let left = digits;
  for (let i = end - 1; i >= from; i--) {
    if (i === from + whole) {
      text[i] = 0x2e;
      continue;
    }
    const rest = (left / 10) | 0;
    text[i] = 0x30 + left - 10 * rest;
    left = rest;
  }
}
