import { Independence } from './independence';
import { largestRow } from './signature';
import { stackFeeds } from './values/rows';
import { bytesIn, type Feeds, sameShape, sizeOf, type Tensor } from './values/tensor';

/** What a request's signal tells: that nobody waits for the answer any more, and why. */
export type Signal = Pick<AbortSignal, 'aborted' | 'reason'>;

interface BatcherOptions {
  /** Most rows that waiting requests may share in one run. */
  maxBatch: number;
  /** Whether requests may share runs at all. */
  mayBatch: boolean;
  /** Told once, where a run shows that rows depend on each other. */
  onDependence(reason: string): void;
}

/** A request that waits for its run. */
interface Entry {
  readonly feeds: Tensor[];
  readonly bytes: number;
  readonly signal?: Signal;
  resolve(outputs: Tensor[]): void;
  reject(reason: unknown): void;
}

/** Requests, or bytes of tensors, that wait before those that have left are looked for. */
const longQueue = 64;
const largeQueue = 2 ** 24;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * The queue before a model, which does one run at a time. When a run ends, the first that waits goes next and, where
 * requests may share runs, all that fit with it. A lone request never waits for others. They may share where the
 * signature and the graph do not forbid it (`mayBatch`), until Independence sees that rows depend on each other.
 */
export class Batcher {
  /** Whether requests share runs. */
  batches: boolean;
  /** Bytes of the tensors that wait. */
  bytes = 0;
  /** When the run in progress began, by performance.now(). */
  runningSince: number | undefined;
  /** Told of each run: how many rows it had, and how long it took. */
  readonly watchers: ((rows: number, seconds: number) => void)[] = [];
  private queue: Entry[] = [];
  private sweepAt = longQueue;
  private sweepBytes = largeQueue;
  private moving: Promise<void> | undefined;
  private readonly independence: Independence;

  constructor(
    private readonly runOnce: (feeds: Tensor[]) => Promise<Tensor[]>,
    private readonly options: BatcherOptions,
  ) {
    this.batches = options.mayBatch && options.maxBatch > 1;
    this.independence = new Independence((feeds) => this.timed(feeds), options.maxBatch);
  }

  /** Waits for a run's outputs. Rejects with the signal's reason where it is aborted before the run begins. */
  run(feeds: Tensor[], signal?: Signal): Promise<Tensor[]> {
    return new Promise<Tensor[]>((resolve, reject) => {
      const bytes = bytesIn(feeds);
      this.bytes += bytes;
      // Nobody listens to signals, which is dear: those that have left are put out when the queue has doubled.
      this.queue.push({ feeds, bytes, signal, resolve, reject });
      if (this.queue.length >= this.sweepAt || this.bytes >= this.sweepBytes) this.sweep();
      this.moving ??= this.move();
    });
  }

  /** Resolves when nothing waits or runs any more; who awaits a run comes first, and may ask for another. */
  async idle(): Promise<void> {
    while (this.moving) await this.moving;
  }

  private sweep(): void {
    this.queue = this.queue.filter((entry) => !this.hasLeft(entry));
    this.sweepAt = 2 * Math.max(longQueue / 2, this.queue.length);
    this.sweepBytes = 2 * Math.max(largeQueue / 2, this.bytes);
  }

  private hasLeft({ signal, bytes, reject }: Entry): boolean {
    if (!signal?.aborted) return false;
    this.bytes -= bytes;
    reject(signal.reason);
    return true;
  }

  private async move(): Promise<void> {
    while (this.queue.length > 0) {
      // All that arrive in this turn of the event loop are there before the run begins, and while each turn brings
      // others it is worth another.
      let there: number;
      do {
        there = this.queue.length;
        await nextTurn();
      } while (this.batches && this.queue.length > there && there < this.options.maxBatch);
      const entries = this.take();
      if (entries.length > 0) await this.answer(entries);
      // Clients that were answered together come back together.
      if (entries.length > 1) await nextTurn();
    }
    this.moving = undefined;
    this.sweepAt = longQueue;
    this.sweepBytes = largeQueue;
  }

  /** The first that waits, and, where runs are shared, those behind it with the same trailing shapes. */
  private take(): Entry[] {
    let first = 0;
    while (first < this.queue.length && this.hasLeft(this.queue[first])) first++;
    if (first === this.queue.length) {
      this.queue = [];
      return [];
    }
    const [head] = this.queue.splice(0, first + 1).slice(-1);
    const taken = [head];
    if (this.batches && this.queue.length > 0 && isSmall(head.feeds)) this.fillBatch(taken);
    for (const { bytes } of taken) this.bytes -= bytes;
    return taken;
  }

  private fillBatch(taken: Entry[]): void {
    const [{ feeds }] = taken;
    const left: Entry[] = [];
    let rows = rowCount(feeds);
    for (const entry of this.queue) {
      if (this.hasLeft(entry)) continue;
      const more = rowCount(entry.feeds);
      const fits = rows + more <= this.options.maxBatch && fitTogether(feeds, entry.feeds);
      if (fits) rows += more;
      (fits ? taken : left).push(entry);
    }
    this.queue = left;
  }

  private async answer(entries: Entry[]): Promise<void> {
    if (entries.length > 1 && (await this.answerTogether(entries))) return;
    for (const { feeds, signal, resolve, reject } of entries) {
      if (signal?.aborted) reject(signal.reason);
      else await this.timed(feeds).then(resolve, reject);
    }
  }

  /** One run for several requests; false where each is to be run alone: if it fails, only the guilty one is to. */
  private async answerTogether(entries: Entry[]): Promise<boolean> {
    const requests = entries.map(({ feeds }) => feeds);
    try {
      const start = performance.now();
      const outputs = await this.timed(stackFeeds(requests));
      const seconds = (performance.now() - start) / 1000;
      const checked = await this.independence.check(requests, outputs, seconds);
      if ('answers' in checked) {
        entries.forEach(({ resolve, reject }, i) => {
          const answer = checked.answers[i];
          if (answer instanceof Error) reject(answer);
          else resolve(answer);
        });
        return true;
      }
      this.batches = false;
      this.options.onDependence(checked.dependent);
    } catch {
      // Each alone shows which one it was.
    }
    return false;
  }

  private async timed(feeds: Tensor[]): Promise<Tensor[]> {
    const rows = feeds[0]?.shape[0] ?? 1;
    const start = performance.now();
    this.runningSince = start;
    try {
      return await this.runOnce(feeds);
    } finally {
      this.runningSince = undefined;
      const seconds = (performance.now() - start) / 1000;
      for (const watch of this.watchers) watch(rows, seconds);
    }
  }
}

function rowCount(feeds: Feeds): number {
  return feeds[0].shape[0];
}

function isSmall(feeds: Feeds): boolean {
  return (
    feeds.every(({ shape, data }) => data.length <= largestRow * shape[0] && sizeOf(shape) > 0) &&
    isEven(feeds)
  );
}

/** Whether all have as many rows: whole tensors may come with different ones. */
function isEven(feeds: Feeds): boolean {
  return feeds.every(({ shape }) => shape[0] === feeds[0].shape[0]);
}

function fitTogether(one: Feeds, other: Feeds): boolean {
  if (!isEven(other)) return false;
  for (let i = 0; i < one.length; i++)
    if (!sameShape(one[i].shape.slice(1), other[i].shape.slice(1))) return false;
  return true;
}
