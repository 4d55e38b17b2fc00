import { fromHalf } from './floats';
import { type Input, sampleFeeds } from './sample';
import { type Feeds, rowsOf, stack, type Tensor } from './tensor';

// Very different magnitudes: a scale or a mean over all rows then moves the small ones far.
const magnitudes = [1, 0.01, 100, 3000, 0.3, 0.1, 10, 1];
// A few rows will do for large ones, whose runs would leave the runtime holding much memory.
const largeRow = 10_000;
const fewRows = 4;

// A run of large images gains nothing from company, which costs it memory and caches. A run of less than a
// millisecond always gains: most of its time is the runtime's own.
const leastGain = 0.8;
const alwaysGains = 1;

// Whole numbers may be indices into tables of unknown length, so smaller ones are tried where large ones fail.
const wholeLimits = [100, 10, 2];

/** A run's outputs, and how many milliseconds it took, without the waiting. */
export interface TimedRun {
  outputs: Tensor[];
  ms: number;
}

/**
 * Whether requests may share runs, tried with made-up rows: run together, in both orders, and alone they must agree
 * closely, and some must differ, since a saturated output proves nothing; and together they must take less time.
 * Neither can be read off a model's metadata.
 */
export async function sharingPays(
  inputs: readonly Input[],
  size: number,
  words: readonly string[],
  run: (feeds: Feeds) => Promise<TimedRun>,
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

async function tryRows(madeUp: Feeds[], run: (feeds: Feeds) => Promise<TimedRun>): Promise<boolean> {
  const alone: Tensor[][] = [];
  let timeAlone = Number.POSITIVE_INFINITY;
  for (const row of madeUp) {
    if (alone.length === fewRows && isLarge(alone[0])) break;
    const { outputs, ms } = await run(copy(row));
    alone.push(outputs);
    timeAlone = Math.min(timeAlone, ms);
  }
  const rows = madeUp.slice(0, alone.length);
  const scales = alone[0].map((_, output) => scaleOf(alone.map((outputs) => outputs[output])));
  const agree = (some: Tensor[], others: Tensor[]) =>
    some.every((tensor, o) => isClose(tensor, others[o], scales[o]));
  let timeTogether = Number.POSITIVE_INFINITY;
  for (const order of [rows.map((_, i) => i), rows.map((_, i) => rows.length - 1 - i)]) {
    const feeds = rows[0].map((_, input) => stack(order.map((i) => rows[i][input])));
    const { outputs: together, ms } = await run(feeds);
    timeTogether = Math.min(timeTogether, ms);
    if (together.some(({ shape }) => shape[0] !== rows.length)) return false;
    const rowAt = (place: number) => together.map((output) => rowsOf(output, place, place + 1));
    if (!order.every((i, place) => agree(rowAt(place), alone[i]))) return false;
  }
  const distinct = alone.filter((outputs, i) =>
    alone.slice(0, i).every((earlier) => !agree(outputs, earlier)),
  );
  const gains = timeAlone < alwaysGains || timeTogether < leastGain * timeAlone * rows.length;
  return distinct.length >= 3 && gains;
}

/** The largest magnitude at each place of an output: what is close is measured by it. */
function scaleOf(tensors: Tensor[]): Float64Array {
  const scale = new Float64Array(tensors[0].data.length);
  for (const tensor of tensors.filter(({ type }) => type.startsWith('float'))) {
    for (let i = 0; i < scale.length; i++) scale[i] = Math.max(scale[i], Math.abs(numberAt(tensor, i)) || 0);
  }
  return scale;
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
  const rowOf = (magnitude: number, row: number) =>
    sampleFeeds(inputs, 1, size, (type) => {
      if (type === 'string') return words[Math.floor(random() * words.length)] ?? `text ${row}`;
      if (type === 'bool') return random() < 0.5 ? 0 : 1;
      if (type.startsWith('float')) return (random() - 0.5) * magnitude;
      return Math.floor(random() * limit);
    });
  const first = rowOf(magnitudes[0], 0);
  const others = magnitudes.slice(1, isLarge(first) ? fewRows : undefined);
  return [first, ...others.map((magnitude, i) => rowOf(magnitude, i + 1))];
}

function isLarge(row: Tensor[]): boolean {
  return row.some(({ data }) => data.length > largeRow);
}

// A run may take over the memory of its feeds.
function copy(feeds: Feeds): Feeds {
  return feeds.map((tensor) => ({ ...tensor, data: tensor.data.slice() }));
}

function isClose(one: Tensor, other: Tensor, scale: Float64Array): boolean {
  if (one.shape.join() !== other.shape.join()) return false;
  const isFloat = one.type.startsWith('float');
  // A float16 has eleven bits.
  const tolerance = one.type === 'float16' ? 2e-3 : 1e-4;
  for (let i = 0; i < one.data.length; i++) {
    if (Object.is(one.data[i], other.data[i])) continue;
    if (!isFloat || !(Math.abs(numberAt(one, i) - numberAt(other, i)) <= tolerance * scale[i])) return false;
  }
  return true;
}

function numberAt({ type, data }: Tensor, i: number): number {
  return type === 'float16' ? fromHalf(data[i] as number) : (data[i] as number);
}
