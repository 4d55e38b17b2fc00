import type { Response } from 'express';

/**
 * Calls back once, when a reply is over: sent whole, or given up with its connection. At once where it is already, as where
 * its client disconnected before an outer app let its request in.
 */
export function onceClosed(res: Response, done: () => void): void {
  const { socket } = res.req;
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
