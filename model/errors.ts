import { inspect } from 'node:util';
import type { ElementType } from './values/elements';

/** The way to a value: of columns the input, the row if it is one row's fault, and the indices within the row's value. */
export type Path = readonly (number | string)[];

/** The caller's mistake; where it has a path, `problem` is what is wrong there. Its `cause` is for the log. */
export class BadInput extends Error {
  readonly status = 400;
  readonly expose = true;

  constructor(
    readonly problem: string,
    readonly path?: Path,
    options?: ErrorOptions,
  ) {
    super(path ? `${showPath(path)} ${problem}` : problem, options);
  }
}

/** `age[2]`, `image[0][3][1]`, `instances[2].age`; of the whole, `the body`. */
export function showPath(path: Path): string {
  const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`));
  return steps.join('').replace(/^\./, '') || 'the body';
}

/** What a value is, for a message that must not repeat it. */
export function kindOf(value: unknown, type?: ElementType): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (['number', 'bigint', 'symbol'].includes(typeof value)) return 'this number';
  if (typeof value === 'string' && type === 'string') return 'this string';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A run that failed by no fault of the caller's: the runtime's own error, or outputs that do not answer the question. */
export class RunError extends Error {}

/** What keeps the server from starting; its message is one line that says what to do. */
export class BootError extends Error {}

/** The message of anything that was thrown, on one line. */
export function messageOf(error: unknown): string {
  const { message }: { message?: unknown } = Object(error);
  const text = typeof message === 'string' ? message : error instanceof Error ? error.name : inspect(error);
  return text.replace(/\s+/g, ' ').trim();
}
