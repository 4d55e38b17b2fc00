import { BadInput, kindOf, type Path } from '../../model/errors';
import type { Model } from '../../model/model';
import type { Output } from '../../model/signature';
import type { Columns } from '../../model/values/column';

/** How the clients of one tradition are answered. */
export type Dialect = (outputs: Columns, query: Omit<Query, 'columns'>, model: Model) => Reply;

/** What a body asks. But for its columns and its id it holds nothing of the body, which may be large. */
export interface Query {
  readonly columns: Columns;
  /** One prediction, or a list of them, under this key; whole output tensors; or these as the Open Inference Protocol has them. */
  readonly reply: 'prediction' | 'predictions' | 'tensors' | Wanted;
  /** Of instances, where their list is, if they have one, and what names the values of each. */
  readonly rows?: { readonly listPath?: Path; readonly namedBy: readonly NamedBy[] };
}

export type NamedBy = 'nothing' | 'inputs' | 'features';

/** What a request of the Open Inference Protocol is to get back. */
export interface Wanted {
  readonly id?: string;
  readonly outputs: readonly { output: Output; binary: boolean }[];
}

/** A reply: JSON as writeJson takes it and, in the Open Inference Protocol, the bytes behind it. */
export interface Reply {
  readonly json: unknown;
  readonly binary?: readonly Uint8Array[];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value that must be an array. Throws BadInput. */
export function arrayAt(value: unknown, path: Path): unknown[] {
  if (Array.isArray(value)) return value;
  throw new BadInput(`must be an array, not ${kindOf(value)}`, path);
}

/** A value that must be an object, such as one with so many inputs. Throws BadInput. */
export function objectAt(value: unknown, path: Path, expected = 'an object'): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new BadInput(`must be ${expected}, not ${kindOf(value)}`, path);
}
