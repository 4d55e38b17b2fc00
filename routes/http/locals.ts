import type { Model } from '../../model/model';
import type { PendingRequest } from './admission';

declare global {
  namespace Express {
    /** What a request's middleware leaves for its handlers, in `res.locals`, and the state of the process, in `app.locals`. */
    interface Locals {
      /** Of a reply, the model that is asked; of the app, the first. */
      model: Model;
      /** Behind the guard only. */
      pending?: PendingRequest;
      /** The request's `X-Request-Id`. */
      id: string;
      /** When the request came, by performance.now(). */
      arrived: number;
      /** What the log is to say of a request that failed. */
      errorMessage?: string;
      /** Of the app: LOG_FORMAT. */
      logFormat?: string;
      /** Of the app: milliseconds that a reader may take nothing of a reply. */
      timeout: number;
      /** Of the app: whether it takes no more connections, since its process is to end. */
      draining?: boolean;
    }
  }
}
