import { Unavailable } from './errors';
import { bytesOf, type Feeds, rowsOf, stack, type Tensor } from './tensor';

export interface LineLimits {
  /** Most rows that waiting requests may share in one run. */
  maxBatch: number;
  /** Most requests that may wait. */
  maxQueue: number;
  /** Most bytes of tensors that may wait. */
  maxBytes: number;
}

/** A request in the line: its answer, one list of outputs for each of its runs, and the way out. */
export interface Ticket {
  answer: Promise<Tensor[][]>;
  /** Takes the request out of the line; its answer rejects with the reason. */
  leave(reason: Error): void;
}

interface Job {
  feeds: Feeds;
  bytes: number;
  resolve(outputs: Tensor[]): void;
  reject(error: unknown): void;
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * The waiting line before a model, which does one run at a time. When a run ends, the first that waits goes next,
 * and, once `shares` is set, all that fit with it. A lone request never waits for company.
 */
export class Line {
  /** Whether requests may share a run: only where rows are proven independent. */
  shares = false;
  private waiting: Job[] = [];
  private waitingBytes = 0;
  private moving = false;

  constructor(
    private readonly run: (feeds: Feeds) => Promise<Tensor[]>,
    private readonly limits: LineLimits,
  ) {}

  get isBusy(): boolean {
    return this.moving;
  }

  /** Lets a request wait for its runs, one after another. Throws Unavailable where the line is full. */
  join(runs: Feeds[]): Ticket {
    const sizes = runs.map((feeds) => feeds.reduce((sum, tensor) => sum + bytesOf(tensor), 0));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const { maxQueue, maxBytes } = this.limits;
    if (this.waiting.length >= maxQueue || (this.waitingBytes > 0 && this.waitingBytes + bytes > maxBytes)) {
      throw new Unavailable(503, 'too many requests are waiting, try again later');
    }
    this.waitingBytes += bytes;
    let current: Job | undefined;
    let left: Error | undefined;
    let ahead = bytes;
    const enter = (feeds: Feeds, size: number) =>
      new Promise<Tensor[]>((resolve, reject) => {
        ahead -= size;
        current = { feeds, bytes: size, resolve, reject };
        this.waiting.push(current);
        void this.move();
      });
    const work = async () => {
      const answers: Tensor[][] = [];
      try {
        for (let i = 0; i < runs.length; i++) {
          if (left) throw left;
          answers.push(await enter(runs[i], sizes[i]));
        }
      } finally {
        this.waitingBytes -= ahead;
      }
      return answers;
    };
    return {
      answer: work(),
      leave: (reason) => {
        left = reason;
        const place = current ? this.waiting.indexOf(current) : -1;
        if (place >= 0) {
          this.waiting.splice(place, 1);
          this.waitingBytes -= (current as Job).bytes;
        }
        current?.reject(reason);
      },
    };
  }

  private async move(): Promise<void> {
    if (this.moving) return;
    this.moving = true;
    while (this.waiting.length > 0) {
      // All that arrive in this turn of the event loop are there before the run begins.
      await nextTurn();
      const jobs = this.take();
      if (jobs.length > 0) await this.runTogether(jobs);
    }
    this.moving = false;
  }

  /** The first that waits, and, where runs are shared, those behind it with the same trailing shapes. */
  private take(): Job[] {
    const [first] = this.waiting;
    if (!first) return [];
    let taken = [first];
    if (this.shares && this.waiting.length > 1) {
      let rows = first.feeds[0].shape[0];
      taken = this.waiting.filter(({ feeds }, i) => {
        if (i === 0) return true;
        if (rows + feeds[0].shape[0] > this.limits.maxBatch || !fitTogether(first.feeds, feeds)) return false;
        rows += feeds[0].shape[0];
        return true;
      });
    }
    this.waiting =
      taken.length === this.waiting.length ? [] : this.waiting.filter((job) => !taken.includes(job));
    for (const { bytes } of taken) this.waitingBytes -= bytes;
    return taken;
  }

  private async runTogether(jobs: Job[]): Promise<void> {
    const [first] = jobs;
    try {
      if (jobs.length === 1) return first.resolve(await this.run(first.feeds));
      const outputs = await this.run(first.feeds.map((_, i) => stack(jobs.map(({ feeds }) => feeds[i]))));
      const rows = jobs.reduce((sum, { feeds }) => sum + feeds[0].shape[0], 0);
      if (outputs.some(({ shape }) => shape[0] !== rows))
        throw new Error('the outputs do not follow the rows');
      let from = 0;
      for (const { feeds, resolve } of jobs) {
        const to = from + feeds[0].shape[0];
        const [start] = [from];
        resolve(outputs.map((output) => rowsOf(output, start, to)));
        from = to;
      }
    } catch (error) {
      if (jobs.length === 1) return first.reject(error);
      // Only the guilty one is to fail.
      for (const job of jobs) await this.runTogether([job]);
    }
  }
}

function fitTogether(one: Feeds, other: Feeds): boolean {
  return one.every(({ shape }, i) => {
    const also = other[i].shape;
    return also.length === shape.length && shape.every((length, axis) => axis === 0 || length === also[axis]);
  });
}
