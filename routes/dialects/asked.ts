import type { Place } from '../../model/errors';
import type { Columns, GivenTensor } from '../../model/values/encode';

/** What a body asks for. */
export interface Asked {
  /** One prediction, a list of them, whole output tensors, or a reply of the Open Inference Protocol. */
  form: 'one' | 'many' | 'whole' | 'infer';
  /** For each input one value a row. */
  readonly columns: Columns;
  /** Whole tensors, where they were asked for. */
  readonly tensors?: Record<string, GivenTensor>;
  /** How many rows a batch of whole tensors has. */
  readonly rows?: number;
  /** What a request of the Open Inference Protocol wants back. */
  readonly infer?: InferRequest;
  /** Names a place in the body's own words. */
  nameOf(place: Place): string;
}

export interface InferRequest {
  id?: string;
  outputs: { name: string; binary: boolean }[];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
