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

/** Instances, each keyed by input or by feature or, for a one-input model, bare. */
export function readRows(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): Asked {
  const { columns, firstIsBare, others } = transpose(instances, signature, where);
  return { form: 'many', values: { columns }, nameOf: namer(signature, where, firstIsBare, others) };
}

/** Names a row by its list. */
export function placeIn(list: string): (row: number) => string {
  return (row) => `${list}[${row}]`;
}

/** Names places in rows that are keyed or bare, as the first is, but for `others`. */
export function namer(
  signature: Signature,
  where: (row: number) => string,
  firstIsBare = false,
  others = new Set<number>(),
): Asked['nameOf'] {
  return (place) => nameInRow(place, where, signature, firstIsBare === others.has(place.row ?? 0));
}

/** Where in a row a value lies: under its input's name or, by its place, its feature's. */
function nameInRow(
  { input, row = 0, path }: Place,
  where: (row: number) => string,
  { inputs, features }: Signature,
  isKeyedRow: boolean,
): string {
  const at = where(row);
  const feature = features?.[Number(path[0])];
  if (isKeyedRow && feature !== undefined && inputs[0].name === input)
    return at ? `${at}.${feature}` : feature;
  if (!isKeyedRow) return `${at}${showPath(path)}`;
  return `${at}${at && '.'}${input}${showPath(path)}`;
}

/** Columns of instances, and which of these are bare: the first, and those that are not as it is. */
function transpose(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): { columns: Columns; firstIsBare: boolean; others: Set<number> } {
  const { inputs } = signature;
  const isBare = (row: number) => inputs.length === 1 && !isKeyed(instances[row], signature);
  const firstIsBare = instances.length > 0 && isBare(0);
  const others = new Set<number>();
  const columns = inputs.map(() => new Array<unknown>(instances.length));
  for (let row = 0; row < instances.length; row++) {
    const instance = instances[row];
    const bare = isBare(row);
    if (bare !== firstIsBare) others.add(row);
    if (bare) columns[0][row] = instance;
    else if (isObject(instance) && hasJust(instance, inputs))
      for (let c = 0; c < inputs.length; c++) columns[c][row] = instance[inputs[c].name];
    else {
      const values = inputsOf(instance, signature, where(row));
      for (let c = 0; c < inputs.length; c++) columns[c][row] = values[c];
    }
  }
  // Without inputs, rows are still counted.
  const named = inputs.length === 0 ? { instances } : byName(inputs, (_, c) => columns[c]);
  return { columns: named, firstIsBare, others };
}

/** The values of one instance by input, however it is keyed; a row of features is the one input's. Throws BadInput. */
export function inputsOf(instance: unknown, signature: Signature, where: string): unknown[] {
  const { inputs, features } = signature;
  if (!isObject(instance))
    throw new BadInput(`${where} must be an object keyed by input, not ${kindOf(instance)}`);
  const given = Object.keys(instance);
  if (features && byFeature(given, signature))
    return [matchNames(given, features, where).map((name) => instance[name])];
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
