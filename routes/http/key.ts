import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { HttpError } from './errors';

/** A check that throws HttpError for a request which carries none of the keys; without keys, all may pass. */
export function keyCheck(keys: readonly string[]): (req: IncomingMessage) => void {
  if (keys.length === 0) return () => {};
  const digests = keys.map(digest);
  return ({ headers }) => {
    const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
    const given = [bearer, headers['x-api-key']].map((key) => String(key ?? '').trim());
    // Every digest is compared, whole, so that the time tells nothing of how near a guess came.
    const matches = digests.flatMap((key) => given.map((guess) => timingSafeEqual(key, digest(guess))));
    if (matches.includes(true)) return;
    const problem =
      given.join('') === '' ? 'this needs a key' : 'this key is not one of those that are valid';
    throw new HttpError(401, `${problem}: send Authorization: Bearer … or X-API-Key`);
  };
}

/** Lets pass only who has a key, where there are any. */
export function needsKey(keys: readonly string[]): RequestHandler {
  const checkKey = keyCheck(keys);
  return (req, _res, next) => {
    checkKey(req);
    next();
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
