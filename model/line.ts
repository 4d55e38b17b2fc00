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

/** A request with what it waits for: its next run is the one after those that have given outputs. */
interface Waiting {
  runs: Feeds[];
  outputs: Tensor[][];
  bytes: number;
  gone: boolean;
  resolve(outputs: Tensor[][]): void;
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
  private waiting: Waiting[] = [];
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
    let bytes = 0;
    for (const feeds of runs) for (const tensor of feeds) bytes += bytesOf(tensor);
    const { maxQueue, maxBytes } = this.limits;
    if (this.waiting.length >= maxQueue || (this.waitingBytes > 0 && this.waitingBytes + bytes > maxBytes)) {
      throw new Unavailable(503, 'too many requests are waiting, try again later');
    }
    const request = { runs, outputs: [], bytes, gone: false } as unknown as Waiting;
    const answer = new Promise<Tensor[][]>((resolve, reject) => {
      request.resolve = resolve;
      request.reject = reject;
    });
    if (runs.length === 0) request.resolve([]);
    else this.enter(request);
    return { answer, leave: (reason) => this.leave(request, reason) };
  }

  private enter(request: Waiting): void {
    this.waiting.push(request);
    this.waitingBytes += request.bytes;
    if (!this.moving) void this.move();
  }

  private leave(request: Waiting, reason: Error): void {
    const place = this.waiting.indexOf(request);
    if (place >= 0) {
      this.waiting.splice(place, 1);
      this.waitingBytes -= request.bytes;
    }
    request.gone = true;
    request.reject(reason);
  }

  /** Gives a request the outputs of its run; it enters the line again for the next. */
  private finish(request: Waiting, outputs: Tensor[]): void {
    if (request.outputs.push(outputs) === request.runs.length) request.resolve(request.outputs);
    else if (!request.gone) this.enter(request);
  }

  private async move(): Promise<void> {
    this.moving = true;
    while (this.waiting.length > 0) {
      // All that arrive in this turn of the event loop are there before the run begins, and while each turn brings
      // company it is worth another.
      let there: number;
      do {
        there = this.waiting.length;
        await nextTurn();
      } while (this.shares && this.waiting.length > there && there < this.limits.maxBatch);
      const requests = this.take();
      if (requests.length > 0) await this.runTogether(requests);
      // Clients that were answered together come back together.
      if (requests.length > 1) await nextTurn();
    }
    this.moving = false;
  }

  /** The first that waits, and, where runs are shared, those behind it with the same trailing shapes. */
  private take(): Waiting[] {
    if (this.waiting.length === 0) return [];
    const taken = [this.waiting[0]];
    const left: Waiting[] = [];
    const first = feedsOf(taken[0]);
    let rows = first[0]?.shape[0];
    for (let i = 1; i < this.waiting.length; i++) {
      const request = this.waiting[i];
      const feeds = feedsOf(request);
      const fits =
        this.shares && rows + feeds[0].shape[0] <= this.limits.maxBatch && fitTogether(first, feeds);
      if (fits) rows += feeds[0].shape[0];
      (fits ? taken : left).push(request);
    }
    this.waiting = left;
    for (const { bytes } of taken) this.waitingBytes -= bytes;
    return taken;
  }

  private async runTogether(requests: Waiting[]): Promise<void> {
    const [first] = requests;
    try {
      if (requests.length === 1) return this.finish(first, await this.run(feedsOf(first)));
      const feeds = feedsOf(first).map((_, i) => stack(requests.map((request) => feedsOf(request)[i])));
      const outputs = await this.run(feeds);
      if (outputs.some(({ shape }) => shape[0] !== feeds[0].shape[0])) {
        throw new Error('the outputs do not follow the rows');
      }
      let from = 0;
      for (const request of requests) {
        const to = from + feedsOf(request)[0].shape[0];
        const start = from;
        this.finish(
          request,
          outputs.map((output) => rowsOf(output, start, to)),
        );
        from = to;
      }
    } catch (error) {
      if (requests.length === 1) return first.reject(error);
      // Only the guilty one is to fail.
      for (const request of requests) if (!request.gone) await this.runTogether([request]);
    }
  }
}

function feedsOf({ runs, outputs }: Waiting): Feeds {
  return runs[outputs.length];
}

function fitTogether(one: Feeds, other: Feeds): boolean {
  return one.every(({ shape }, i) => {
    const also = other[i].shape;
    return also.length === shape.length && shape.every((length, axis) => axis === 0 || length === also[axis]);
  });
}
