import { BadInput, type Path } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { byName, hasJust } from '../../model/values/names';
import { arrayAt, isObject, objectAt, type Query } from './dialect';
import { matchKeys } from './keys';

// Instances, made into columns.

/** The value of each input or, where these name them, of each feature of the one input. */
export interface Instance {
  readonly by: 'nothing' | 'inputs' | 'features';
  readonly values: readonly unknown[];
}

/** Asks for the predictions of the instances of a list or, where no place of it is given, of its only one. Throws BadInput. */
export function readRows(list: unknown, signature: Signature, at?: Path, read = readInstance): Query {
  const { inputs, features = [] } = signature;
  const columns = inputs.map((): unknown[] => []);
  const namedBy: Instance['by'][] = [];
  // Nothing else is kept of a row: there may be millions.
  for (const [row, instance] of arrayAt(list, at ?? []).entries()) {
    const place = at ? [...at, row] : [];
    const { by, values } = read(instance, signature, place);
    namedBy.push(by);
    const misfit = by === 'features' ? values.findIndex(Array.isArray) : -1;
    if (misfit >= 0) {
      const hint = 'to send whole columns, use {"inputs": …}';
      throw new BadInput(`must be one value, not an array; ${hint}`, [...place, features[misfit]]);
    }
    for (let i = 0; i < columns.length; i++) columns[i].push(by === 'features' ? values : values[i]);
  }
  return {
    // Without inputs, rows are still counted.
    columns: inputs.length === 0 ? { namedBy } : byName(inputs, (_, i) => columns[i]),
    reply: at ? 'predictions' : 'prediction',
    pathOf: pathIn(at, namedBy, signature),
  };
}

/** Made apart, since functions that one makes share what they capture: this would keep the body while the model runs. */
function pathIn(
  list: Path | undefined,
  namedBy: readonly Instance['by'][],
  { inputs, features = [] }: Signature,
): Query['pathOf'] {
  return (place) => {
    const [input, row = 0, ...inner] = place;
    // A column that only a wrapper gives is not in the body.
    if (inputs.every(({ name }) => name !== input)) return place;
    const by = namedBy[Number(row)];
    const named = by === 'features' ? [features[Number(inner[0])] ?? input] : [input, ...inner];
    return list ? [...list, row, ...(by === 'nothing' ? inner : named)] : named;
  };
}

/** The values of inputs or of features, by their names; for a one-input model also its bare value. Throws BadInput. */
export function readInstance(value: unknown, signature: Signature, at: Path): Instance {
  if (isBare(value, signature)) return unnamed(value);
  const { inputs } = signature;
  const keyed = objectAt(value, at, `an object with the model's ${inputs.length} inputs`);
  if (hasJust(keyed, inputs)) return { by: 'inputs', values: inputs.map(({ name }) => keyed[name]) };
  const { by, keys } = matchKeys(Object.keys(keyed), signature, at);
  return { by, values: keys.map((key) => keyed[key]) };
}

/** An instance without names: the value of the one input. */
export function unnamed(value: unknown): Instance {
  return { by: 'nothing', values: [value] };
}

/** Whether this is the value of a one-input model, and not an object keyed by names; bytes are an object in place of arrays. */
export function isBare(value: unknown, { inputs, features }: Signature): boolean {
  if (inputs.length !== 1) return false;
  return !isObject(value) || (isBase64(value) && inputs[0].name !== 'b64' && !features?.includes('b64'));
}
