import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { RequestHandler, Response } from 'express';
import type { Signal } from '../../model/batcher';
import type { Model } from '../../model/model';
import { answerError, HttpError, tooLarge } from './errors';
import { keyCheck } from './key';
import type { Options } from './options';

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
export class Ticket implements Signal {
  aborted = false;
  reason: unknown;
  private controller: AbortController | undefined;
  /** Bytes that are held for it. */
  bytes = 0;
  hasArrived = false;
  isDismissed = false;
  /** Those that were let in before and after, while it is not answered. */
  earlier: Ticket | undefined;
  later: Ticket | undefined;

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
 * The door: judges requests before their body is read, and looks after those that were let in, until they are answered.
 * `res.locals.ticket` tells that nobody waits for the answer any more.
 */
class Admission {
  /** Bytes that are held for all of them. */
  held = 0;
  private arrived = 0;
  /**
   * The ends of a list in the order of deadlines, which all lie as far ahead. A Set would do, but each time that V8 makes
   * its table anew the old one, once it has grown old, keeps alive all that the new one holds: a third of a request's CPU.
   */
  private oldest: Ticket | undefined;
  private newest: Ticket | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly onClose: (this: Response) => void;

  constructor(
    private readonly options: Options,
    private readonly models: readonly Model[],
  ) {
    const admission = this;
    // One function for all responses, which it is called with.
    this.onClose = function () {
      admission.dismiss(this.locals.ticket);
    };
  }

  readonly admit: RequestHandler = (req, res, next) => {
    // A client may be gone before what stands in front of the door has let it through.
    if (res.closed || req.socket.destroyed) return;
    const length = Number(req.headers['content-length'] ?? 0);
    if (length > this.options.bodyLimit) throw new HttpError(413, tooLarge(this.options.bodyLimit));
    if (this.isFull(length)) throw busy();
    const ticket = new Ticket(this, res, performance.now() + this.options.timeout);
    this.add(ticket);
    this.timer ??= this.watch(this.options.timeout);
    // No closure: V8 keeps each that such a property ever held.
    res.locals.ticket = ticket;
    res.on('close', this.onClose);
    const { 'transfer-encoding': chunked, 'content-encoding': encoding } = req.headers;
    const isEncoded = (encoding || 'identity').toLowerCase() !== 'identity';
    if (req.readableEnded || (length === 0 && chunked === undefined)) this.arrive(ticket, length);
    else if (length > 0 && length <= small && !isEncoded) req.once('end', () => this.arrive(ticket, length));
    else {
      this.watchBody(req, isEncoded, ticket);
      req.once('end', () => this.arrive(ticket, 0));
    }
    next();
  };

  private add(ticket: Ticket): void {
    ticket.earlier = this.newest;
    if (this.newest) this.newest.later = ticket;
    else this.oldest = ticket;
    this.newest = ticket;
  }

  private remove(ticket: Ticket): void {
    const { earlier, later } = ticket;
    if (earlier) earlier.later = later;
    else if (this.oldest === ticket) this.oldest = later;
    if (later) later.earlier = earlier;
    else if (this.newest === ticket) this.newest = earlier;
    ticket.earlier = undefined;
    ticket.later = undefined;
  }

  private isFull(more: number): boolean {
    let held = this.held;
    for (const { status } of this.models) held += status.bytes;
    return this.arrived >= this.options.maxQueue || (held > 0 && held + more > mostHeld);
  }

  private arrive(ticket: Ticket, bytes: number): void {
    if (ticket.res.headersSent) return;
    if (performance.now() > ticket.deadline) this.expire(ticket);
    else if (this.arrived >= this.options.maxQueue) this.refuse(ticket, busy());
    else {
      ticket.hasArrived = true;
      this.arrived++;
      ticket.hold(bytes);
    }
  }

  /** Counts a body as it arrives: pushed by the parser or, decompressed, by what body-parser pipes it into. */
  private watchBody(req: IncomingMessage, isEncoded: boolean, ticket: Ticket): void {
    if (!isEncoded) {
      Object.assign(req, { ticket, push: pushCounted });
      return;
    }
    const { pipe } = req;
    req.pipe = (target, options) => {
      if (target instanceof Readable) Object.assign(target, { ticket, push: pushCounted });
      return pipe.call(req, target, options) as typeof target;
    };
  }

  /** Counts a chunk of a body that a stream gives. */
  receive(ticket: Ticket, stream: Readable, bytes: number): void {
    // What comes after a refusal is thrown away.
    if (ticket.res.headersSent) return;
    ticket.hold(bytes + chunkCost);
    if (this.held <= mostHeld || this.held === ticket.bytes) return;
    this.refuse(ticket, busy());
    ticket.hold(-ticket.bytes);
    // Whoever reads the body is to let go of it.
    setImmediate(() => stream.listenerCount('error') > 0 && stream.emit('error', busy()));
  }

  private watch(delay: number): NodeJS.Timeout {
    return setTimeout(() => this.expireDue(), delay).unref();
  }

  private expireDue(): void {
    this.timer = undefined;
    const now = performance.now();
    let ticket = this.oldest;
    while (ticket && ticket.deadline <= now) {
      this.remove(ticket);
      // What has not arrived by now gets Node's own 408.
      if (ticket.hasArrived || ticket.res.req.complete) this.expire(ticket);
      ticket = this.oldest;
    }
    if (ticket) this.timer = this.watch(ticket.deadline - now + 1);
  }

  private expire(ticket: Ticket): void {
    this.refuse(ticket, new HttpError(504, `no answer within TIMEOUT, ${this.options.timeout / 1000} s`));
  }

  /** Answers in place of the handler, whatever it does with the signal. */
  private refuse(ticket: Ticket, error: HttpError): void {
    ticket.abort(error);
    if (!ticket.res.headersSent) answerError(ticket.res, error);
  }

  private dismiss(ticket: Ticket): void {
    const { res } = ticket;
    ticket.isDismissed = true;
    this.remove(ticket);
    if (ticket.hasArrived) this.arrived--;
    this.held -= ticket.bytes;
    if (!res.writableFinished) ticket.abort(new HttpError(499, 'the client closed the connection'));
    // The connection may idle for long, and keeps its last request.
    res.req.body = undefined;
  }
}

/** One function for all streams: V8 keeps each that such a property ever held, and what it holds. */
function pushCounted(
  this: Readable & { ticket: Ticket },
  chunk: Buffer | null,
  encoding?: BufferEncoding,
): boolean {
  if (chunk !== null) this.ticket.admission.receive(this.ticket, this, chunk.length);
  return Readable.prototype.push.call(this, chunk, encoding);
}

function busy(): HttpError {
  return new HttpError(503, 'too many requests are in flight, try again later');
}
