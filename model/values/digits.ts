import { f16round } from '@petamoriken/float16';

const powersOfTen = Array.from({ length: 23 }, (_, power) => 10 ** power);

/**
 * The double with the fewest decimal digits that reads back as `value`, itself a float32:
 * 0.9700000286102295 becomes 0.97. JSON then shows a float32 as NumPy or C would print it.
 */
export function shortenFloat32(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value;
  // Six digits always survive a float32, nine always suffice.
  const scale = Math.floor(Math.log10(Math.abs(value)));
  for (let digits = 6; digits < 9; digits++) {
    const power = digits - 1 - scale;
    if (power < 0 || power > 22) return shorten(value, Math.fround, 1, 9);
    const ten = powersOfTen[power];
    const short = Math.round(value * ten) / ten;
    if (Math.fround(short) === value) return short;
  }
  return shorten(value, Math.fround, 8, 9);
}

/** The same for a number that came from a float16. */
export function shortenFloat16(value: number): number {
  return shorten(value, f16round, 1, 5);
}

function shorten(value: number, round: (short: number) => number, from: number, to: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = from; digits < to; digits++) {
    // Below a power of two neighbours lie half as far as above, so what reads back may all lie above.
    for (const near of [value, value * (1 + 2 ** -26)]) {
      const short = Number(near.toPrecision(digits));
      if (round(short) === value) return short;
    }
  }
  return Number(value.toPrecision(to));
}
