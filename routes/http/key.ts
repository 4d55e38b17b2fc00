import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { HttpError } from './errors';

/** Gives a handler only requests that carry one of the keys, where there are any. */
export function needsKey(keys: readonly string[], handler: RequestHandler): RequestHandler {
  if (keys.length === 0) return handler;
  const digests = keys.map(digest);
  return (req, res, next) => {
    const { headers } = req;
    const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
    const guesses = [bearer, headers['x-api-key']].map((key) => String(key ?? '').trim());
    // Every digest is compared, whole, so that the time tells nothing of how near a guess came.
    const matches = digests.flatMap((key) => guesses.map((guess) => timingSafeEqual(key, digest(guess))));
    if (matches.includes(true)) return handler(req, res, next);
    const problem = guesses.join('') === '' ? 'an API key is required' : 'the API key is not valid';
    throw new HttpError(401, `${problem}: send Authorization: Bearer … or X-API-Key`);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
