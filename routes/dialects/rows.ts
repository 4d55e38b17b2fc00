import { BadInput, kindOf, type Place, showPath } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { hasJust } from '../../model/values/names';
import { byName } from '../../model/values/record';
import { isObject, type Query } from './dialect';
import { byFeature, matchInputs, matchNames, plain, show } from './names';

// Instances in a list, made into columns.

export type Keyed = Record<string, unknown>;

/** Whether an object is a value, bytes in place of arrays, and not keyed by names. */
function isValue(body: Keyed, { inputs, features }: Signature): boolean {
  return isBase64(body) && inputs.length === 1 && inputs[0].name !== 'b64' && !features?.includes('b64');
}

export function isKeyed(body: unknown, signature: Signature): body is Keyed {
  return isObject(body) && !isValue(body, signature);
}

/** How a row names its values: not at all, by its inputs, or by the features of the one input. */
type Keys = 'none' | 'inputs' | 'features';

/** Instances, each keyed by input or by feature or, for a one-input model, bare. */
export function readRows(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): Query {
  const { inputs, features } = signature;
  const columns = inputs.map(() => new Array<unknown>(instances.length));
  const keys = new Array<Keys>(instances.length);
  for (let row = 0; row < instances.length; row++) {
    const instance = instances[row];
    if (inputs.length === 1 && !isKeyed(instance, signature)) {
      keys[row] = 'none';
      columns[0][row] = instance;
    } else if (isObject(instance) && hasJust(instance, inputs)) {
      keys[row] = 'inputs';
      for (let c = 0; c < inputs.length; c++) columns[c][row] = instance[inputs[c].name];
    } else {
      keys[row] = features ? 'features' : 'inputs';
      const values = inputsOf(instance, signature, where(row));
      for (let c = 0; c < inputs.length; c++) columns[c][row] = values[c];
    }
  }
  return {
    // Without inputs, rows are still counted.
    columns: inputs.length === 0 ? { instances } : byName(inputs, (_, c) => columns[c]),
    reply: 'many',
    nameOf: namer(signature, where, keys),
  };
}

/** Names a row by its list. */
export function placeIn(list: string): (row: number) => string {
  return (row) => `${list}[${row}]`;
}

/**
 * Names places in rows: under an input's name or, by its place, a feature's. Closures that one function makes share what they
 * capture: made where a body is read, this one would keep the body in memory while the model runs.
 */
export function namer(
  { inputs, features }: Signature,
  where: (row: number) => string,
  keys: Keys | readonly Keys[],
): Query['nameOf'] {
  return ({ input, row = 0, path }: Place) => {
    const at = where(row);
    const own = typeof keys === 'string' ? keys : keys[row];
    if (own === 'none') return `${at}${showPath(path)}`;
    const ofFeature = own === 'features' && inputs[0].name === input;
    const feature = ofFeature ? features?.[Number(path[0])] : undefined;
    return `${at}${at && '.'}${feature ?? `${input}${showPath(path)}`}`;
  };
}

/** The values of one instance by input, however it is keyed; a row of features is the one input's. Throws BadInput. */
export function inputsOf(instance: unknown, signature: Signature, where: string): unknown[] {
  const { inputs, features } = signature;
  if (!isObject(instance))
    throw new BadInput(`${where} must be an object keyed by input, not ${kindOf(instance)}`);
  const given = Object.keys(instance);
  if (features && byFeature(given, signature)) {
    const values = matchNames(given, features, where).map((name) => instance[name]);
    const list = values.findIndex(Array.isArray);
    if (list < 0) return [values];
    const hint = where ? '' : '; columns are asked by {"inputs": …}';
    throw new BadInput(`${where}${where && '.'}${features[list]} must be one value, not an array${hint}`);
  }
  adviseFrame(instance, given, signature);
  return matchInputs(given, inputs, where).map((name) => instance[name]);
}

/** Throws BadInput with the cure for a data frame that is not sent as rows, or whose columns the model cannot tell. */
function adviseFrame(body: Keyed, given: readonly string[], { inputs, features }: Signature): void {
  const names = new Set(given.map(plain));
  if (inputs.some(({ name }) => names.has(plain(name)))) return;
  const isSplit = given.includes('columns') && given.includes('data');
  if (isSplit || given.some((name) => isObject(body[name]) && !isBase64(body[name]))) {
    throw new BadInput('send the rows of a data frame, to_json(orient="records"), or {"dataframe_split": …}');
  }
  if (!features && given.length > 0 && inputs.length === 1 && inputs[0].dims.length === 2) {
    throw new BadInput(
      `unknown input ${show(given[0])}: to send columns by name, set FEATURES to the names of the columns of ${inputs[0].name}`,
    );
  }
}
