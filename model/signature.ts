import type { ElementType } from './values/elements';

/** A declared length, or the name of an open one ('' where it has none). */
export type Dim = number | string;

/** An instance is a row, where first dimensions are open (batched) or fixed at 1 (single), else the full value of every input. */
export type Kind = 'batched' | 'single' | 'unbatched';

export interface Input {
  readonly name: string;
  readonly type: ElementType;
  /** Empty for a scalar or an unknown rank. */
  readonly dims: readonly Dim[];
  /** The axes along which it may be empty. */
  readonly emptyAxes?: readonly number[];
  /** The JSON of an instance that the model is known to take. */
  readonly example?: string;
  /** What a missing text is called in the model's tables, where they have one: "nan" by pandas, "" by an imputer. */
  readonly missingText?: string;
}

export interface Output {
  readonly name: string;
  readonly type: ElementType;
  /** As seen at the start. */
  readonly dims: readonly Dim[];
  /** Whether its first dimension counts the rows of the inputs. */
  readonly batch: boolean;
  /** The class labels that a ZipMap gives the columns. */
  readonly labels?: readonly string[];
}

/** What a model takes and gives: plain data. */
export interface Signature {
  readonly kind: Kind;
  readonly inputs: readonly Input[];
  readonly outputs: readonly Output[];
  /** The name of the output that is the prediction. */
  readonly prediction: string;
  /** The column names of the one `[N,k]` input, where they were given. */
  readonly features?: readonly string[];
}

/** Keys that wrap what a body asks; they win over inputs of the same name, and no feature may have one. */
export const wrappers = ['instances', 'dataframe_records', 'dataframe_split', 'inputs'];

/** The dimensions of an input's whole tensor; undefined where any shape will do. */
export function tensorDims({ dims }: Input): readonly Dim[] | undefined {
  return dims.length === 0 ? undefined : dims;
}

/** Those of one instance's value. */
export function instanceDims(input: Input, kind: Kind): readonly Dim[] | undefined {
  return kind === 'unbatched' ? tensorDims(input) : input.dims.slice(1);
}

export function showDims(dims: readonly Dim[]): string {
  return `[${dims.map((dim) => (dim === '' || String(dim).length > 20 ? '?' : dim)).join(',')}]`;
}

/** `name: float32[N,4]`, as messages and the log show an input or output. */
export function showValue({ name, type, dims, batch, labels }: Output): string {
  if (labels) return `${name}: {${labels.join(', ')}}`;
  const shown = batch && typeof dims[0] === 'string' ? ['N', ...dims.slice(1)] : dims;
  return `${name}: ${type}${dims.length === 0 ? '' : showDims(shown)}`;
}
