import type { Model } from '../../model/model';
import type { PendingRequest } from './admission';
import type { Metrics } from './metrics';

declare global {
  namespace Express {
    /** What middleware leaves for what comes after it, in `res.locals` and `app.locals`. */
    interface Locals {
      /** Of a reply, the model that is asked, once a route is found; of the app, the first. */
      model: Model;
      /** Of a reply: what the guard knows of its request. */
      pending?: PendingRequest;
      /** Of a reply: when its request came, by performance.now(). */
      arrived: number;
      /** Of a reply: why it failed, for the log. */
      why?: string;
      /** Of the app: its figures. */
      metrics: Metrics;
      /** Of the app: bytes of the largest body. */
      bodyLimit: number;
      /** Of the app: milliseconds from a request's arrival until it gets a 504. */
      timeout: number;
      /** Of the app: how lines are written. */
      logFormat?: string;
      /** Of the app: whether it answers only what was accepted before a signal. */
      draining?: boolean;
      /** Of the app: whether a run does not end. */
      stuck?: boolean;
    }
  }
}
