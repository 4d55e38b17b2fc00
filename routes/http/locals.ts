import type { Model } from '../../model/model';
import type { PendingRequest } from './admission';

declare global {
  namespace Express {
    /** What a request's middleware leaves for its handlers, in `res.locals`, and the app's own, in `app.locals`. */
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
      /** This and the following of the app: LOG_FORMAT. */
      logFormat?: string;
      /** Milliseconds that a reader may take nothing of a reply. */
      timeout: number;
      /** Whether its process is about to end. */
      draining?: boolean;
    }
  }
}
