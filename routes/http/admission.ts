import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { RequestHandler, Response } from 'express';
import type { Signal } from '../../model/batcher';
import type { Model } from '../../model/model';
import { answerError, HttpError, tooLarge } from './errors';
import { keyCheck } from './key';
import type { Options } from './options';
import { isOver } from './reply';

/** Bytes that a process may hold for requests: bodies as they arrive, tensors, and replies until they are taken. */
const mostHeld = 256 * 2 ** 20;
/** A body that announces no more is counted once, when it is there. */
const small = 1 << 12;
/** What each chunk costs beside its bytes, as a Buffer of its own. */
const chunkCost = 400;

/** The key and the admission: what a prediction passes before its body is read. */
export function createGuard(options: Options, models: readonly Model[]): RequestHandler {
  const checkKey = keyCheck(options.apiKeys);
  const { admit } = new Admission(options, models);
  return (req, res, next) => {
    checkKey(req);
    admit(req, res, next);
  };
}

/** A request that was let in, and what tells that nobody waits for its answer any more. */
export class PendingRequest implements Signal {
  aborted = false;
  reason: unknown;
  private controller: AbortController | undefined;
  /** Bytes that are held for it. */
  bytes = 0;
  hasArrived = false;
  isDismissed = false;
  /** Those that were let in before and after, while it is not answered. */
  earlier: PendingRequest | undefined;
  later: PendingRequest | undefined;

  constructor(
    readonly admission: Admission,
    readonly res: Response,
    /** When it gets a 504. */
    readonly deadline: number,
  ) {}

  /** The same for code of one's own, which may listen; a model's queue reads it only, and a signal is dear to make. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.aborted) this.controller.abort(this.reason);
    return this.controller.signal;
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.controller?.abort(reason);
  }

  /** Counts bytes that are held for the request until it is answered. */
  hold(bytes: number): void {
    if (this.isDismissed) return;
    this.bytes += bytes;
    this.admission.held += bytes;
  }
}

/**
 * Judges requests before their body is read, and looks after those that were let in, until they are answered.
 * `res.locals.pending` tells that nobody waits for the answer any more.
 */
class Admission {
  /** Bytes that are held for all of them. */
  held = 0;
  private arrived = 0;
  /**
   * The ends of a list in the order of deadlines, which all lie as far ahead. A Set would do, but each time that V8 makes
   * its table anew the old one, once it has grown old, keeps alive all that the new one holds: a third of a request's CPU.
   */
  private oldest: PendingRequest | undefined;
  private newest: PendingRequest | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly onClose: (this: Response) => void;

  constructor(
    private readonly options: Options,
    private readonly models: readonly Model[],
  ) {
    const admission = this;
    // One function for all responses, which it is called with.
    this.onClose = function () {
      if (this.locals.pending) admission.dismiss(this.locals.pending);
    };
  }

  readonly admit: RequestHandler = (req, res, next) => {
    // A client may be gone before what stands in front of the admission has let it through.
    if (isOver(res)) return;
    const length = Number(req.headers['content-length'] ?? 0);
    if (length > this.options.bodyLimit) throw new HttpError(413, tooLarge(this.options.bodyLimit));
    if (this.isFull(length)) throw busy();
    const pending = new PendingRequest(this, res, performance.now() + this.options.timeout);
    this.add(pending);
    this.timer ??= this.schedule(this.options.timeout);
    // No closure: V8 keeps each that such a property ever held.
    res.locals.pending = pending;
    res.on('close', this.onClose);
    const { 'transfer-encoding': chunked, 'content-encoding': encoding } = req.headers;
    const isEncoded = (encoding || 'identity').toLowerCase() !== 'identity';
    if (req.readableEnded || (length === 0 && chunked === undefined)) this.arrive(pending, length);
    else if (length > 0 && length <= small && !isEncoded) req.once('end', () => this.arrive(pending, length));
    else {
      this.watchBody(req, isEncoded, pending);
      req.once('end', () => this.arrive(pending, 0));
    }
    next();
  };

