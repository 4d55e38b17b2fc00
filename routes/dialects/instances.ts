import { BadInput, kindOf, type Place, showPath } from '../../model/errors';
import type { Input, Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import type { Columns } from '../../model/values/column';
import { byName, hasJust } from '../../model/values/names';
import { isObject, type Query } from './dialect';
import { type MatchedKeys, matchKeys, plain, show } from './names';

// Instances in a list, made into columns.

export type Keyed = Record<string, unknown>;

/** Whether an object is a value, bytes in place of arrays, and not keyed by names. */
function isValue(body: Keyed, { inputs, features }: Signature): boolean {
  return isBase64(body) && inputs.length === 1 && inputs[0].name !== 'b64' && !features?.includes('b64');
}

export function isKeyed(body: unknown, signature: Signature): body is Keyed {
  return isObject(body) && !isValue(body, signature);
}

/** How a row names its values: not at all, by the inputs, or by the features of the one input. */
type NamedBy = 'nothing' | MatchedKeys['by'];

/** Instances, each keyed by input or by feature or, for a one-input model, bare. */
export function readRows(
  instances: readonly unknown[],
  signature: Signature,
  nameRow: (row: number) => string,
): Query {
  const { inputs } = signature;
  const rows: (readonly unknown[])[] = [];
  const namedBy: NamedBy[] = [];
  for (const [row, instance] of instances.entries()) {
    const isBare = inputs.length === 1 && !isKeyed(instance, signature);
    const { by, values } = isBare
      ? { by: 'nothing' as const, values: [instance] }
      : readInstance(instance, signature, nameRow(row));
    rows.push(values);
    namedBy.push(by);
  }
  return { columns: columnsOf(rows, inputs), reply: 'many', nameOf: namer(signature, nameRow, namedBy) };
}

/** The columns of rows that have a value for each input; without inputs, rows are still counted. */
export function columnsOf(rows: readonly (readonly unknown[])[], inputs: readonly Input[]): Columns {
  if (inputs.length === 0) return { rows };
  return byName(inputs, (_, i) => rows.map((values) => values[i]));
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
  nameRow: (row: number) => string,
  namedBy: readonly NamedBy[],
): Query['nameOf'] {
  return ({ input, row = 0, path }: Place) => {
    const at = nameRow(row);
    if (namedBy[row] === 'nothing') return `${at}${showPath(path)}`;
    const isOfFeature = namedBy[row] === 'features' && inputs[0].name === input;
    const feature = isOfFeature ? features?.[Number(path[0])] : undefined;
    return `${at}${at && '.'}${feature ?? `${input}${showPath(path)}`}`;
  };
}

/** One instance by its keys: what these name, and the value of each input. */
interface KeyedInstance {
  by: MatchedKeys['by'];
  values: unknown[];
}

/** Reads an instance, however it is keyed. Throws BadInput. */
export function readInstance(instance: unknown, signature: Signature, where: string): KeyedInstance {
  const { inputs } = signature;
  if (!isObject(instance))
    throw new BadInput(`${where} must be an object keyed by input, not ${kindOf(instance)}`);
  if (hasJust(instance, inputs)) return { by: 'inputs', values: inputs.map(({ name }) => instance[name]) };
  adviseFrame(instance, signature);
  const { by, keys } = matchKeys(Object.keys(instance), signature, where);
  const values = keys.map((key) => instance[key]);
  return { by, values: by === 'inputs' ? values : [featuresRow(values, signature, where)] };
}

/** A row of features, which is the value of the one input. Throws BadInput where a feature has a list of values. */
export function featuresRow(values: unknown[], { features = [] }: Signature, where: string): unknown[] {
  const list = values.findIndex(Array.isArray);
  if (list < 0) return values;
  const hint = where ? '' : '; to send whole columns, use {"inputs": …}';
  throw new BadInput(`${where}${where && '.'}${features[list]} must be one value, not an array${hint}`);
}

/** Throws BadInput with the cure for a data frame that is not sent as rows, or whose columns the model cannot tell. */
function adviseFrame(body: Keyed, { inputs, features }: Signature): void {
  if (features) return;
  const given = Object.keys(body);
  const names = new Set(given.map(plain));
  if (inputs.some(({ name }) => names.has(plain(name)))) return;
  const isSplit = given.includes('columns') && given.includes('data');
  if (isSplit || given.some((name) => isObject(body[name]) && !isBase64(body[name]))) {
    throw new BadInput('send the rows of a data frame, to_json(orient="records"), or {"dataframe_split": …}');
  }
  if (given.length > 0 && inputs.length === 1 && inputs[0].dims.length === 2) {
    throw new BadInput(
      `unknown input ${show(given[0])}: to send columns by name, set FEATURES to the names of the columns of ${inputs[0].name}`,
    );
  }
}
