import { BadInput, type Path } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import type { Columns } from '../../model/values/column';
import { byName, hasJust } from '../../model/values/names';
import { isObject, objectAt, type Query } from './dialect';
import { matchKeys } from './names';

// Instances, made into columns.

/** The value of each input, and how they are named: not at all, by the inputs, or by the features of the one input. */
export interface Instance {
  readonly by: 'nothing' | 'inputs' | 'features';
  readonly values: readonly unknown[];
}

/** Reads the instances of a list, one by one. Throws BadInput. */
export function readRows(
  list: readonly unknown[],
  signature: Signature,
  at: Path,
  read: (instance: unknown, signature: Signature, at: Path) => Instance = readInstance,
): Query {
  const instances = list.map((instance, row) => read(instance, signature, [...at, row]));
  return queryOf(instances, signature, at);
}

/** Asks for the predictions of a list's instances or, without a list, of the only one. */
export function queryOf(instances: readonly Instance[], signature: Signature, list?: Path): Query {
  const { inputs } = signature;
  const columns: Columns = byName(inputs, (_, i) => instances.map(({ values }) => values[i]));
  const namedBy = instances.map(({ by }) => by);
  return {
    // Without inputs, rows are still counted.
    columns: inputs.length === 0 ? { instances } : columns,
    reply: list ? 'predictions' : 'prediction',
    pathOf: pathIn(list, namedBy, signature),
  };
}

/** Made apart, since functions that one makes share what they capture: this would keep the body while the model runs. */
function pathIn(
  list: Path | undefined,
  namedBy: readonly Instance['by'][],
  { features = [] }: Signature,
): Query['pathOf'] {
  return ([input, row = 0, ...inner]) => {
    const by = namedBy[Number(row)];
    const named = by === 'features' ? [features[Number(inner[0])] ?? input] : [input, ...inner];
    return list ? [...list, row, ...(by === 'nothing' ? inner : named)] : named;
  };
}

/** Reads an instance; the values of features are the row that is the value of the one input. Throws BadInput. */
export function readInstance(instance: unknown, signature: Signature, at: Path): Instance {
  return withFeaturesInRow(readByName(instance, signature, at), signature, at);
}

/** The values of inputs or of features, by their names; for a one-input model also its bare value. Throws BadInput. */
export function readByName(value: unknown, signature: Signature, at: Path): Instance {
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

export function withFeaturesInRow(instance: Instance, { features = [] }: Signature, at: Path): Instance {
  const { by, values } = instance;
  if (by !== 'features') return instance;
  const list = values.findIndex(Array.isArray);
  if (list < 0) return { by, values: [values] };
  const hint = 'to send whole columns, use {"inputs": …}';
  throw new BadInput(`must be one value, not an array; ${hint}`, [...at, features[list]]);
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