  private add(pending: PendingRequest): void {
    pending.earlier = this.newest;
    if (this.newest) this.newest.later = pending;
    else this.oldest = pending;
    this.newest = pending;
  }

  private remove(pending: PendingRequest): void {
    const { earlier, later } = pending;
    if (earlier) earlier.later = later;
    else if (this.oldest === pending) this.oldest = later;
    if (later) later.earlier = earlier;
    else if (this.newest === pending) this.newest = earlier;
    pending.earlier = undefined;
    pending.later = undefined;
  }

  private isFull(more: number): boolean {
    let held = this.held;
    for (const { status } of this.models) held += status.bytes;
    return this.arrived >= this.options.maxQueue || (held > 0 && held + more > mostHeld);
  }

  private arrive(pending: PendingRequest, bytes: number): void {
    if (pending.res.headersSent) return;
    if (performance.now() > pending.deadline) this.expire(pending);
    else if (this.arrived >= this.options.maxQueue) this.refuse(pending, busy());
    else {
      pending.hasArrived = true;
      this.arrived++;
      pending.hold(bytes);
    }
  }

  /** Counts a body as it arrives: pushed by the parser or, decompressed, by what body-parser pipes it into. */
  private watchBody(req: IncomingMessage, isEncoded: boolean, pending: PendingRequest): void {
    if (!isEncoded) {
      Object.assign(req, { pending, push: pushCounted });
      return;
    }
    const { pipe } = req;
    req.pipe = (target, options) => {
      if (target instanceof Readable) Object.assign(target, { pending, push: pushCounted });
      return pipe.call(req, target, options) as typeof target;
    };
  }

  /** Counts a chunk of a body that a stream gives. */
  receive(pending: PendingRequest, stream: Readable, bytes: number): void {
    // What comes after a refusal is thrown away.
    if (pending.res.headersSent) return;
    pending.hold(bytes + chunkCost);
    if (this.held <= mostHeld || this.held === pending.bytes) return;
    this.refuse(pending, busy());
    pending.hold(-pending.bytes);
    // Whoever reads the body is to let go of it.
    setImmediate(() => stream.listenerCount('error') > 0 && stream.emit('error', busy()));
  }

  private schedule(delay: number): NodeJS.Timeout {
    return setTimeout(() => this.expireDue(), delay).unref();
  }

  private expireDue(): void {
    this.timer = undefined;
    const now = performance.now();
    let pending = this.oldest;
    while (pending && pending.deadline <= now) {
      this.remove(pending);
      // What has not arrived by now gets Node's own 408.
      if (pending.hasArrived || pending.res.req.complete) this.expire(pending);
      pending = this.oldest;
    }
    if (pending) this.timer = this.schedule(pending.deadline - now + 1);
  }

  private expire(pending: PendingRequest): void {
    this.refuse(pending, new HttpError(504, `no answer within TIMEOUT, ${this.options.timeout / 1000} s`));
  }

  /** Answers in place of the handler, whatever it does with the signal. */
  private refuse(pending: PendingRequest, error: HttpError): void {
    pending.abort(error);
    if (!pending.res.headersSent) answerError(pending.res, error);
  }

  private dismiss(pending: PendingRequest): void {
    const { res } = pending;
    pending.isDismissed = true;
    this.remove(pending);
    if (pending.hasArrived) this.arrived--;
    this.held -= pending.bytes;
    if (!res.writableFinished) pending.abort(new HttpError(499, 'the client closed the connection'));
    // The connection may idle for long, and keeps its last request.
    res.req.body = undefined;
  }
}

/** One function for all streams: V8 keeps each that such a property ever held, and what it holds. */
function pushCounted(
  this: Readable & { pending: PendingRequest },
  chunk: Buffer | null,
  encoding?: BufferEncoding,
): boolean {
  if (chunk !== null) this.pending.admission.receive(this.pending, this, chunk.length);
  return Readable.prototype.push.call(this, chunk, encoding);
}

function busy(): HttpError {
  return new HttpError(503, 'too many requests are in flight, try again later');
}
