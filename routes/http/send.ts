import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Request, Response } from 'express';
import { writeJson } from '../../model/values/json';
import type { Reply } from '../dialects/dialect';

/** Bytes that may lie in a socket without anybody looking whether its reader takes them. */
const watchedBytes = 1 << 16;

// Without a charset, which JSON has none of: KServe's client looks for exactly this.
const jsonType = 'application/json';

/** Ends a reply: as JSON, in pieces where it is large, or as JSON and bytes. */
export async function send(res: Response, { json, binary = [], bytes }: Reply): Promise<void> {
  const pieces = writeJson(json);
  const [first = '', second] = [pieces.next().value, pieces.next().value];
  if (binary.length > 0) sendBinary(res, [first, second ?? '', ...pieces].join(''), binary);
  else if (second === undefined) sendText(res, 200, jsonType, `${first}\n`);
  else await sendPieces(res, oneATurn([first, second], pieces), bytes);
}

/** Ends a reply with JSON. */
export function sendJson(res: Response, status: number, value: unknown): void {
  sendText(res, status, jsonType, `${JSON.stringify(value)}\n`);
}

/** Ends a reply with text; one whose client has disconnected, or that has begun already, is left. */
export function sendText(res: Response, status: number, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  if (!begin(res, status, type, length)) return;
  // ASCII, as nearly all replies are, is written faster as what it also is.
  const encoding = length === body.length ? 'latin1' : 'utf8';
  if (!isArriving(res.req)) {
    res.end(body, encoding);
    watchRest(res);
    return;
  }
  // Closing now would reset the connection while its client still sends, and so the answer would be lost.
  res.write(body, encoding);
  res.req.once('end', () => res.end()).resume();
}

/** Whether a reply has ended, or its client has disconnected, so that nothing will tell any more that it is closed. */
export function isOver({ closed, req }: Response): boolean {
  return closed || req.socket.destroyed;
}

/** Sets a reply's head; false where its client has disconnected, or it has begun already. */
function begin(res: Response, status: number, type: string, length?: number): boolean {
  if (res.headersSent || res.destroyed) return false;
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  if (length !== undefined) res.setHeader('Content-Length', length);
  closeIfDraining(res);
  return true;
}

/** Ends a reply of JSON with bytes behind it, as Triton's binary tensor data extension has it. */
function sendBinary(res: Response, json: string, binary: readonly Uint8Array[]): void {
  const header = Buffer.from(json);
  const length = binary.reduce((sum, bytes) => sum + bytes.length, header.length);
  if (!begin(res, 200, 'application/octet-stream', length)) return;
  res.setHeader('Inference-Header-Content-Length', header.length);
  if (length > watchedBytes) res.locals.pending?.holdReply(length);
  res.cork();
  res.write(header);
  for (const bytes of binary) res.write(bytes);
  res.end();
  watchRest(res);
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
export function isArriving({ complete, headers }: Request): boolean {
  return (
    !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
  );
}

/** Ends a reply with JSON that is written as its reader takes it, from tensors of so many bytes; others are answered in between. */
async function sendPieces(res: Response, pieces: AsyncIterable<string>, bytes: number): Promise<void> {
  if (!begin(res, 200, jsonType)) return;
  // Counted by the admission until its reader has it all.
  res.locals.pending?.holdReply(bytes);
  watchReader(res);
  await pipeline(Readable.from(pieces, { highWaterMark: 1 }), res).catch((error) => {
    // The client has disconnected.
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  });
}

/** Pieces of lists of them, between which others are answered: the kernel may take each at once. */
async function* oneATurn(...lists: Iterable<string>[]): AsyncGenerator<string> {
  for (const pieces of lists) {
    for (const piece of pieces) {
      yield piece;
      await nextTurn();
    }
  }
  yield '\n';
}

/** Gives up a reader that takes nothing of a reply for TIMEOUT. */
function watchReader(res: Response): void {
  const { socket } = res;
  if (!socket) return;
  const takenBytes = () => socket.bytesWritten - socket.writableLength;
  let before = takenBytes();
  const timer = setInterval(() => {
    if (takenBytes() === before && socket.writableLength > 0) res.destroy();
    before = takenBytes();
  }, res.app.locals.timeout);
  res.once('close', () => clearInterval(timer));
}

/** Watches a reply that has ended, where much of it still waits for its reader. */
function watchRest(res: Response): void {
  if ((res.socket?.writableLength ?? 0) >= watchedBytes) watchReader(res);
}
