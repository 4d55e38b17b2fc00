import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Request, Response } from 'express';
import { pieceLength, Writable } from '../../model/values/decode';

// Without a charset, which JSON has none of: KServe's client looks for exactly this.
const json = 'application/json';

/** Ends a reply with JSON. */
export function sendJson(res: Response, status: number, value: unknown): void {
  sendText(res, status, json, `${JSON.stringify(value)}\n`);
}

/** Ends a reply with text; one whose client is gone, or that has begun already, is left. */
export function sendText(res: Response, status: number, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  if (!begin(res, status, type, length)) return;
  // ASCII, as nearly all replies are, is written faster as what it also is.
  const encoding = length === body.length ? 'latin1' : 'utf8';
  if (!isArriving(res.req)) {
    res.end(body, encoding);
    watchReader(res);
    return;
  }
  // Closing now would reset the connection while its client still sends, and so the answer would be lost.
  res.write(body, encoding);
  res.req.once('end', () => res.end()).resume();
}

/** Whether a reply has ended, or its client has gone, so that nothing will tell any more that it is closed. */
export function isOver({ closed, req }: Response): boolean {
  return closed || req.socket.destroyed;
}

/** Sets a reply's head; false where its client is gone, or it has begun already. */
function begin(res: Response, status: number, type: string, length?: number): boolean {
  if (res.headersSent || res.destroyed) return false;
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  if (length !== undefined) res.setHeader('Content-Length', length);
  closeIfDraining(res);
  return true;
}

/** Ends a reply of JSON with bytes behind it, as Triton's binary tensor data extension has it. */
export function sendBinary(res: Response, value: object, binary: readonly Uint8Array[]): void {
  const header = Buffer.from(JSON.stringify(value));
  const length = binary.reduce((sum, bytes) => sum + bytes.length, header.length);
  if (!begin(res, 200, 'application/octet-stream', length)) return;
  res.setHeader('Inference-Header-Content-Length', header.length);
  if (length > 1 << 16) res.locals.pending?.hold(length);
  res.cork();
  res.write(header);
  for (const bytes of binary) res.write(bytes);
  res.end();
  watchReader(res);
}

/** Ends a reply that tells the methods of a path. */
export function sendOptions(res: Response, allow: string): void {
  res.setHeader('Allow', allow);
  closeIfDraining(res);
  res.status(204).end();
}

/** While the process drains, a connection ends with its reply; not before its request has been read. */
function closeIfDraining(res: Response): void {
  if (res.app.locals.draining && !isArriving(res.req)) res.setHeader('Connection', 'close');
}

/** Whether a body is still to come; a request without one is not complete yet when it is answered. */
function isArriving({ complete, headers }: Request): boolean {
  return (
    !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
  );
}

/** Ends a reply with JSON that is written as its reader takes it, from tensors of so many bytes; others are answered in between. */
export async function sendPieces(res: Response, value: unknown, bytes: number): Promise<void> {
  if (!begin(res, 200, json)) return;
  // Counted by the admission until its reader has it all.
  res.locals.pending?.hold(bytes);
  for (const piece of inPieces(piecesOf(value))) {
    if (!res.write(piece)) await drained(res);
    // The kernel may take it at once, and drain within this turn.
    await nextTurn();
    if (res.destroyed) return;
  }
  res.end('\n');
}

/** Gives up a reader that has taken nothing of a large reply for TIMEOUT. */
function watchReader(res: Response): void {
  const { socket } = res;
  if (!socket || socket.writableLength < pieceLength) return;
  let left = socket.writableLength;
  const timer = setInterval(() => {
    if (socket.writableLength >= left) res.destroy();
    left = socket.writableLength;
  }, res.app.locals.timeout);
  res.once('close', () => clearInterval(timer));
}

/** Resolves when a reply's buffer has been taken; a reader that has not taken it within TIMEOUT is given up. */
function drained(res: Response): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => res.destroy(), res.app.locals.timeout);
    const done = () => {
      clearTimeout(timer);
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}

/** Short pieces put together. */
function* inPieces(pieces: Iterable<string>): Generator<string> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < pieceLength) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

function* piecesOf(value: unknown): Generator<string> {
  if (value instanceof Writable) return yield* value.pieces();
  if (!holdsWritable(value)) return yield JSON.stringify(value);
  const isList = Array.isArray(value);
  let before = isList ? '[' : '{';
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    yield isList ? before : `${before}${JSON.stringify(key)}:`;
    yield* piecesOf(item);
    before = ',';
  }
  yield isList ? ']' : '}';
}

/** Whether a reply holds columns that are to be written in pieces. */
function holdsWritable(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Writable) return true;
  // What a wrapper made says itself what it is.
  return !('toJSON' in value) && Object.values(value).some(holdsWritable);
}
