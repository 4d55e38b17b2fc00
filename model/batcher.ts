import { bytesIn, rowsOf, splitRows, stack, type Tensor, withSharedTexts } from './values/tensor';

interface Entry {
  readonly feeds: Tensor[];
  readonly signal?: AbortSignal;
  resolve(outputs: Tensor[]): void;
  reject(reason: unknown): void;
}

/** Aborted entries are swept out when a request of so many bytes joins, and when the queue's length is a multiple of 64. */
const sweepBytes = 2 ** 18;

/** Bytes of a part of a request that has more of them and more than `maxShared` rows: each of its runs is soon over and small. */
const mostRunBytes = 1 << 19;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The queue before a model: one run at a time, of the first that waits and, where runs are shared, of those behind it that fit. */
export class Batcher {
  private queue: Entry[] = [];
  /** While there is something to run. */
  private loop: Promise<void> | undefined;

  constructor(
    private readonly runOnce: (feeds: Tensor[]) => Promise<Tensor[]>,
    /** Most rows of several requests in one run; 1 where they share none (whyNotShared in observed.ts). */
    private readonly maxShared: number,
  ) {}

  /** The outputs of a run, or of several for many rows. Rejects with the signal's reason where it is aborted before. */
  run(feeds: Tensor[], signal?: AbortSignal): Promise<Tensor[]> {
    const bytes = bytesIn(feeds);
    const rows = this.maxShared > 1 ? rowCount(feeds) : 0;
    const most = Math.max(this.maxShared, Math.floor((mostRunBytes * rows) / bytes));
    return rows > most ? this.runParts(feeds, most, signal) : this.enqueue(feeds, bytes, signal);
  }

  /** Resolves once nothing waits or runs, and those whose runs have ended have had their chance to ask again. */
  async idle(): Promise<void> {
    while (this.loop) await this.loop;
  }

  /** Runs of so many rows, between which others are answered; each part sweeps the queue, as a large request does. */
  private async runParts(feeds: Tensor[], most: number, signal?: AbortSignal): Promise<Tensor[]> {
    const parts: Tensor[][] = [];
    for (let from = 0; from < rowCount(feeds); from += most) {
      const to = Math.min(from + most, rowCount(feeds));
      const part = feeds.map((tensor) => rowsOf(tensor, from, to));
      const outputs = await this.enqueue(part, mostRunBytes, signal);
      parts.push(...splitRows(outputs.map(withSharedTexts), [to - from]));
    }
    return parts[0].map((_, i) => stack(parts.map((outputs) => outputs[i])));
  }

  private enqueue(feeds: Tensor[], bytes: number, signal?: AbortSignal): Promise<Tensor[]> {
    return new Promise<Tensor[]>((resolve, reject) => {
      this.queue.push({ feeds, signal, resolve, reject });
      // In place of a listener to each signal: an aborted entry keeps its feeds until the next sweep or run.
      if (bytes >= sweepBytes || this.queue.length % 64 === 0) this.sweep();
      this.loop ??= this.runAll();
    });
  }

  private sweep(): void {
    this.queue = this.queue.filter(({ signal, reject }) => {
      if (!signal?.aborted) return true;
      reject(signal.reason);
      return false;
    });
  }

  private async runAll(): Promise<void> {
    while (this.queue.length > 0) {
      // All that arrive in this turn of the event loop are there before the run begins, and while each turn brings
      // others it is worth another.
      for (let queued = 0; queued < this.queue.length && queued < this.maxShared; ) {
        queued = this.queue.length;
        await nextTurn();
      }
      const entries = this.dequeue();
      if (entries.length > 1) {
        // Where that fails, each alone, so that only the guilty one fails.
        await this.runTogether(entries).catch(() => this.runEach(entries));
        // Clients that were answered together come back together.
        await nextTurn();
      } else await this.runEach(entries);
    }
    this.loop = undefined;
  }

  private dequeue(): Entry[] {
    this.sweep();
    if (this.maxShared === 1) return this.queue.splice(0, 1);
    let [count, rows] = [0, 0];
    for (const { feeds } of this.queue) {
      rows += rowCount(feeds);
      if (count === 0 || rows <= this.maxShared) count++;
      else break;
    }
    return this.queue.splice(0, count);
  }

  private async runTogether(entries: readonly Entry[]): Promise<void> {
    const feeds = entries[0].feeds.map((_, i) => stack(entries.map((entry) => entry.feeds[i])));
    const rows = entries.map((entry) => rowCount(entry.feeds));
    const outputs = splitRows(await this.runOnce(feeds), rows);
    for (const [i, { resolve }] of entries.entries()) resolve(outputs[i]);
  }

  private async runEach(entries: readonly Entry[]): Promise<void> {
    for (const { feeds, resolve, reject } of entries) await this.runOnce(feeds).then(resolve, reject);
  }
}

/** The rows of feeds; NaN where they differ, as whole tensors may: no comparison with it holds, so these share no run. */
function rowCount([first, ...others]: readonly Tensor[]): number {
  const [rows] = first.shape;
  return others.every(({ shape }) => shape[0] === rows) ? rows : Number.NaN;
}
