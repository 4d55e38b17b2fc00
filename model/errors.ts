/** The caller's mistake: answered with 400 and this message. */
export class BadInput extends Error {
  readonly status = 400;
  readonly expose = true;
}

/** The server cannot answer now, or not in time: 503 asks the client to come again, 504 does not. */
export class Unavailable extends Error {
  readonly expose = true;
  constructor(
    readonly status: 503 | 504,
    message: string,
  ) {
    super(message);
  }
}

/** What keeps the server from starting; its message is one line that says what to do. */
export class BootError extends Error {}

/** The message of anything that was thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
}
