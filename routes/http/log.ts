import { randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Request, RequestHandler, Response } from 'express';
import morgan from 'morgan';
import { BootError } from '../../model/errors';
import { timeText, toJsonLine, writeSoon } from './log-lines';
import { onceClosed } from './send';

type LogFormat = morgan.FormatFn<Request, Response>;

/** Gives each request its id, the caller's own if that is sane, and logs it once its reply is over. Throws BootError. */
export function requestLog(logFormat: string | undefined): RequestHandler[] {
  if (logFormat === 'off') return [identify];
  const settings = { stream: { write: writeSoon }, skip: isGoodProbe };
  if (logFormat !== undefined && logFormat !== 'json') {
    checkFormat(logFormat);
    return [identify, morgan(logFormat, settings)];
  }
  const log = morgan(logFormat ? json : standard, { ...settings, immediate: true });
  const logAtEnd: RequestHandler = (req, res, next) => {
    onceClosed(res, () => log(req, res, () => {}));
    next();
  };
  return [identify, logAtEnd];
}

const identify: RequestHandler = (req, res, next) => {
  const callers = req.headers['x-request-id'];
  const id = typeof callers === 'string' && /^[\w.:/+=-]{1,128}$/.test(callers) ? callers : randomUUID();
  res.setHeader('X-Request-Id', id);
  res.locals.id = id;
  res.locals.arrived = performance.now();
  next();
};

/** Routes of health probes, which hosts send every few seconds. */
const probes = /^\/(health|ping|v2\/.*(live|ready))$/;

function isGoodProbe({ route }: Request, { statusCode, headersSent }: Response): boolean {
  return headersSent && statusCode === 200 && probes.test(route?.path);
}

morgan.token<Request, Response>('id', (_req, res) => res.locals.id);

const standard: LogFormat = (tokens, req, res) => {
  const { time, id, method, status, bytes, ms, error } = entryFor(req, res);
  // morgan escapes what in a URL could forge a line.
  const line = `${time} ${id} ${method} ${tokens.url(req, res)} ${status ?? '-'} ${bytes ?? '-'} ${ms} ms`;
  return error === undefined ? line : `${line} ${toJsonLine(error)}`;
};

const json: LogFormat = (_tokens, req, res) => toJsonLine(entryFor(req, res));

/** What is logged of a request; a client that disconnected was sent neither status nor bytes. */
function entryFor({ method, originalUrl }: Request, res: Response) {
  const { id, arrived, errorMessage } = res.locals;
  const length = res.getHeader('Content-Length');
  return {
    time: timeText(),
    id,
    method,
    path: originalUrl,
    status: res.headersSent ? res.statusCode : null,
    bytes: res.headersSent && length !== undefined ? Number(length) : null,
    ms: Math.round(10 * (performance.now() - arrived)) / 10,
    error: errorMessage,
  };
}

const names = ['combined', 'common', 'default', 'dev', 'short', 'tiny'];

/** Throws BootError for what is neither the name of a format nor a format: one is tried on an empty request. */
function checkFormat(format: string): void {
  const req = new IncomingMessage(new Socket());
  const res = Object.assign(new ServerResponse(req), { locals: {} }).writeHead(200);
  try {
    if (names.includes(format) || morgan.compile(format)(Object(morgan), req, res) !== format) return;
  } catch {
    // It names what is no token, or a header without its name.
  }
  throw new BootError('LOG_FORMAT must be off, json or a format of morgan, such as ":method :url".');
}
