import { totalmem } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { RequestHandler, Response } from 'express';
import type { Model } from '../../model/model';
import { HttpError, sendError, tooLarge } from './errors';
import type { Options } from './options';
import { isArriving, onceClosed } from './send';

/** Bytes that an app may hold for requests, 256 MB at most: bodies as they arrive, tensors, and replies until they are taken. */
const mostHeldBytes = Math.min(2 ** 31, process.constrainedMemory() || totalmem(), totalmem()) / 8;
const roomCheckMs = 10;
/** A body that announces no more counts from the start; a larger one as it arrives, since its client may send nothing. */
const smallBodyBytes = 1 << 12;
/** What a chunk of a body costs beside its bytes, as a Buffer of its own. */
const chunkBytes = 400;
/** How many times its size a compressed body may become: https://zlib.net/zlib_tech.html. Other encodings know no bound. */
const mostInflation = new Map(Object.entries({ identity: 1, gzip: 1032, 'x-gzip': 1032, deflate: 1032 }));

/** Lets requests in while there is room. Throws HttpError. */
export function createAdmission(options: Options, models: readonly Model[]): RequestHandler {
  const { bodyLimit, maxQueue } = options;
  const load = new Load(models);
  return ({ headers }, res, next) => {
    const encoding = (headers['content-encoding'] || 'identity').toLowerCase();
    const inflation = mostInflation.get(encoding) ?? bodyLimit;
    const isCompressed = inflation > 1;
    const isChunked = 'transfer-encoding' in headers;
    // In chunks, a body announces nothing.
    const announced = Number(headers['content-length'] ?? (isChunked && isCompressed ? bodyLimit : 0));
    if (announced > bodyLimit) throw tooLarge(bodyLimit);
    const bodyBytes = Math.min(bodyLimit, announced * inflation);
    const isFull = load.bytes + bodyBytes > Math.max(mostHeldBytes, bodyBytes);
    if (isFull || load.requests >= maxQueue) throw busy();
    const pending = new PendingRequest(res, load, options);
    res.locals.pending = pending;
    if (isCompressed || (bodyBytes <= smallBodyBytes && !isChunked)) pending.hold(bodyBytes);
    else pending.countBody();
    // Its client may have disconnected while an earlier middleware held the request.
    next(pending.signal.reason);
  };
}

class Load {
  /** Those whose body has arrived; a Set of them costs 12 µs a request on Node.js 20. */
  requests = 0;
  /** Of bodies and replies. */
  heldBytes = 0;

  constructor(private readonly models: readonly Model[]) {}

  get bytes(): number {
    return this.models.reduce((sum, { status }) => sum + status.bytes, this.heldBytes);
  }
}

/** A request that was let in, until its reply is over. */
export class PendingRequest {
  private readonly controller = new AbortController();
  /** Aborts where the client disconnects, or the request is refused or too late. */
  readonly signal: AbortSignal = this.controller.signal;
  private readonly timer: NodeJS.Timeout;
  private heldBytes = 0;
  private hasArrived = false;
  private hasEnded = false;

  constructor(
    private readonly res: Response,
    private readonly load: Load,
    private readonly options: Options,
  ) {
    this.timer = setTimeout(() => this.expire(), options.timeout).unref();
    onceClosed(res, () => this.end());
    if (isArriving(res.req)) res.req.once('end', () => this.arrive());
    else this.arrive();
  }

  /** Counts the request as so many bytes, of its body or then of its reply, until that is over. */
  hold(bytes: number): void {
    if (this.hasEnded) return;
    this.load.heldBytes += bytes - this.heldBytes;
    this.heldBytes = bytes;
  }

  /** Counts the body as it arrives, and refuses it where it is too much with what is held for others. */
  countBody(): void {
    const { load, res } = this;
    const { req } = res;
    const count = (chunk: Buffer) => {
      this.hold(this.heldBytes + chunk.length + chunkBytes);
      // Tensors do not count: one that was let in waits until there is room for its own.
      if (load.heldBytes <= Math.max(mostHeldBytes, this.heldBytes)) return;
      req.off('data', count);
      this.refuse(busy());
      // At an error, body-parser drops what has arrived; what still comes is thrown away.
      if (req.listenerCount('error') > 0) req.emit('error', busy());
      this.hold(0);
    };
    // Not before body-parser reads: a listener for data would start the flow.
    req.once('resume', () => req.on('data', count));
  }

  /** Waits as long as too much is held for others for the body to become tensors, unless it is aborted. */
  async waitForRoom(): Promise<void> {
    while (!this.signal.aborted && this.load.bytes - this.heldBytes > mostHeldBytes) await wait(roomCheckMs);
  }

  private arrive(): void {
    if (this.res.headersSent) return;
    if (this.signal.aborted) this.refuse(this.signal.reason);
    else if (this.load.requests >= this.options.maxQueue) this.refuse(busy());
    else {
      this.hasArrived = true;
      this.load.requests++;
    }
  }

  /** What has not arrived by now gets Node's own 408. */
  private expire(): void {
    const error = new HttpError(504, `no answer within TIMEOUT, ${this.options.timeout / 1000} s`);
    if (isArriving(this.res.req)) this.controller.abort(error);
    else this.refuse(error);
  }

  /** Answers in place of the handler, whatever that does with the signal. */
  private refuse(error: HttpError): void {
    this.controller.abort(error);
    if (!this.res.headersSent) sendError(error, this.res.req, this.res);
  }

  private end(): void {
    clearTimeout(this.timer);
    this.hold(0);
    if (this.hasArrived) this.load.requests--;
    this.hasEnded = true;
    if (!this.res.writableFinished) this.controller.abort(new HttpError(499, 'the client disconnected'));
    // An idle connection keeps its last request.
    this.res.req.body = undefined;
  }
}

function busy(): HttpError {
  return new HttpError(503, 'too many requests are in flight, try again later');
}
