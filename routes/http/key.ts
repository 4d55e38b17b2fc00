import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { HttpError } from './errors';

/** A check that throws HttpError for a request which carries none of the keys; without keys, all may pass. */
export function keyCheck(keys: readonly string[]): (req: IncomingMessage) => void {
  if (keys.length === 0) return () => {};
  const digests = keys.map(digest);
  return ({ headers }) => {
    const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1];
    const given = [bearer, headers['x-api-key']].map((key) => digest(String(key ?? '').trim()));
    // Every digest is compared, whole, so that the time tells nothing of how near a guess came.
    const matches = digests.flatMap((key) => given.map((guess) => timingSafeEqual(key, guess)));
    if (!matches.includes(true))
      throw new HttpError(401, 'this needs a key: send Authorization: Bearer … or X-API-Key');
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
