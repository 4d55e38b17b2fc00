import { randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import type { Request, RequestHandler, Response } from 'express';
import morgan from 'morgan';
import { BootError } from '../../model/errors';
import { onceClosed } from './closed';
import type { Options } from './options';
import { isOver } from './send';

type Format = Partial<Pick<Options, 'logFormat'>>;
type LogFormat = morgan.FormatFn<Request, Response>;

/** Gives each request its id, the caller's own if that is sane, and logs it once its reply is over. Throws BootError. */
export function requestLog({ logFormat }: Format): RequestHandler[] {
  const identify: RequestHandler = (req, res, next) => {
    // A client may have disconnected before an outer app lets its request in.
    if (isOver(res)) return;
    const given = req.headers['x-request-id'];
    const id = typeof given === 'string' && /^[\w.:/+=-]{1,128}$/.test(given) ? given : randomUUID();
    res.setHeader('X-Request-Id', id);
    res.locals.arrived = performance.now();
    res.locals.logError = logError;
    next();
  };
  const logError = (id: string, error: unknown) => console.error(formatError(logFormat, id, error));
  const options = { stream: { write: writeSoon }, skip: isGoodProbe };
  if (logFormat === 'off') return [identify];
  if (logFormat === undefined || logFormat === 'json') {
    return [identify, logAtEnd(morgan(logFormat ? json : standard, { ...options, immediate: true }))];
  }
  checkFormat(logFormat);
  return [identify, morgan(logFormat, options)];
}

/** Whether it is a health probe that got what it hopes for: hosts send one every few seconds. */
function isGoodProbe({ route }: Request, { statusCode, headersSent }: Response): boolean {
  return statusCode === 200 && headersSent && /\/(health|ping|live|ready)$/.test(String(route?.path));
}

/** Calls morgan when a reply is over. */
function logAtEnd(log: RequestHandler): RequestHandler {
  return (req, res, next) => {
    onceClosed(res, () => log(req, res, () => {}));
    next();
  };
}

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

/** What a reply came to; a client that disconnected was sent nothing. */
function measured(res: Response): { status: number | null; bytes: number | null; ms: number } {
  const length = res.getHeader('Content-Length');
  return {
    status: res.headersSent ? res.statusCode : null,
    bytes: res.headersSent && length !== undefined ? Number(length) : null,
    ms: Math.round(10 * (performance.now() - res.locals.arrived)) / 10,
  };
}

function idOf(res: Response): string {
  return String(res.getHeader('X-Request-Id'));
}

function whyOf(res: Response): string | undefined {
  return res.locals.why === undefined ? undefined : String(res.locals.why).slice(0, 300);
}

const names = ['combined', 'common', 'default', 'dev', 'short', 'tiny'];

/** Throws BootError for what is neither the name of a format nor a format: one is tried on an empty request. */
function checkFormat(format: string): void {
  if (names.includes(format)) return;
  const req = new IncomingMessage(new Socket());
  const res = Object.assign(new ServerResponse(req), { locals: {} });
  res.writeHead(200);
  const tokens: morgan.TokenIndexer = Object(morgan);
  try {
    if (morgan.compile(format)(tokens, req, res) !== format) return;
  } catch {
    // It names what is no token, or a header without its name.
  }
  throw new BootError(
    `LOG_FORMAT must be off, json, ${names.join(', ')} or a morgan format string such as ":method :url :status".`,
  );
}

function timeText(): string {
  return new Date().toISOString();
}

/** JSON without any character that a reader of logs may take for the end of a line, or a terminal obeys. */
function toJsonLine(value: object): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Logs what the process has to say beside its requests. */
export function logInfo(format: Format, text: string): void {
  console.log(formatLines(format, text));
}

/** The same for what went wrong, on stderr. */
export function logProblem(format: Format, text: string): void {
  console.error(formatLines(format, text));
}

/** Lines as they stand, or an object for each. */
function formatLines({ logFormat }: Format, text: string): string {
  if (logFormat !== 'json') return text;
  const lines = text.split('\n').map((line) => toJsonLine({ time: timeText(), message: line.trim() }));
  return lines.join('\n');
}

/** All of an error that a request met, in one line. */
function formatError(logFormat: string | undefined, id: string, error: unknown): string {
  const message = error instanceof Error ? String(error.stack) : inspect(error);
  if (logFormat === 'json') return toJsonLine({ time: timeText(), id, message });
  return `${id} ${JSON.stringify(message)}`;
}

/** Bytes of log lines that may wait for a reader of stdout; what comes on top is dropped. */
const mostWaitingBytes = 1 << 20;

let lines: string[] = [];

/** Writes the lines of one turn of the event loop together. */
function writeSoon(line: string): void {
  if (lines.push(line) === 1) setImmediate(flushLog);
}

/** Writes the lines that wait. */
export function flushLog(): void {
  const text = lines.join('');
  lines = [];
  if (process.stdout.writableLength < mostWaitingBytes) process.stdout.write(text);
}

/** A stdout or stderr that is closed must not end the server, nor a terminal stop it that nobody reads. */
export function outliveStdout(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {});
    // Node.js writes to terminals synchronously: https://nodejs.org/api/process.html#a-note-on-process-io
    if (stream.isTTY) Object(stream)._handle?.setBlocking(false);
  }
}
