import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { RequestHandler, Response } from 'express';
import type { Model } from '../../model/model';
import { answerError, HttpError, tooLarge } from './errors';
import { requireKey } from './key';
import type { Options } from './options';

/** Bytes that a process may hold for requests: bodies as they arrive, tensors, and replies until they are taken. */
const mostHeld = 256 * 2 ** 20;
/** A body that announces no more is counted once, when it is there. */
const small = 1 << 16;

/** The key and the admission: what a prediction passes before its body is read. */
export function createGuard(options: Options, models: readonly Model[]): RequestHandler[] {
  return [...requireKey(options.apiKeys), new Admission(options, models).admit];
}

/** A request that was let in. */
interface Ticket {
  readonly res: Response;
  /** When it gets a 504. */
  readonly deadline: number;
  readonly controller: AbortController;
  /** Bytes that are held for it. */
  bytes: number;
  hasArrived: boolean;
}

/**
 * The door: judges requests before their body is read, and looks after those that were let in, until they are answered.
 * `res.locals.signal` tells that nobody waits for the answer any more.
 */
class Admission {
  private held = 0;
  private arrived = 0;
  /** In the order of their deadlines, which all lie as far ahead. */
  private readonly tickets = new Set<Ticket>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: Options,
    private readonly models: readonly Model[],
  ) {}

  readonly admit: RequestHandler = (req, res, next) => {
    const length = Number(req.headers['content-length'] ?? 0);
    if (length > this.options.bodyLimit) throw new HttpError(413, tooLarge(this.options.bodyLimit));
    if (this.isFull(length)) throw busy();
    const ticket: Ticket = {
      res,
      deadline: performance.now() + this.options.timeout,
      controller: new AbortController(),
      bytes: 0,
      hasArrived: false,
    };
    this.tickets.add(ticket);
    this.timer ??= this.watch(this.options.timeout);
    res.locals.signal = ticket.controller.signal;
    res.locals.hold = (bytes: number) => this.hold(ticket, bytes);
    res.once('close', () => this.dismiss(ticket));
    const { 'transfer-encoding': chunked, 'content-encoding': encoded } = req.headers;
    if (req.readableEnded || (length === 0 && chunked === undefined)) this.arrive(ticket, length);
    else if (length > 0 && length <= small && encoded === undefined)
      req.once('end', () => this.arrive(ticket, length));
    else {
      this.watchBody(req, encoded !== undefined, ticket);
      req.once('end', () => this.arrive(ticket, 0));
    }
    next();
  };

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
      this.hold(ticket, bytes);
    }
  }

  private hold(ticket: Ticket, bytes: number): void {
    if (ticket.res.closed) return;
    ticket.bytes += bytes;
    this.held += bytes;
  }

  /** Counts a body as it arrives: pushed by the parser or, decompressed, by what body-parser pipes it into. */
  private watchBody(req: IncomingMessage, isEncoded: boolean, ticket: Ticket): void {
    const count = (stream: Readable) => {
      const { push } = stream;
      stream.push = (chunk, encoding) => {
        if (chunk !== null) this.receive(ticket, stream, chunk.length);
        return push.call(stream, chunk, encoding);
      };
    };
    if (!isEncoded) {
      count(req);
      return;
    }
    const { pipe } = req;
    req.pipe = (target, options) => {
      if ('push' in target && typeof target.push === 'function') count(target as unknown as Readable);
      return pipe.call(req, target, options) as typeof target;
    };
  }

  private receive(ticket: Ticket, stream: Readable, bytes: number): void {
    // What comes after a refusal is thrown away.
    if (ticket.res.headersSent) return;
    this.hold(ticket, bytes);
    if (this.held <= mostHeld || this.held === ticket.bytes) return;
    this.refuse(ticket, busy());
    this.hold(ticket, -ticket.bytes);
    // Whoever reads the body is to let go of it.
    setImmediate(() => stream.listenerCount('error') > 0 && stream.emit('error', busy()));
  }

  private watch(delay: number): NodeJS.Timeout {
    return setTimeout(() => this.expireDue(), delay).unref();
  }

  private expireDue(): void {
    this.timer = undefined;
    const now = performance.now();
    for (const ticket of this.tickets) {
      if (ticket.deadline > now) {
        this.timer = this.watch(ticket.deadline - now + 1);
        return;
      }
      this.tickets.delete(ticket);
      // What has not arrived by now gets Node's own 408.
      if (ticket.hasArrived) this.expire(ticket);
    }
  }

  private expire(ticket: Ticket): void {
    this.refuse(ticket, new HttpError(504, `no answer within TIMEOUT, ${this.options.timeout / 1000} s`));
  }

  /** Answers in place of the handler, whatever it does with the signal. */
  private refuse(ticket: Ticket, error: HttpError): void {
    ticket.controller.abort(error);
    if (!ticket.res.headersSent) answerError(ticket.res, error);
  }

  private dismiss(ticket: Ticket): void {
    const { res, controller } = ticket;
    this.tickets.delete(ticket);
    if (ticket.hasArrived) this.arrived--;
    this.held -= ticket.bytes;
    if (!res.writableFinished) controller.abort(new HttpError(499, 'the client closed the connection'));
    // The connection may idle for long, and keeps its last request.
    res.req.body = undefined;
  }
}

function busy(): HttpError {
  return new HttpError(503, 'too many requests are in flight, try again later');
}
