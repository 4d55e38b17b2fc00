import { type Input, sampleFeeds } from './sample';
import { type Feeds, rowsOf, stack, type Tensor } from './tensor';

// Very different magnitudes: a scale or a mean over all rows then moves the small ones far.
const magnitudes = [1, 0.01, 100, 0.3, 3000, 0.1, 10, 1];

// Whole numbers may be indices into tables of unknown length, so smaller ones are tried where large ones fail.
const wholeLimits = [100, 10, 2];

/**
 * Whether each row of a run gets what it gets alone, tried with made-up rows: run together, in both orders, and
 * alone they must agree closely, and some must differ, since a saturated output proves nothing.
 * Whether rows are independent cannot be read off a model's metadata.
 */
export async function rowsAreIndependent(
  inputs: readonly Input[],
  size: number,
  words: readonly string[],
  run: (feeds: Feeds) => Promise<Tensor[]>,
): Promise<boolean> {
  for (const limit of wholeLimits) {
    try {
      return await tryRows(madeUpRows(inputs, size, words, limit), run);
    } catch {
      // The model does not take these values.
    }
  }
  return false;
}

async function tryRows(rows: Feeds[], run: (feeds: Feeds) => Promise<Tensor[]>): Promise<boolean> {
  const alone: Tensor[][] = [];
  for (const row of rows) alone.push(await run(copy(row)));
  for (const order of [rows.map((_, i) => i), rows.map((_, i) => rows.length - 1 - i)]) {
    const together = await run(rows[0].map((_, input) => stack(order.map((i) => rows[i][input]))));
    if (together.some(({ shape }) => shape[0] !== rows.length)) return false;
    const agree = order.every((i, place) =>
      together.every((output, o) => isClose(rowsOf(output, place, place + 1), alone[i][o])),
    );
    if (!agree) return false;
  }
  const distinct = alone.filter((outputs, i) =>
    alone.slice(0, i).every((earlier) => outputs.some((output, o) => !isClose(output, earlier[o]))),
  );
  return distinct.length >= 3;
}

function madeUpRows(
  inputs: readonly Input[],
  size: number,
  words: readonly string[],
  limit: number,
): Feeds[] {
  let seed = 1;
  // Numerical Recipes' linear congruential generator: the same rows at each boot.
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  return magnitudes.map((magnitude, row) =>
    sampleFeeds(inputs, 1, size, (type) => {
      if (type === 'string') return words[Math.floor(random() * words.length)] ?? `text ${row}`;
      if (type === 'bool') return random() < 0.5 ? 0 : 1;
      if (type.startsWith('float')) return (random() - 0.5) * magnitude;
      return Math.floor(random() * limit);
    }),
  );
}

// A run may take over the memory of its feeds.
function copy(feeds: Feeds): Feeds {
  return feeds.map((tensor) => ({ ...tensor, data: tensor.data.slice() }));
}

function isClose(one: Tensor, other: Tensor): boolean {
  if (one.shape.join() !== other.shape.join()) return false;
  if (!one.type.startsWith('float')) return [...one.data].every((value, i) => value === other.data[i]);
  if (one.type === 'float16')
    return [...one.data].every((bits, i) => Math.abs(Number(bits) - Number(other.data[i])) <= 2);
  const values = one.data as Float32Array;
  const others = other.data as Float32Array;
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value) || 0), 0);
  return values.every(
    (value, i) => Object.is(value, others[i]) || Math.abs(value - others[i]) <= 1e-4 * largest,
  );
}
