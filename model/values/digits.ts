import { f16round } from '@petamoriken/float16';

/** The powers of ten that are doubles without rounding, so that a product or quotient with one is rounded once. */
const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power);
const largestPower = 22;
/** Smaller ones take other powers of ten than the square of the largest, and the smallest of all have fewer bits. */
const leastOrdinary = 1e-36;

/**
 * The double with the fewest decimal digits that reads back as `value`, itself a float32:
 * 0.9700000286102295 becomes 0.97. JSON then shows a float32 as NumPy or C would print it.
 */
export function shortenFloat32(value: number): number {
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(size)) return value;
  if (!(size >= leastOrdinary && size < Number.POSITIVE_INFINITY)) return shorten(value, Math.fround, 9);
  const short = shortenOrdinary(size);
  return value < 0 ? -short : short;
}

/** The same for a number that came from a float16. */
export function shortenFloat16(value: number): number {
  return shorten(value, f16round, 5);
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

/** The same as `shorten` for a positive float32 of which many are written, several times as fast. */
function shortenOrdinary(value: number): number {
  const scale = Math.floor(Math.log10(value));
  // Six digits always survive a float32, nine always suffice.
  for (let count = 6; count < 9; count++) {
    const power = count - 1 - scale;
    const digits = Math.round(timesTen(value, power));
    if (readsBack(digits, power, value)) return toDouble(digits, power);
    if (readsBack(digits + 1, power, value)) return toDouble(digits + 1, power);
  }
  return toDouble(Math.round(timesTen(value, 8 - scale)), 8 - scale);
}

/** value × 10^power, to some 15 digits. */
function timesTen(value: number, power: number): number {
  if (power > largestPower) return value * powersOfTen[largestPower] * powersOfTen[power - largestPower];
  if (power >= 0) return value * powersOfTen[power];
  if (power >= -largestPower) return value / powersOfTen[-power];
  return value / powersOfTen[largestPower] / powersOfTen[-power - largestPower];
}

/** Whether digits / 10^power, as a float32, is the value. */
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
