import { BadInput, kindOf, nameOf, showPath } from '../../model/errors';
import { type Input, runsTogether, type Signature } from '../../model/signature';
import { isBase64 } from '../../model/values/base64';
import { readBase64 } from '../../model/values/bytes';
import { elementOf } from '../../model/values/elements';
import type { Columns, GivenTensor } from '../../model/values/encode';
import { checkRows, hasJust } from '../../model/values/names';
import { byName } from '../../model/values/record';
import { rowsApart } from '../../model/values/rows';
import { checkRank, isShape, measure } from '../../model/values/shapes';
import { type Asked, isObject } from './asked';
import { readRecords, readSplit } from './frames';
import { checkWrapper, matchInputs, matchNames } from './names';
import { isInferRequest, readInferRequest } from './open-inference';
import {
  adviseFrame,
  type Body,
  byFeature,
  byFeatures,
  byInputs,
  inputsOf,
  isKeyed,
  namer,
  placeIn,
  readRows,
} from './rows';

/** Reads a body that is of its form; gives undefined for others. */
type Form = (body: unknown, signature: Signature) => Asked | undefined;

/** The first form that fits a body reads it. A new form goes here, and its wrapper's name into names.ts. */
const forms: Form[] = [
  form(has('instances'), readInstances),
  form(has('dataframe_records'), readRecords),
  form(has('dataframe_split'), readSplit),
  form(isInferRequest, readInferRequest),
  form(has('inputs'), readWhole),
  form(isListOfObjects, (list, signature) => readRows(list, signature, placeIn(''))),
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

/** Told by the first, so that an odd one among them is named by its place. */
function isListOfObjects(body: unknown, signature: Signature): body is unknown[] {
  if (!Array.isArray(body)) return false;
  return body.length === 0 ? signature.inputs.length !== 1 : isKeyed(body[0], signature);
}

function readInstances({ instances }: Body, signature: Signature): Asked {
  if (!Array.isArray(instances)) throw new BadInput(`instances must be an array, not ${kindOf(instances)}`);
  return readRows(instances, signature, placeIn('instances'));
}

/** Where the body itself is the row. */
const atTop = () => '';

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
  return {
    form: 'one',
    values: { columns },
    nameOf: namer(signature, atTop, isRow ? byFeatures : byInputs),
  };
}

/** A batch for each input; bytes stay whole where all are, and their rows may run together. */
function readBatch(values: readonly unknown[], signature: Signature): Asked {
  const { inputs } = signature;
  const bytes = values.every(isBase64) ? values[0] : undefined;
  const rows = isShape(bytes?.shape) ? bytes.shape[0] : undefined;
  const tensors = byName(inputs, (_, i) => ({ data: values[i] }));
  const isWhole = rows !== undefined && runsTogether(signature);
  return { form: 'many', rows, values: isWhole ? { tensors } : columnsOf(tensors, signature), nameOf };
}

/** A batch for each input as columns. Throws BadInput. */
function columnsOf(tensors: Record<string, GivenTensor>, { inputs }: Signature): { columns: Columns } {
  return { columns: byName(inputs, (input) => rowsOfBatch(tensors[input.name].data, input)) };
}

/** Whole tensors as columns: for a model of which only columns are asked. Throws BadInput where these would not be the same. */
export function wholeAsColumns(
  tensors: Record<string, GivenTensor>,
  signature: Signature,
): { columns: Columns } {
  const { inputs, outputs, kind } = signature;
  if (kind === 'whole') return { columns: byName(inputs, ({ name }) => [tensors[name].data]) };
  const { columns } = columnsOf(tensors, signature);
  const odd = inputs.find(({ name }) => columns[name].length !== 1);
  if (!odd) return { columns };
  if (kind === 'single') {
    throw new BadInput(`${odd.name} must have a first dimension of 1, not ${columns[odd.name].length}`);
  }
  const mixed = outputs.find(({ batch }) => !batch);
  if (mixed) {
    throw new BadInput(
      `${mixed.name} is one value for all rows, of which this model is asked one by one: send instances`,
    );
  }
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
  const isUpright = value.every((item) => Array.isArray(item) && item.length === 1);
  if (isUpright) return value.map(([item]) => item);
  const list = value.findIndex(Array.isArray);
  if (list >= 0) throw new BadInput(`${feature}[${list}] must be one value, not an array`);
  return value;
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
  if (Array.isArray(value) && value.length === 0)
    return dims.length === 1 || (typeof dims[1] === 'number' && dims[1] > 0);
  const { length } = measure(value);
  let inner: unknown = value;
  for (let depth = 0; depth < length; depth++) inner = (inner as unknown[]).at(0);
  if (type === 'string' || !isBase64(inner)) return length === dims.length;
  return length + (Array.isArray(inner.shape) ? inner.shape.length : dims.length - 1) === dims.length;
}
