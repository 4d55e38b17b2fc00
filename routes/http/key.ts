import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { HttpError } from './errors';

/** Lets only requests pass that carry one of the keys; without keys, there is nothing to pass. */
export function requireKey(keys: readonly string[]): RequestHandler[] {
  if (keys.length === 0) return [];
  const digests = keys.map(digest);
  const check: RequestHandler = (req, _res, next) => {
    const bearer = /^Bearer +(.+)$/i.exec(req.headers.authorization ?? '')?.[1];
    const given = [bearer, req.headers['x-api-key']].map((key) => digest(String(key ?? '').trim()));
    // Every digest is compared, whole, so that the time tells nothing of how near a guess came.
    const matches = digests.flatMap((key) => given.map((guess) => timingSafeEqual(key, guess)));
    const allowed = matches.includes(true);
    next(
      allowed ? undefined : new HttpError(401, 'this needs a key: send Authorization: Bearer … or X-API-Key'),
    );
  };
  return [check];
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
