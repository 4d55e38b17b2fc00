import { setTimeout } from 'node:timers/promises';
import type { Declared } from './declared';
import type { Input } from './signature';
import { elements } from './values/elements';
import { sizeOf, type Tensor } from './values/tensor';

/** A run of made-up rows of these numbers. */
export interface SampleRun {
  readonly rows: readonly number[];
  /** The length of open dimensions or, where there are none, how often a text is repeated in itself. */
  readonly size: number;
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
  /** The first run that fits the model. */
  first: SampleRun | undefined;
  private deadline = 0;

  constructor(
    private readonly declared: Declared,
    private readonly runFeeds: (feeds: Tensor[]) => Promise<Tensor[]>,
  ) {}

  /** Runs rows of these numbers; undefined where they do not fit the model, or the time is over. */
  async run(rows: readonly number[], size: number): Promise<SampleRun | undefined> {
    if (!this.first) {
      this.first = await this.attempt(rows, size);
      this.deadline = performance.now() + timeLimitMs;
      return this.first;
    }
    const left = this.deadline - performance.now();
    if (left <= 0) return undefined;
    return Promise.race([this.attempt(rows, size), setTimeout(left, undefined, { ref: false })]);
  }

  /** The best of a few runs of so many rows like the first that fitted; undefined where one fails at first. */
  async best(count: number, size?: number): Promise<SampleRun | undefined> {
    const { first } = this;
    if (!first) return undefined;
    let best: SampleRun | undefined;
    for (let i = 0, total = 0; i < timedRuns && total < mostTimedMs; i++) {
      const run = await this.run(Array(count).fill(first.rows[0]), size ?? first.size);
      if (!run) break;
      total += run.ms;
      if (!best || run.ms < best.ms) best = run;
    }
    return best;
  }

  private async attempt(rows: readonly number[], size: number): Promise<SampleRun | undefined> {
    try {
      const feeds = this.feeds(rows, size);
      const [start, before] = [performance.now(), process.cpuUsage()];
      const outputs = await this.runFeeds(feeds);
      const ms = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      // Of a run that others on a busy machine held up, what it used itself; some systems count in steps of 16 ms.
      return { rows, size, outputs, ms: Math.min(ms, (user + system) / 1000 || ms) };
    } catch {
      return undefined;
    }
  }

  /** Feeds of such rows. A dimension that bears the batch's name is the rows. Throws RangeError for too many values. */
  feeds(rows: readonly number[], size: number): Tensor[] {
    const { inputs, kind } = this.declared;
    const batch = inputs[0]?.dims[0] || undefined;
    return inputs.map((input) => {
      const shape = input.dims.map((dim, axis) => {
        if (typeof dim === 'number') return dim;
        return (axis === 0 && kind === 'batched') || dim === batch ? rows.length : size;
      });
      if (size > 1 && sizeOf(shape) > mostValues) throw new RangeError('too many values');
      const element = elements[input.type];
      const data = element.create(sizeOf(shape));
      const step = sizeOf(shape.slice(1)) || 1;
      for (let at = 0; at < data.length; at += step) {
        const values = this.row(input, rows[at / step] ?? rows[0], size).slice(0, step);
        element.fill(data, at, values);
        // The row's beginning, again and again.
        for (let filled = values.length; filled < step; filled *= 2)
          data.copyWithin(at + filled, at, at + Math.min(filled, step - filled));
      }
      return { type: input.type, shape, data };
    });
  }

  /** What fills a made-up row, again and again: other values for each of three, as far as there are as many. */
  private row({ name, type }: Input, row: number, size: number): unknown[] {
    const { categories, openInput, words } = this.declared;
    const repeats = openInput ? 1 : size;
    const text = (words.length > 0 ? words : ['a', 'b', 'c']).slice(0, (row % 3) + 1).join(' ');
    const value = type === 'string' ? text : type === 'bool' ? row % 2 === 1 : row % 3;
    return (categories.get(name) ?? [{}]).map(({ category }) => {
      const one = typeof category === typeof value ? category : value;
      return typeof one === 'string' ? Array(repeats).fill(one).join(' ') : one;
    });
  }
}
