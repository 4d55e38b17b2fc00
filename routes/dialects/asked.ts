import type { Place } from '../../model/errors';
import type { Columns, GivenTensor } from '../../model/values/encode';

/** What a body asks for. */
export interface Asked {
  /** One prediction, a list of them, or whole output tensors. */
  form: 'one' | 'many' | 'whole';
  /** What the model is asked, until somebody takes it. */
  values?: Values;
  /** How many rows a batch has that came as bytes. */
  readonly rows?: number;
  /** What a request of the Open Inference Protocol wants back. */
  readonly infer?: InferRequest;
  /** Names a place in the body's own words. It holds nothing of the body, which may be large. */
  nameOf(place: Place): string;
}

/** For each input one value a row or, where they are all there in one piece and need not be told apart, a whole tensor. */
export type Values = { columns: Columns } | { tensors: Record<string, GivenTensor> };

/** Takes what the model is asked, so that nothing keeps it while the model runs. */
export function takeValues(asked: Asked): Values {
  const { values } = asked;
  if (!values) throw new Error('the values have been taken already');
  asked.values = undefined;
  return values;
}

export interface InferRequest {
  id?: string;
  outputs: { name: string; binary: boolean }[];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
