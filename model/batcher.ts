import { rowsOf, splitRows, stack } from './values/rows';
import { bytesIn, type Tensor, withSharedTexts } from './values/tensor';

interface BatcherOptions {
  /** Most rows that waiting requests may share in one run. */
  maxBatch: number;
  /** Whether requests share runs: each row of an output depends on its own row alone, and all rows have one shape. */
  batches: boolean;
}

/** A request that waits for its run. */
interface Entry {
  readonly feeds: Tensor[];
  readonly signal?: AbortSignal;
  resolve(outputs: Tensor[]): void;
  reject(reason: unknown): void;
}

/** Bytes of tensors that may come before those are looked for whose clients have disconnected; a request counts for some at least. */
const sweepBytes = 2 ** 24;
const leastBytes = sweepBytes / 64;

/** Bytes that rows which do not depend on each other bring to one run: more are run in parts, each soon over and small. */
const mostRunBytes = 1 << 19;
/** Parts begin where memory is aligned as at its start, whatever a row's length. */
const rowStep = 16;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * The queue before a model, which does one run at a time. When a run ends, the first that waits goes next and, where
 * requests share runs, all that fit with it. A lone request never waits for others.
 */
export class Batcher {
  /** Whether requests share runs. */
  readonly batches: boolean;
  /** Bytes of the tensors of all requests that are not answered, as who asks for the runs counts them. */
  bytes = 0;
  /** When the run in progress began, by performance.now(). */
  runningSince: number | undefined;
  /** Told of each run: how many rows it had, and how long it took. */
  readonly watchers: ((rows: number, seconds: number) => void)[] = [];
  private queue: Entry[] = [];
  private bytesSinceSweep = 0;
  private moving: Promise<void> | undefined;

  constructor(
    private readonly runOnce: (feeds: Tensor[]) => Promise<Tensor[]>,
    private readonly options: BatcherOptions,
  ) {
    this.batches = options.batches;
  }

  /**
   * Waits for the outputs of a run, or of several where there are many rows that do not depend on each other. Rejects with
   * the signal's reason where it is aborted before the run begins.
   */
  run(feeds: Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    const rows = this.batches && isEven(feeds) ? rowCount(feeds) : 0;
    const most = Math.max(rowStep, rowStep * Math.floor((mostRunBytes * rows) / bytesIn(feeds) / rowStep));
    return rows > most ? this.runParts(feeds, most, signal) : this.runWhole(feeds, signal);
  }

  /** Runs of so many rows, between which others are answered. */
  private async runParts(feeds: Tensor[], most: number, signal?: AbortSignal): Promise<Tensor[]> {
    const parts: Tensor[][] = [];
    for (let from = 0; from < rowCount(feeds); from += most) {
      const to = Math.min(from + most, rowCount(feeds));
      const outputs = await this.runWhole(
        feeds.map((tensor) => rowsOf(tensor, from, to)),
        signal,
      );
      parts.push(...splitRows(outputs.map(withSharedTexts), [to - from]));
    }
    return parts[0].map((_, i) => stack(parts.map((outputs) => outputs[i])));
  }

  private runWhole(feeds: Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    return new Promise<Tensor[]>((resolve, reject) => {
      this.queue.push({ feeds, signal, resolve, reject });
      // Nobody listens to signals, which is expensive: now and then those that are aborted are put out.
      this.bytesSinceSweep += Math.max(bytesIn(feeds), leastBytes);
      if (this.bytesSinceSweep >= sweepBytes) this.sweep();
      this.moving ??= this.move();
    });
  }

  /** Resolves when nothing waits or runs any more; who awaits a run comes first, and may ask for another. */
  async idle(): Promise<void> {
    while (this.moving) await this.moving;
  }

  /** Rejects those for which nobody waits any more. */
  private sweep(): void {
    this.queue = this.queue.filter(({ signal, reject }) => {
      if (!signal?.aborted) return true;
      reject(signal.reason);
      return false;
    });
    this.bytesSinceSweep = 0;
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
  }

  /** The first that waits, if there still is one, and, where runs are shared, as many behind it as a run takes. */
  private take(): Entry[] {
    if (this.batches || this.queue[0]?.signal?.aborted) this.sweep();
    const [head] = this.queue;
    if (!this.batches || this.queue.length < 2 || !isEven(head.feeds)) return this.queue.splice(0, 1);
    const taken: Entry[] = [];
    const left: Entry[] = [];
    let rows = 0;
    for (const entry of this.queue) {
      const more = rowCount(entry.feeds);
      const fits = entry === head || (rows + more <= this.options.maxBatch && isEven(entry.feeds));
      if (fits) rows += more;
      (fits ? taken : left).push(entry);
    }
    this.queue = left;
    return taken;
  }

  private async answer(entries: Entry[]): Promise<void> {
    if (entries.length > 1) {
      try {
        const feeds = entries[0].feeds.map((_, i) => stack(entries.map((entry) => entry.feeds[i])));
        const rows = entries.map((entry) => rowCount(entry.feeds));
        const answers = splitRows(await this.timed(feeds), rows);
        for (const [i, { resolve }] of entries.entries()) resolve(answers[i]);
        return;
      } catch {
        // Each is run alone, so that only the guilty one fails.
      }
    }
    for (const { feeds, signal, resolve, reject } of entries) {
      if (signal?.aborted) reject(signal.reason);
      else await this.timed(feeds).then(resolve, reject);
    }
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

function rowCount(feeds: readonly Tensor[]): number {
  return feeds[0].shape[0];
}

/** Whether all have as many rows: whole tensors may come with different ones. */
function isEven(feeds: readonly Tensor[]): boolean {
  return feeds.every(({ shape }) => shape[0] === feeds[0].shape[0]);
}
