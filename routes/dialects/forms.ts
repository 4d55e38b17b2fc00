import { BadInput, nameOf, type Place, showPath } from '../../model/errors';
import { type Input, runsTogether, type Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { readBase64 } from '../../model/values/bytes';
import { elementOf } from '../../model/values/elements';
import { type Columns, kindOf, rowsApart } from '../../model/values/encode';
import { checkRows, hasJust } from '../../model/values/names';
import { byName } from '../../model/values/record';
import { checkRank, measure } from '../../model/values/shapes';
import { type Asked, isObject, type Values } from './asked';
import { checkWrapper, matchInputs, matchNames, show } from './names';
import { isInferRequest, readInferRequest } from './open-inference';

/** Reads a body that is of its form; gives undefined for others. */
type Form = (body: unknown, signature: Signature) => Asked | undefined;

type Body = Record<string, unknown>;

/** The first form that fits a body reads it. A new form goes here, and its wrapper's name into names.ts. */
const forms: Form[] = [
  form(has('instances'), readInstances),
  form(has('dataframe_records'), readRecords),
  form(has('dataframe_split'), readSplit),
  form(isInferRequest, readInferRequest),
  form(has('inputs'), readWhole),
  form(isListOfObjects, (list, signature) => readRows(list, signature, rowsIn(''))),
  form(isKeyed, readKeyed),
];

/** Reads a body without looking at a number. Throws BadInput. */
export function readForm(body: unknown, signature: Signature): Asked {
  if (isObject(body)) checkWrapper(body);
  for (const read of forms) {
    const asked = read(body, signature);
    if (asked) return asked;
  }
  return readBare(body, signature);
}

function form<T>(
  fits: (body: unknown, signature: Signature) => body is T,
  read: (body: T, signature: Signature) => Asked,
): Form {
  return (body, signature) => (fits(body, signature) ? read(body, signature) : undefined);
}

function has(wrapper: string) {
  return (body: unknown): body is Body => isObject(body) && Object.hasOwn(body, wrapper);
}

/** Whether an object is a value, bytes in place of arrays, and not keyed by names. */
function isValue(body: Body, { inputs, features }: Signature): boolean {
  return isBase64(body) && inputs.length === 1 && inputs[0].name !== 'b64' && !features?.includes('b64');
}

function isKeyed(body: unknown, signature: Signature): body is Body {
  return isObject(body) && !isValue(body, signature);
}

function isListOfObjects(body: unknown, signature: Signature): body is Body[] {
  if (!Array.isArray(body) || (body.length === 0 && signature.inputs.length === 1)) return false;
  return body.every((item) => isKeyed(item, signature));
}

function readInstances({ instances }: Body, signature: Signature): Asked {
  if (!Array.isArray(instances)) throw new BadInput(`instances must be an array, not ${kindOf(instances)}`);
  return readRows(instances, signature, rowsIn('instances'));
}

function readRecords({ dataframe_records: records }: Body, signature: Signature): Asked {
  if (!Array.isArray(records))
    throw new BadInput(`dataframe_records must be an array, not ${kindOf(records)}`);
  const where = rowsIn('dataframe_records');
  const odd = records.findIndex((record) => !isObject(record));
  if (odd >= 0) throw new BadInput(`${where(odd)} must be an object, not ${kindOf(records[odd])}`);
  if (needsFeatures(signature) && records.length > 0) {
    const rows = records.map((record) =>
      checkColumns(Object.keys(record), signature) ? Object.values(record) : record,
    );
    return readRows(rows, signature, where);
  }
  return readRows(records, signature, where);
}

function readSplit({ dataframe_split: split }: Body, signature: Signature): Asked {
  if (!isObject(split)) throw new BadInput(`dataframe_split must be an object, not ${kindOf(split)}`);
  const unknown = Object.keys(split).find((key) => !['columns', 'data', 'index'].includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} in dataframe_split`);
  const { columns: given, data } = split;
  const where = rowsIn('dataframe_split.data');
  // MLflow's serving_input of a frame without names has no columns.
  if (given === undefined && Array.isArray(data) && needsFeatures(signature))
    return readRows(data, signature, where);
  if (!Array.isArray(given) || !given.every((name) => typeof name === 'string' || Number.isInteger(name))) {
    throw new BadInput('dataframe_split.columns must be an array of names');
  }
  if (!Array.isArray(data)) throw new BadInput('dataframe_split.data must be an array of rows');
  const names = given.map(String);
  const odd = data.findIndex((row) => !Array.isArray(row) || row.length !== names.length);
  const byPosition = needsFeatures(signature) && checkColumns(names, signature);
  const { features, inputs } = signature;
  const list = 'dataframe_split.columns';
  const match = () => (features ? matchNames(names, features, list) : matchInputs(names, inputs, list));
  const own = byPosition ? [] : match();
  if (odd >= 0) throw new BadInput(`${where(odd)} must be an array of ${names.length} values`);
  if (byPosition) return readRows(data, signature, where);
  // Without inputs, rows are still counted.
  if (inputs.length === 0) return { form: 'many', values: { columns: { data } }, nameOf };
  const places = own.map((name) => names.indexOf(name));
  const columns = features
    ? { [inputs[0].name]: data.map((row) => places.map((place) => row[place])) }
    : byName(inputs, (_, i) => data.map((row) => row[places[i]]));
  return { form: 'many', values: { columns }, nameOf: namer(signature, where) };
}

/** Whether a data frame's columns cannot be told by name. */
function needsFeatures({ inputs, features }: Signature): boolean {
  return inputs.length === 1 && !features;
}

/**
 * Whether the columns of a frame are unnamed, 0 to k−1 as pandas numbers them, and so read by position. Throws BadInput
 * for columns that a one-input model cannot tell apart.
 */
function checkColumns(columns: readonly string[], { inputs }: Signature): boolean {
  if (columns.length > 0 && columns.every((name, i) => name === String(i))) return true;
  if (columns.every((name) => name === inputs[0].name)) return false;
  throw new BadInput("a data frame needs the names of the model's columns: set FEATURES");
}

/** Instances, each keyed by input or by feature or, for a one-input model, bare. */
function readRows(
  instances: readonly unknown[],
  signature: Signature,
  where: (row: number) => string,
): Asked {
  const { columns, firstIsBare, others } = transpose(instances, signature, where);
  return { form: 'many', values: { columns }, nameOf: namer(signature, where, firstIsBare, others) };
}

/** Names a row by its list. */
function rowsIn(list: string): (row: number) => string {
  return (row) => `${list}[${row}]`;
}

/** Names places in rows that are keyed or bare, as the first is, but for `others`. */
function namer(
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
function inputsOf(instance: unknown, signature: Signature, where: string): unknown[] {
  const { inputs, features } = signature;
  if (!isObject(instance))
    throw new BadInput(`${where} must be an object keyed by input, not ${kindOf(instance)}`);
  const given = Object.keys(instance);
  if (features && byFeature(given, signature))
    return [matchNames(given, features, where).map((name) => instance[name])];
  adviseFrame(instance, given, signature);
  return matchInputs(given, inputs, where).map((name) => instance[name]);
}

/** Whether an object's keys are features, and not the input's own name. */
function byFeature(given: readonly string[], { inputs, features = [] }: Signature): boolean {
  return !given.includes(inputs[0].name) || given.some((name) => features.includes(name));
}

/** Throws BadInput with the cure for what pandas makes where it is not told how. */
function adviseFrame(body: Body, given: readonly string[], { inputs, features }: Signature): void {
  const known = inputs.some(({ name }) => given.includes(name));
  if (given.includes('columns') && given.includes('data') && !known) {
    throw new BadInput('a data frame in orient="split" is to be wrapped: {"dataframe_split": …}');
  }
  const isIndexed = (value: unknown) => isObject(value) && !isBase64(value) && Object.keys(value)[0] === '0';
  if (given.length > 0 && given.every((name) => isIndexed(body[name]))) {
    throw new BadInput('a data frame is to be sent as rows: to_json(orient="records")');
  }
  if (!features && !known && given.length > 0 && inputs.length === 1 && inputs[0].dims.length === 2) {
    throw new BadInput(
      `unknown input ${show(given[0])}: to send columns by name, set FEATURES to the names of the columns of ${inputs[0].name}`,
    );
  }
}

/** An object keyed by feature or by input: one instance, or a batch where its values have the inputs' full rank. */
function readKeyed(body: Body, signature: Signature): Asked {
  const { inputs, kind } = signature;
  const values = hasJust(body, inputs) ? inputs.map(({ name }) => body[name]) : inputsOf(body, signature, '');
  if (isObject(values[0])) adviseFrame(body, Object.keys(body), signature);
  const isRow = signature.features !== undefined && byFeature(Object.keys(body), signature);
  const holdBatch = inputs.map((input, i) => kind === 'batched' && !isRow && holdsBatch(values[i], input));
  const batch = holdBatch.indexOf(true);
  if (batch >= 0) {
    const odd = holdBatch.indexOf(false);
    if (odd >= 0) {
      throw new BadInput(
        `${inputs[batch].name} holds a batch but ${inputs[odd].name} one instance: give both alike`,
      );
    }
    return readBatch(values, signature);
  }
  const columns = inputs.length === 0 ? { instances: [body] } : byName(inputs, (_, i) => [values[i]]);
  return { form: 'one', values: { columns }, nameOf: namer(signature, () => '') };
}

/** A batch for each input; one of bytes stays whole where its rows may run together. */
function readBatch(values: readonly unknown[], signature: Signature): Asked {
  const { inputs } = signature;
  const bytes = values.find(isBase64);
  const rows = Array.isArray(bytes?.shape) ? Number(bytes.shape[0]) : undefined;
  const tensors = byName(inputs, (_, i) => ({ data: values[i] }));
  const isWhole = rows !== undefined && runsTogether(signature);
  return { form: 'many', rows, values: isWhole ? { tensors } : columnsOf({ tensors }, signature), nameOf };
}

/** Whole tensors as columns: for a model of which only columns are asked. Throws BadInput. */
export function columnsOf(values: Values, { inputs, kind }: Signature): { columns: Columns } {
  if ('columns' in values) return values;
  const columns = byName(inputs, (input) => {
    const { data } = values.tensors[input.name];
    return kind === 'whole' ? [data] : rowsOfBatch(data, input);
  });
  return { columns };
}

function readBare(value: unknown, signature: Signature): Asked {
  const { inputs, kind } = signature;
  if (inputs.length !== 1) {
    throw new BadInput(`a body for a model with ${inputs.length} inputs is an object, not ${kindOf(value)}`);
  }
  const [input] = inputs;
  if (kind === 'batched' && holdsBatch(value, input)) return readBatch([value], signature);
  return { form: 'one', values: { columns: { [input.name]: [value] } }, nameOf: nameOfBare };
}

const nameOfBare: Asked['nameOf'] = ({ input, path }) => `${input}${showPath(path)}`;

/** Whole tensors, keyed by input, by feature as columns, or bare for a one-input model. */
function readWhole({ inputs: value }: Body, signature: Signature): Asked {
  const { inputs, features } = signature;
  const whole = wholeValues(value, signature);
  for (const [i, input] of inputs.entries()) {
    if (input.dims.length > 0 && !isBase64(whole[i])) checkRank(whole[i], input);
  }
  const tensors = byName(inputs, (_, i) => ({ data: whole[i] }));
  const isByFeature = isObject(value) && features && !Object.hasOwn(value, inputs[0].name);
  return { form: 'whole', values: { tensors }, nameOf: isByFeature ? nameOfFeature(features) : nameOf };
}

/** Names places in columns that were given by feature. */
function nameOfFeature(features: readonly string[]): Asked['nameOf'] {
  return (place) => {
    const [row, column] = [place.row, ...place.path].filter((step) => step !== undefined);
    const feature = features[Number(column)];
    return feature === undefined ? nameOf(place) : `${feature}[${row}]`;
  };
}

function wholeValues(value: unknown, signature: Signature): unknown[] {
  const { inputs, features } = signature;
  if (!isKeyed(value, signature)) {
    if (inputs.length === 1) return [value];
    if (inputs.length === 0 && Array.isArray(value) && value.length === 0) return [];
    throw new BadInput(`inputs must be an object keyed by input, not ${kindOf(value)}`);
  }
  const given = Object.keys(value);
  if (features && byFeature(given, signature)) {
    const names = matchNames(given, features, 'inputs');
    return [
      rowsOfColumns(
        names.map((name, i) => featureColumn(value[name], features[i], inputs[0])),
        features,
      ),
    ];
  }
  return matchInputs(given, inputs, 'inputs').map((name) => value[name]);
}

/** A feature's values: a list, upright or flat, or bytes. */
function featureColumn(value: unknown, feature: string, { type }: Input): readonly unknown[] {
  if (isBase64(value) && type !== 'string') {
    const { data } = readBase64(value, type, [''], { input: feature, path: [] });
    return Array.from({ length: data.length }, (_, i) => elementOf(type).get(data, i));
  }
  if (!Array.isArray(value)) throw new BadInput(`${feature} must be an array, not ${kindOf(value)}`);
  const isUpright = value.length > 0 && value.every((item) => Array.isArray(item) && item.length === 1);
  return isUpright ? value.map(([item]) => item) : value;
}

function rowsOfColumns(columns: readonly (readonly unknown[])[], names: readonly string[]): unknown[][] {
  const [{ length }] = columns;
  for (const [i, column] of columns.entries()) checkRows(names[i], column.length, names[0], length);
  return Array.from({ length }, (_, row) => columns.map((column) => column[row]));
}

/** The rows of a batch: arrays as they are, bytes taken apart. */
function rowsOfBatch(value: unknown, { name, type, dims }: Input): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (!isBase64(value)) throw new BadInput(`${name} must be an array, not ${kindOf(value)}`);
  return rowsApart(readBase64(value, type, dims, { input: name, path: [] }));
}

/** Whether a value for an input of a batched model holds a batch, told by its rank. */
function holdsBatch(value: unknown, { type, dims }: Input): boolean {
  if (typeof value !== 'object' || value === null) return false;
  // An empty array is a batch of no rows, unless an instance can be empty.
  if (Array.isArray(value) && value.length === 0) return dims.length === 1 || typeof dims[1] !== 'string';
  const { length } = measure(value);
  let inner: unknown = value;
  for (let depth = 0; depth < length; depth++) inner = (inner as unknown[]).at(0);
  if (type === 'string' || !isBase64(inner)) return length === dims.length;
  return length + (Array.isArray(inner.shape) ? inner.shape.length : dims.length - 1) === dims.length;
}
