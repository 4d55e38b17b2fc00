import { inspect } from 'node:util';
import type { Options } from './options';

type Format = Pick<Options, 'logFormat'>;

let written = { at: 0, text: '' };

/** The time of writing, put into words once for all lines of a millisecond. */
export function timeText(): string {
  const at = Date.now();
  if (at !== written.at) written = { at, text: new Date(at).toISOString() };
  return written.text;
}

/** JSON without any character that a reader of logs may take for the end of a line, or a terminal obeys. */
export function toJsonLine(value: object): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** What the process has to say beside its requests: as it stands, or an object for each line. */
export function formatLines({ logFormat }: Format, text: string): string {
  if (logFormat !== 'json') return text;
  const lines = text.split('\n').map((line) => toJsonLine({ time: timeText(), message: line.trim() }));
  return lines.join('\n');
}

/** All of an error that a request met, in one line. */
export function formatError({ logFormat }: Format, id: string, error: unknown): string {
  const message = error instanceof Error ? String(error.stack) : inspect(error);
  if (logFormat === 'json') return toJsonLine({ time: timeText(), id, message });
  return `${id} ${JSON.stringify(message)}`;
}
