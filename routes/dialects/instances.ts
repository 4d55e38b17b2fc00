import { BadInput, type Path } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import type { Columns } from '../../model/values/column';
import { byName, hasJust } from '../../model/values/names';
import { arrayAt, isObject, objectAt, type Query } from './dialect';
import { matchKeys } from './names';

// Instances, made into columns.

/** The value of each input or, where these name them, of each feature of the one input. */
export interface Instance {
  readonly by: 'nothing' | 'inputs' | 'features';
  readonly values: readonly unknown[];
}

/** Reads the instances of a list, one by one. Throws BadInput. */
export function readRows(
  list: unknown,
  signature: Signature,
  at: Path,
  read: (instance: unknown, signature: Signature, at: Path) => Instance = readInstance,
): Query {
  const instances = arrayAt(list, at).map((instance, row) => read(instance, signature, [...at, row]));
  return queryOf(instances, signature, at);
}

/** Asks for the predictions of a list's instances or, without a list, of the only one. Throws BadInput. */
export function queryOf(instances: readonly Instance[], signature: Signature, list?: Path): Query {
  const { inputs, features } = signature;
  const namedBy = instances.map(({ by }) => by);
  const pathOf = pathIn(list, namedBy, signature);
  for (const [row, { by, values }] of features ? instances.entries() : []) {
    const place = by === 'features' ? values.findIndex(Array.isArray) : -1;
    const hint = 'to send whole columns, use {"inputs": …}';
    if (place >= 0)
      throw new BadInput(`must be one value, not an array; ${hint}`, pathOf([inputs[0].name, row, place]));
  }
  const columns: Columns = byName(inputs, (_, i) =>
    instances.map(({ by, values }) => (by === 'features' ? values : values[i])),
  );
  // Without inputs, rows are still counted.
  return {
    columns: inputs.length === 0 ? { instances } : columns,
    reply: list ? 'predictions' : 'prediction',
    pathOf,
  };
}

/** Made apart, since functions that one makes share what they capture: this would keep the body while the model runs. */
function pathIn(
  list: Path | undefined,
  namedBy: readonly Instance['by'][],
  { features = [] }: Signature,
): (place: Path) => Path {
  return ([input, row = 0, ...inner]) => {
    const by = namedBy[Number(row)];
    const named = by === 'features' ? [features[Number(inner[0])] ?? input] : [input, ...inner];
    return list ? [...list, row, ...(by === 'nothing' ? inner : named)] : named;
  };
}

/** The values of inputs or of features, by their names; for a one-input model also its bare value. Throws BadInput. */
export function readInstance(value: unknown, signature: Signature, at: Path): Instance {
  if (isBare(value, signature)) return bare(value);
  const { inputs, features } = signature;
  const keyed = objectAt(value, at, `an object with the model's ${inputs.length} inputs`);
  if (hasJust(keyed, inputs)) return { by: 'inputs', values: inputs.map(({ name }) => keyed[name]) };
  const names = Object.keys(keyed);
  const table = features ? undefined : names.find((name) => isObject(keyed[name]) && !isBase64(keyed[name]));
  if (table !== undefined) {
    const hint = 'send the rows of a data frame, to_json(orient="records"), or {"dataframe_split": …}';
    throw new BadInput(`must not be an object; ${hint}`, [...at, table]);
  }
  const { by, keys } = matchKeys(names, signature, at);
  return { by, values: keys.map((key) => keyed[key]) };
}

/** An instance without names: the value of the one input. */
export function bare(value: unknown): Instance {
  return { by: 'nothing', values: [value] };
}

/** Whether this is the value of a one-input model, and not an object keyed by names; bytes are an object in place of arrays. */
export function isBare(value: unknown, { inputs, features }: Signature): boolean {
  if (inputs.length !== 1) return false;
  return !isObject(value) || (isBase64(value) && inputs[0].name !== 'b64' && !features?.includes('b64'));
}
