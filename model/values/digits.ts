import { f16round } from '@petamoriken/float16';

/** The powers of ten that are doubles without rounding, so that a product or quotient with one is rounded once. */
const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power);
/** Those within take no other powers of ten. */
const [leastOrdinary, mostOrdinary] = [1e-14, 1e28];
/** Smaller float32 have fewer bits. */
const leastNormal = 2 ** -126;

/**
 * The double with the fewest decimal digits that reads back as `value`, itself a float32:
 * 0.9700000286102295 becomes 0.97. JSON then shows a float32 as NumPy or C would print it.
 */
export function shortenFloat32(value: number): number {
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(size)) return value;
  // Six digits always survive a float32, nine always suffice.
  if (!(size >= leastOrdinary && size < mostOrdinary))
    return shorten(value, Math.fround, size < leastNormal ? 1 : 6, 9);
  const short = shortenOrdinary(size);
  return value < 0 ? -short : short;
}

/** The same for a number that came from a float16. */
export function shortenFloat16(value: number): number {
  return shorten(value, f16round, 1, 5);
}

function shorten(value: number, round: (short: number) => number, least: number, most: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = least; digits < most; digits++) {
    // Below a power of two neighbours lie half as far as above, so what reads back may all lie above.
    for (const near of [value, value * (1 + 2 ** -26)]) {
      const short = Number(near.toPrecision(digits));
      if (round(short) === value) return short;
    }
  }
  return Number(value.toPrecision(most));
}

/** The same for a positive float32 of which many are written: of 6 to 9 digits most need 8. */
function shortenOrdinary(value: number): number {
  const point = -Math.floor(Math.log10(value));
  const seven = rounded(value, point + 6);
  if (seven) return rounded(value, point + 5) || seven;
  return rounded(value, point + 7) || toDouble(digitsOf(value, point + 8), point + 8);
}

/** A value with so many digits behind the point; 0 where that does not read back. */
function rounded(value: number, point: number): number {
  const digits = digitsOf(value, point);
  const short = toDouble(digits, point);
  if (Math.fround(short) === value) return short;
  const above = toDouble(digits + 1, point);
  return Math.fround(above) === value ? above : 0;
}

function digitsOf(value: number, point: number): number {
  return Math.round(point >= 0 ? value * powersOfTen[point] : value / powersOfTen[-point]);
}

function toDouble(digits: number, point: number): number {
  return point >= 0 ? digits / powersOfTen[point] : digits * powersOfTen[-point];
}
