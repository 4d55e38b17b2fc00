import { f16round } from '@petamoriken/float16';

/** The powers of ten that are doubles without rounding, so that a product or quotient with one is rounded once. */
const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power);

/** The double of fewest digits that reads back as this float32, as NumPy prints it: 0.97 for 0.9700000286102295. */
export function shortenFloat32(value: number): number {
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(value)) return value;
  // Six digits always survive a float32, but for those below 2 ** -126, which have fewer bits; nine always suffice.
  return shorten(value, Math.fround, size < 2 ** -126 ? 1 : 6, 9);
}

/** The same for a number that came from a float16. */
export function shortenFloat16(value: number): number {
  return shorten(value, f16round, 1, 5);
}

function shorten(value: number, round: (short: number) => number, least: number, most: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  // Math.round would not treat both signs alike.
  if (value < 0) return -shorten(-value, round, least, most);
  const exponent = Math.floor(Math.log10(value));
  for (let digits = least; digits < most; digits++) {
    const short = rounded(value, digits, exponent);
    if (round(short) === value) return short;
    // Below a power of two neighbours lie half as far as above, so what reads back may all lie above.
    const above = rounded(value * (1 + 2 ** -26), digits, exponent);
    if (round(above) === value) return above;
  }
  return rounded(value, most, exponent);
}

/** The double nearest to so many digits of a value, whose first stands for this power of ten. */
function rounded(value: number, digits: number, exponent: number): number {
  const point = digits - 1 - exponent;
  if (Math.abs(point) >= powersOfTen.length) return Number(value.toPrecision(digits));
  const power = powersOfTen[Math.abs(point)];
  return point >= 0 ? Math.round(value * power) / power : Math.round(value / power) * power;
}
