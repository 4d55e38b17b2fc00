import { inspect } from 'node:util';

/** Logs, in lines or as objects, what the process has to say beside its requests. */
export function logInfo(logFormat: string | undefined, text: string): void {
  console.log(formatLines(logFormat, text));
}

/** The same for what went wrong, on stderr. */
export function logProblem(logFormat: string | undefined, text: string): void {
  console.error(formatLines(logFormat, text));
}

/** Logs all of an error that the request of this id met, in one line, unless too much waits for a reader of stderr. */
export function logError(logFormat: string | undefined, id: string, error: unknown): void {
  if (process.stderr.writableLength >= mostWaitingBytes) return;
  const message = error instanceof Error ? String(error.stack) : inspect(error);
  const isJson = logFormat === 'json';
  console.error(isJson ? toJsonLine({ time: timeText(), id, message }) : `${id} ${toJsonLine(message)}`);
}

function formatLines(logFormat: string | undefined, text: string): string {
  if (logFormat !== 'json') return text;
  const lines = text.split('\n').map((line) => toJsonLine({ time: timeText(), message: line.trim() }));
  return lines.join('\n');
}

let time = { ms: 0, text: '' };

/** The time of now, made once a millisecond, in which many requests may end. */
export function timeText(): string {
  const ms = Date.now();
  if (ms !== time.ms) time = { ms, text: new Date(ms).toISOString() };
  return time.text;
}

/** JSON without any character that a reader of logs may take for the end of a line, or a terminal obeys. */
export function toJsonLine(value: object | string): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Bytes of lines that may wait for a reader of stdout or stderr; what comes on top is dropped. */
const mostWaitingBytes = 1 << 20;

let lines: string[] = [];

/** Writes a line, together with those of the same turn of the event loop. */
export function writeSoon(line: string): void {
  if (lines.push(line) === 1) setImmediate(flushLog);
}

export function flushLog(): void {
  const text = lines.join('');
  lines = [];
  if (process.stdout.writableLength < mostWaitingBytes) process.stdout.write(text);
}

/** A stdout or stderr that is closed must not end the server, nor a terminal stop it that nobody reads. */
export function outliveStdout(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {});
    // Node.js writes to terminals synchronously: https://nodejs.org/api/process.html#a-note-on-process-io
    if (stream.isTTY) Object(stream)._handle?.setBlocking(false);
  }
}
