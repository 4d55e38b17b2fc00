import type { IncomingHttpHeaders } from 'node:http';
import { totalmem } from 'node:os';
import type { Request, RequestHandler, Response } from 'express';
import type { Model } from '../../model/model';
import { onceClosed } from './closed';
import { answerError, HttpError, tooLarge } from './errors';
import { keyCheck } from './key';
import type { Options } from './options';
import { isOver } from './send';

/** Bytes that a process may hold for requests: bodies as they arrive, tensors, and replies until they are taken. */
const mostHeldBytes = Math.min(
  256 * 2 ** 20,
  (process.constrainedMemory() || totalmem()) / 8,
  totalmem() / 8,
);
/** A body that announces no more counts from the start; a larger one as it arrives, so that who sends nothing takes no room. */
const smallBodyBytes = 1 << 12;
/** What a chunk of a body costs beside its bytes, as a Buffer of its own. */
const chunkBytes = 400;
/** How many times its size a compressed body may become: https://zlib.net/zlib_tech.html. Other encodings know no bound. */
const mostInflation: Record<string, number> = { gzip: 1032, 'x-gzip': 1032, deflate: 1032 };

/** What is in flight in a process. */
interface Load {
  /** Requests whose body has arrived. */
  requests: number;
  /** Bytes that are held for requests, beside the models' tensors. */
  bytes: number;
  /** Those of them that are bodies. */
  bodyBytes: number;
  readonly models: readonly Model[];
}

function tensorBytes({ models }: Load): number {
  return models.reduce((sum, { status }) => sum + status.bytes, 0);
}

/** The key and the admission: what a prediction passes before its body is read. `res.locals.signal` aborts when nobody waits any more. */
export function createGuard(options: Options, models: readonly Model[]): RequestHandler {
  const checkKey = keyCheck(options.apiKeys);
  const load: Load = { requests: 0, bytes: 0, bodyBytes: 0, models };
  return (req, res, next) => {
    checkKey(req);
    // A client may have disconnected before what stands in front of the guard has let its request through.
    if (isOver(res)) return;
    const { bodyLimit, maxQueue } = options;
    const announced = Number(req.headers['content-length'] ?? 0);
    if (announced > bodyLimit) throw tooLarge(bodyLimit);
    const atOnce = bytesAtOnce(req.headers, announced, bodyLimit);
    const held = load.bytes + tensorBytes(load);
    const isFull = held > 0 && held + Math.max(announced, atOnce) > mostHeldBytes;
    if (isFull || load.requests >= maxQueue) throw busy();
    const pending = new PendingRequest(req, res, load, options);
    pending.holdBody(atOnce);
    pending.watchBody(announced);
    next();
  };
}

/** What a body counts for from the start: a small one for what it announces, a compressed one for what it may become. */
function bytesAtOnce(headers: IncomingHttpHeaders, announced: number, bodyLimit: number): number {
  const encoding = (headers['content-encoding'] || 'identity').toLowerCase();
  if (encoding === 'identity') return announced <= smallBodyBytes ? announced : 0;
  return announced > 0 ? Math.min(bodyLimit, announced * (mostInflation[encoding] ?? bodyLimit)) : bodyLimit;
}

/** A request that was let in, until its reply is over. */
export class PendingRequest {
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private bytes = 0;
  private bodyBytes = 0;
  private hasArrived = false;
  private hasEnded = false;

  constructor(
    private readonly req: Request,
    private readonly res: Response,
    private readonly load: Load,
    private readonly options: Options,
  ) {
    this.timer = setTimeout(() => this.expire(), options.timeout).unref();
    res.locals.pending = this;
    res.locals.signal = this.controller.signal;
    onceClosed(res, () => this.end());
  }

  /** Counts bytes that are held for the request until its reply is over. */
  hold(bytes: number): void {
    if (this.hasEnded) return;
    this.bytes += bytes;
    this.load.bytes += bytes;
  }

  /** Counts the body as so many bytes, whatever it counted for before. */
  holdBody(bytes: number): void {
    if (this.hasEnded) return;
    this.hold(bytes - this.bodyBytes);
    this.load.bodyBytes += bytes - this.bodyBytes;
    this.bodyBytes = bytes;
  }

  /** Whether the body may become tensors: not while too much is held, until the runs and replies of others are over. */
  get hasRoom(): boolean {
    const { bytes, bodyBytes } = this.load;
    const held = bytes + tensorBytes(this.load);
    return held <= mostHeldBytes || held === bodyBytes;
  }

  watchBody(announced: number): void {
    const { req, bodyBytes } = this;
    const hasBody = announced > 0 || req.headers['transfer-encoding'] !== undefined;
    if (!hasBody || req.readableEnded) this.arrive();
    else req.once('end', () => this.arrive());
    if (!hasBody || bodyBytes > 0) return;
    const onData = (chunk: Buffer) => {
      this.holdBody(this.bodyBytes + chunk.length + chunkBytes);
      const { load, bytes } = this;
      if (load.bytes <= mostHeldBytes || load.bytes === bytes) return;
      req.off('data', onData);
      this.refuse(busy());
      // At an error, whoever reads the body lets go of what has come; the rest is thrown away.
      if (req.listenerCount('error') > 0) req.emit('error', busy());
      this.holdBody(0);
    };
    // Not before somebody reads: a listener for data would set them flowing.
    req.once('resume', () => req.on('data', onData));
  }

  private arrive(): void {
    const { signal } = this.controller;
    if (this.hasEnded || this.res.headersSent) return;
    if (signal.aborted) this.refuse(signal.reason);
    else if (this.load.requests >= this.options.maxQueue) this.refuse(busy());
    else {
      this.hasArrived = true;
      this.load.requests++;
    }
  }

  /** What has not arrived by now gets Node's own 408. */
  private expire(): void {
    const error = new HttpError(504, `no answer within TIMEOUT, ${this.options.timeout / 1000} s`);
    if (this.hasArrived || this.req.complete) this.refuse(error);
    else this.controller.abort(error);
  }

  /** Answers in place of the handler, whatever that does with the signal. */
  private refuse(error: HttpError): void {
    this.controller.abort(error);
    if (!this.res.headersSent) answerError(this.res, error);
  }

  private end(): void {
    const { req, res, load } = this;
    clearTimeout(this.timer);
    if (this.hasArrived) load.requests--;
    load.bytes -= this.bytes;
    load.bodyBytes -= this.bodyBytes;
    this.hasEnded = true;
    if (!res.writableFinished) this.controller.abort(new HttpError(499, 'the client disconnected'));
    // The connection may idle for long, and keeps its last request.
    req.body = undefined;
  }
}

function busy(): HttpError {
  return new HttpError(503, 'too many requests are in flight, try again later');
}
