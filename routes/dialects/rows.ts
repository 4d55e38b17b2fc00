import { BadInput, kindOf, type Place, showPath } from '../../model/errors';
import type { Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import type { Columns } from '../../model/values/encode';
import { hasJust } from '../../model/values/names';
import { byName } from '../../model/values/record';
import { type Asked, isObject } from './asked';
import { matchInputs, matchNames, plain, show } from './names';

// Instances in a list, made into columns.

export type Body = Record<string, unknown>;

/** Whether an object is a value, bytes in place of arrays, and not keyed by names. */
function isValue(body: Body, { inputs, features }: Signature): boolean {
  return isBase64(body) && inputs.length === 1 && inputs[0].name !== 'b64' && !features?.includes('b64');
}

export function isKeyed(body: unknown, signature: Signature): body is Body {
  return isObject(body) && !isValue(body, signature);
}

/** How a row names its values: not at all, by its inputs, or by the features of the one input. */
type Keys = 'none' | 'inputs' | 'features';

// Not written where a body is read: V8 keeps with a function all that others beside it use, and so the body.
export const byInputs = (): Keys => 'inputs';
export const byFeatures = (): Keys => 'features';

/** Instances, each keyed by input or by feature or, for a one-input model, bare. */
export function readRows(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): Asked {
  const { columns, keys } = transpose(instances, signature, where);
  return { form: 'many', values: { columns }, nameOf: namer(signature, where, (row) => keys[row]) };
}

/** Names a row by its list. */
export function placeIn(list: string): (row: number) => string {
  return (row) => `${list}[${row}]`;
}

/** Names places in rows: under an input's name or, by its place, a feature's. */
export function namer(
  { inputs, features }: Signature,
  where: (row: number) => string,
  keysOf: (row: number) => Keys,
): Asked['nameOf'] {
  return ({ input, row = 0, path }: Place) => {
    const at = where(row);
    const keys = keysOf(row);
    if (keys === 'none') return `${at}${showPath(path)}`;
    const ofFeature = keys === 'features' && inputs[0].name === input;
    const feature = ofFeature ? features?.[Number(path[0])] : undefined;
    return `${at}${at && '.'}${feature ?? `${input}${showPath(path)}`}`;
  };
}

/** Columns of instances, and how each names its values. */
function transpose(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): { columns: Columns; keys: Keys[] } {
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
  // Without inputs, rows are still counted.
  return { columns: inputs.length === 0 ? { instances } : byName(inputs, (_, c) => columns[c]), keys };
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

/** Whether an object's keys are features, and not the input's own name. Throws BadInput where they are both. */
export function byFeature(given: readonly string[], { inputs, features = [] }: Signature): boolean {
  const [{ name: own }] = inputs;
  if (!given.includes(own)) return true;
  const feature = given.find((name) => features.includes(name));
  if (feature === undefined) return false;
  throw new BadInput(`${show(feature)} is a part of ${show(own)}: give one of the two`);
}

/** Throws BadInput with the cure for what pandas makes where it is not told how. */
export function adviseFrame(body: Body, given: readonly string[], { inputs, features }: Signature): void {
  const names = new Set(given.map(plain));
  const known = inputs.some(({ name }) => names.has(plain(name)));
  if (given.includes('columns') && given.includes('data') && !known) {
    throw new BadInput('a data frame in orient="split" is to be wrapped: {"dataframe_split": …}');
  }
  const isIndexed = (value: unknown) => isObject(value) && !isBase64(value) && Object.keys(value)[0] === '0';
  // By column, by row, or with a schema.
  const isByColumn = given.length > 0 && given.every((name) => isIndexed(body[name]));
  const isByRow = !known && given[0] === '0' && isObject(body['0']);
  const isTable = !known && given.includes('schema') && given.includes('data');
  if (isByColumn || isByRow || isTable) {
    throw new BadInput('a data frame is to be sent as rows: to_json(orient="records")');
  }
  if (!features && !known && given.length > 0 && inputs.length === 1 && inputs[0].dims.length === 2) {
    throw new BadInput(
      `unknown input ${show(given[0])}: to send columns by name, set FEATURES to the names of the columns of ${inputs[0].name}`,
    );
  }
}
