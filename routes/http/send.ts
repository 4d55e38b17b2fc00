import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Request, Response } from 'express';
import { piecesOf, textOf, writeJson } from '../../model/values/json';
import type { Reply } from '../dialects/dialect';

/** A longer reply, or one of longer tensors, may have to wait for its reader. */
const longReplyBytes = 1 << 17;

// Without a charset, which JSON has none of: KServe's client looks for exactly this.
const jsonType = 'application/json';

/** Ends a reply whose tensors take so many bytes: as JSON, in pieces where it is large, or as JSON and bytes. */
export async function send(res: Response, { json, binary = [] }: Reply, bytes: number): Promise<void> {
  const parts = writeJson(json);
  if (binary.length > 0) sendBinary(res, textOf(parts), binary);
  else if (bytes <= longReplyBytes) sendText(res, 200, jsonType, `${textOf(parts)}\n`);
  else if (begin(res, 200, jsonType, bytes)) {
    // pipeline() listens five times for its close, beside what an outer app's middleware does.
    await pipeline(oneATurn(piecesOf(parts)), res.setMaxListeners(0));
  }
}

/** Ends a reply with JSON. */
export function sendJson(res: Response, status: number, value: unknown): void {
  sendText(res, status, jsonType, `${JSON.stringify(value)}\n`);
}

/** Ends a reply with text; one whose client has disconnected, or that has begun already, is left. */
export function sendText(res: Response, status: number, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  if (!begin(res, status, type, length)) return;
  res.setHeader('Content-Length', length);
  // Only ASCII has as many bytes as characters: as Latin-1, a bare server's request costs 17.3 µs in place of 18.4.
  const encoding = length === body.length ? 'latin1' : 'utf8';
  if (!isArriving(res.req)) return void res.end(body, encoding);
  // Closing now would reset the connection while its client still sends, and so the answer would be lost.
  res.write(body, encoding);
  res.req.once('end', () => res.end()).resume();
}

/** Whether a body is still to come; a request without one is not complete yet when it is answered. */
export function isArriving({ complete, headers }: Request): boolean {
  return !complete && ('transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0);
}

/** Calls back once, when a reply is over: sent whole, or given up with its connection; at once where it is already. */
export function onceClosed(res: Response, done: () => void): void {
  const { socket } = res.req;
  // Its client may have disconnected before an outer app let its request in.
  if (res.closed || socket.destroyed) return void done();
  if (res.socket) return void res.on('close', done);
  // Behind another reply of a pipelining client: before Node.js 24 it is not told that its connection has closed.
  const finish = () => {
    res.off('close', finish);
    socket.off('close', finish);
    done();
  };
  res.on('close', finish);
  socket.setMaxListeners(0).on('close', finish);
}

/** Sets the head of a reply of so many bytes; false where its client has disconnected, or it has begun already. */
function begin(res: Response, status: number, type: string, bytes: number): boolean {
  if (res.headersSent || res.req.socket.destroyed) return false;
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  if (bytes > longReplyBytes) {
    // Closes the connection where its reader takes nothing for so long; after the reply, keepAliveTimeout holds again.
    res.setTimeout(res.app.locals.timeout);
    // Counted by the admission until its reader has it all.
    res.locals.pending?.hold(bytes);
  }
  if (res.app.locals.draining) res.setHeader('Connection', 'close');
  return true;
}

/** Ends a reply of JSON with bytes behind it, as Triton's binary tensor data extension has it. */
function sendBinary(res: Response, json: string, binary: readonly Uint8Array[]): void {
  const header = Buffer.from(json);
  const length = binary.reduce((sum, bytes) => sum + bytes.length, header.length);
  if (!begin(res, 200, 'application/octet-stream', length)) return;
  res.setHeader('Content-Length', length);
  res.setHeader('Inference-Header-Content-Length', header.length);
  res.cork();
  res.write(header);
  for (const bytes of binary) res.write(bytes);
  res.end();
}

/** Pieces one a turn of the event loop, so that others are answered in between: the kernel may take each at once. */
async function* oneATurn(pieces: Iterable<string>): AsyncGenerator<string> {
  for (const piece of pieces) {
    yield piece;
    await nextTurn();
  }
  yield '\n';
}
