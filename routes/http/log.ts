import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import morgan from 'morgan';
import { BootError } from '../../model/errors';
import { timeText, toJsonLine } from './lines';
import type { Options } from './options';
import { isOver } from './reply';

type LogFormat = morgan.FormatFn<Request, Response>;

const formats = ['combined', 'common', 'default', 'dev', 'short', 'tiny'];

/** Bytes of log lines that may wait for a reader of stdout; what comes on top is dropped. */
const mostWaiting = 1 << 20;

morgan.token('time', timeText);
morgan.token<Request, Response>('id', (_req, res) => idOf(res));
morgan.token<Request, Response>('why', (_req, res) => whyOf(res));

/** One line a request: time, id, method, path, status, bytes, milliseconds, and why it failed where it did. */
const standard: LogFormat = (tokens, req, res) => {
  const { status, bytes, ms } = measured(res);
  const line = `${timeText()} ${tokens.id(req, res)} ${req.method} ${tokens.url(req, res)} ${status ?? '-'} ${bytes ?? '-'} ${ms} ms`;
  return res.locals.why === undefined ? line : `${line} "${tokens.why(req, res)}"`;
};

/** The same as an object, in which what is not known is null. */
const json: LogFormat = (_tokens, req, res) =>
  toJsonLine({
    time: timeText(),
    id: idOf(res),
    method: req.method,
    path: req.originalUrl,
    ...measured(res),
    error: whyOf(res),
  });

/** What a reply came to; a client that has gone was sent nothing. */
function measured(res: Response): { status: number | null; bytes: number | null; ms: number } {
  const length = res.getHeader('Content-Length');
  return {
    status: res.headersSent ? res.statusCode : null,
    bytes: res.headersSent && length !== undefined ? Number(length) : null,
    ms: Math.round(10 * (performance.now() - res.locals.arrived)) / 10,
  };
}

/** Throws BootError for what is neither a format's name nor a string of tokens. */
function checkFormat(format: string): void {
  if (formats.includes(format)) return;
  const tokens = [...format.matchAll(/:([-\w]{2,})(?:\[([^\]]*)\])?/g)];
  // Formats and morgan's own functions are there beside the tokens.
  const others = [...formats, 'compile', 'format', 'token'];
  const isToken = (name: string) =>
    typeof Object.getOwnPropertyDescriptor(morgan, name)?.value === 'function' && !others.includes(name);
  const refuse = (why: string): never => {
    throw new BootError(
      `LOG_FORMAT must be off, json, ${formats.join(', ')} or a morgan format string: ${why}.`,
    );
  };
  if (tokens.length === 0) refuse('it names no token');
  for (const [, token, header] of tokens) {
    if (!isToken(token)) refuse(`there is no token :${token}`);
    // These two name a header.
    if (/^re[qs]$/.test(token) && !header) {
      refuse(`:${token} needs a header's name, as in :${token}[content-type]`);
    }
  }
}

function idOf(res: Response): string {
  return String(res.getHeader('X-Request-Id'));
}

function whyOf(res: Response): string | undefined {
  return res.locals.why === undefined ? undefined : String(res.locals.why).slice(0, 300);
}

/** Gives each request its id, the caller's own if that is sane, and logs it once it is answered. Throws BootError. */
export function requestLog({ logFormat }: Pick<Options, 'logFormat'>): RequestHandler[] {
  const stream = { write: writeSoon };
  if (logFormat === 'off') return [identify, closeWithConnection];
  if (logFormat !== undefined && logFormat !== 'json') {
    checkFormat(logFormat);
    return [identify, morgan(logFormat, { stream }), closeWithConnection];
  }
  const format = logFormat === 'json' ? json : standard;
  return [identify, logAtEnd(morgan(format, { stream, immediate: true })), closeWithConnection];
}

/** Calls morgan when a reply has ended: what it does itself to be called then costs a fifth of a small request. */
function logAtEnd(log: RequestHandler): RequestHandler {
  // One function for all responses, which it is called with.
  function onClose(this: Response): void {
    log(this.req, this, ignore);
  }
  return (_req, res, next) => {
    res.on('close', onClose);
    next();
  };
}

function ignore(): void {}

const identify: RequestHandler = (req, res, next) => {
  // A client may be gone before an outer app lets its request in.
  if (isOver(res)) return;
  const given = req.headers['x-request-id'];
  const id = typeof given === 'string' && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
  res.setHeader('X-Request-Id', id);
  res.locals.arrived = performance.now();
  next();
};

/**
 * Closes the replies to pipelined requests with their connection, which Node.js gives to each in its turn, and so closed only
 * the first before Node.js 24. The socket is announced as well, since morgan waits for it (by the package on-finished).
 */
const closeWithConnection: RequestHandler = ({ socket }, res, next) => {
  if (!res.socket) {
    const onClose = () => {
      if (res.socket || res.destroyed) return;
      res.destroyed = true;
      res.emit('close');
    };
    socket.setMaxListeners(0);
    res.emit('socket', socket);
    socket.once('close', onClose);
    res.once('close', () => socket.off('close', onClose));
  }
  next();
};

let lines: string[] = [];

/** Writes the lines of one turn of the event loop together. */
function writeSoon(line: string): void {
  if (lines.push(line) === 1) setImmediate(flushLog);
}

/** Writes the lines that wait. */
export function flushLog(): void {
  const text = lines.join('');
  lines = [];
  if (process.stdout.writableLength < mostWaiting) process.stdout.write(text);
}

/** A closed stdout or stderr must not end the server. */
export function outliveStdout(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
