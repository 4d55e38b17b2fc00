import cors, { type CorsOptionsDelegate } from 'cors';
import type { Request, RequestHandler } from 'express';

/** Lets pages of these origins ask, `*` being all; without any, pages of other origins may not. */
export function crossOrigin(origins: readonly string[]): RequestHandler[] {
  if (origins.length === 0) return [];
  const options: CorsOptionsDelegate<Request> = ({ headers }, done) =>
    done(null, {
      origin: origins.includes('*') ? '*' : [...origins],
      exposedHeaders: ['X-Request-Id'],
      // The package takes every OPTIONS for a preflight; others are for the routes.
      preflightContinue: headers['access-control-request-method'] === undefined,
    });
  return [cors(options)];
}
