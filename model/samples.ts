import { setTimeout } from 'node:timers/promises';
import type { Categories } from './graph/categories';
import type { QuickRun } from './runtime/inline';
import type { Input, Kind, Scalar } from './signature';
import { elementOf } from './values/elements';
import { bytesIn, type Shape, sizeOf, type Tensor, valuesIn } from './values/tensor';

/** How made-up rows look. */
export interface Recipe {
  /** The length of open dimensions. */
  readonly size: number;
  /** Every number of row 0. */
  readonly number: number;
  /** How often a text is repeated in itself. */
  readonly repeats: number;
}

/** What a model's encoders know: categories by input and place, and words. */
interface Tables {
  readonly categories: Categories;
  readonly words: readonly string[];
}

/** A run of made-up rows of these numbers: what it took, gave, and lasted. */
export interface SampleRun {
  readonly rows: readonly number[];
  readonly recipe: Recipe;
  /** The shapes and the size of its feeds. */
  readonly shapes: readonly Shape[];
  readonly size: QuickRun;
  readonly outputs: readonly Tensor[];
  readonly ms: number;
}

/** More values are not made up for the sake of a length that may do as well when it is shorter. */
const mostValues = 2 ** 22;
/** Milliseconds from the first run that fits to the end of the runs at boot. */
const timeLimitMs = 2000;
/** Timed runs, of which the best counts: the first allocates, and others may meet a busy machine. */
const timedRuns = 6;
/** No more runs are timed once they have taken so many milliseconds. */
const mostTimedMs = 300;

/** Runs made-up rows, as long as the runs at boot may take. */
export class Sampler {
  /** Whether an instance has lengths that are open. */
  readonly hasOpenLength: boolean;
  private end: number | undefined;

  constructor(
    readonly inputs: readonly Input[],
    readonly kind: Kind,
    private readonly tables: Tables,
    private readonly runFeeds: (feeds: Tensor[]) => Promise<Tensor[]>,
  ) {
    this.hasOpenLength = inputs.some(({ dims }) =>
      dims.slice(kind === 'unbatched' ? 0 : 1).some((dim) => typeof dim === 'string'),
    );
  }

  /** Runs rows of these numbers; undefined where they do not fit the model, or the time is over. */
  async run(rows: readonly number[], recipe: Recipe): Promise<SampleRun | undefined> {
    if (this.end === undefined) {
      const first = await this.attempt(rows, recipe);
      if (first) this.end = performance.now() + timeLimitMs;
      return first;
    }
    const left = this.end - performance.now();
    if (left <= 0) return undefined;
    return Promise.race([this.attempt(rows, recipe), setTimeout(left, undefined, { ref: false })]);
  }

  /** The best of a few runs of so many rows, of fewer where they are slow; undefined where one fails at first. */
  async best(rows: number, recipe: Recipe): Promise<SampleRun | undefined> {
    let best: SampleRun | undefined;
    for (let i = 0, total = 0; i < timedRuns && total < mostTimedMs; i++) {
      const done = await this.run(Array(rows).fill(0), recipe);
      if (!done) break;
      total += done.ms;
      if (!best || done.ms < best.ms) best = done;
    }
    return best;
  }

  private async attempt(rows: readonly number[], recipe: Recipe): Promise<SampleRun | undefined> {
    try {
      const feeds = this.feeds(rows, recipe);
      // Before the run, which may take over their memory.
      const size = { values: valuesIn(feeds), bytes: bytesIn(feeds) };
      const [start, before] = [performance.now(), process.cpuUsage()];
      const outputs = await this.runFeeds(feeds);
      const ms = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      return {
        rows,
        recipe,
        shapes: feeds.map(({ shape }) => shape),
        size,
        outputs,
        // Of a run that others on a busy machine held up, what it used itself; some systems count in steps of 16 ms.
        ms: Math.min(ms, (user + system) / 1000 || ms),
      };
    } catch {
      return undefined;
    }
  }

  /**
   * Feeds of made-up rows of these numbers. A dimension that bears the batch's name is the rows, wherever it stands. Throws
   * RangeError for too many values.
   */
  private feeds(rows: readonly number[], recipe: Recipe): Tensor[] {
    const batch = this.inputs[0]?.dims[0] || undefined;
    return this.inputs.map((input) => {
      const shape = input.dims.map((dim, axis) => {
        if (typeof dim === 'number') return dim;
        return (axis === 0 && this.kind === 'batched') || dim === batch ? rows.length : recipe.size;
      });
      if (recipe.size > 1 && sizeOf(shape) > mostValues) throw new RangeError('too many values');
      const element = elementOf(input.type);
      const data = element.create(sizeOf(shape));
      const size = sizeOf(shape.slice(1)) || 1;
      for (let at = 0; at < data.length; at += size) {
        const values = this.row(input, rows[at / size] ?? 0, recipe).slice(0, size);
        element.fill(data, at, values);
        // The row's beginning, again and again.
        for (let filled = values.length; filled < size; filled *= 2)
          data.copyWithin(at + filled, at, at + Math.min(filled, size - filled));
      }
      return { type: input.type, shape, data };
    });
  }

  /** The values that fill a made-up row, again and again: other ones for each of the rows 0, 1 and 2, as far as its type, its words and its categories have three. */
  row({ name, type, dims: [, width = 1] }: Input, row: number, { number, repeats }: Recipe): Scalar[] {
    const words = this.tables.words.length > 0 ? this.tables.words : ['a', 'b', 'c'];
    const text = words.slice(0, row + 1).join(' ');
    const count = number + row;
    const value = type === 'string' ? text : type === 'bool' ? count % 2 === 1 : count % 3;
    const known = this.tables.categories.get(name) ?? [];
    const columns = known.length > 0 && typeof width === 'number' ? width : 1;
    return Array.from({ length: columns }, (_, place) => {
      const one = typeof known[place] === typeof value ? known[place] : value;
      return typeof one === 'string' ? Array(repeats).fill(one).join(' ') : one;
    });
  }
}
