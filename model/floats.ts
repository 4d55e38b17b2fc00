// float16 crosses the runtime as raw bits: a Float16Array exists from Node.js 24 on only.

/** The number that 16 bits of IEEE 754 binary16 stand for. */
export function fromHalf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude =
    exponent === 31
      ? fraction
        ? Number.NaN
        : Number.POSITIVE_INFINITY
      : exponent === 0
        ? fraction * 2 ** -24
        : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/** The 16 bits of IEEE 754 binary16 nearest to a number, ties to even. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // Bits of a half count upwards as its values do, so rounding up may carry into the exponent.
  const exponent = Math.max(Math.floor(Math.log2(magnitude || 2 ** -15)), -14);
  const scaled = magnitude / 2 ** (exponent - 10);
  return sign | (((exponent + 14) << 10) + roundToEven(scaled));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

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
  return shorten(value, (short) => fromHalf(toHalf(short)), 1, 5);
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
