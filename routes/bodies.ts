import { BadInput } from '../model/errors';
import type { Model } from '../model/model';
import { isBytes, kindOf, rankOf, readElement, readInstances, readTensor } from '../model/read';
import type { Input } from '../model/sample';
import { elements, type Feeds, rowsOf, type Tensor } from '../model/tensor';

/** What a body asks for: its runs, and the form of the answer. */
export interface Question {
  runs: Feeds[];
  /** One prediction, a list of them, or whole output tensors. */
  form: 'one' | 'many' | 'tensors';
}

/** Keys that wrap what is asked; they win over inputs of the same name. */
export const wrappers = ['instances', 'dataframe_records', 'dataframe_split', 'inputs'];

/** Keys of other protocols that may stand beside a wrapper. */
const companions = ['signature_name', 'id', 'parameters', 'params'];

type Body = Record<string, unknown>;

export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a body of any form but the Open Inference Protocol's. Throws BadInput. */
export function readBody(body: unknown, model: Model): Question {
  if (isObject(body)) {
    const wrapper = wrapperOf(body);
    if (wrapper) return readWrapped(wrapper, body[wrapper], model);
    if (!isValueFor(body, model)) return readKeyed(body, model);
  }
  if (
    Array.isArray(body) &&
    (body.length > 0 || model.inputs.length !== 1) &&
    body.every((item) => isObject(item) && !isValueFor(item, model))
  ) {
    return readInstanceList(body, model, (i) => `[${i}]`);
  }
  return readBare(body, model);
}

/** The one wrapper of a body, if it has one. Throws BadInput for two, or for a key that cannot stand beside it. */
export function wrapperOf(body: Body, others: readonly string[] = []): string | undefined {
  const found = wrappers.filter((name) => Object.hasOwn(body, name));
  if (found.length === 0) return undefined;
  if (found.length > 1) throw new BadInput(`a body has one of ${found.join(' and ')}, not both`);
  const unknown = Object.keys(body).find(
    (key) => key !== found[0] && !companions.includes(key) && !others.includes(key),
  );
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} beside ${found[0]}`);
  if (typeof (body.signature_name ?? '') !== 'string') throw new BadInput('signature_name must be a string');
  return found[0];
}

function readWrapped(wrapper: string, value: unknown, model: Model): Question {
  if (wrapper === 'inputs') return readWhole(value, model);
  if (wrapper === 'dataframe_split') {
    return readInstanceList(recordsOf(value, model), model, (i) => `dataframe_split.data[${i}]`);
  }
  if (!Array.isArray(value)) throw new BadInput(`${wrapper} must be an array, not ${kindOf(value)}`);
  if (wrapper === 'dataframe_records') {
    const odd = value.findIndex((record) => !isObject(record));
    if (odd >= 0) throw new BadInput(`${wrapper}[${odd}] must be an object, not ${kindOf(value[odd])}`);
    for (const record of value) checkColumns(Object.keys(record), model);
  }
  return readInstanceList(value, model, (i) => `${wrapper}[${i}]`);
}

/** A data frame names columns, and a one-input model has none unless FEATURES names them. */
function checkColumns(columns: readonly string[], model: Model): void {
  if (model.inputs.length !== 1 || model.features) return;
  if (columns.some((column) => column !== model.inputs[0].name)) {
    throw new BadInput("a data frame needs the names of the model's columns: set FEATURES");
  }
}

function recordsOf(value: unknown, model: Model): Body[] {
  if (!isObject(value)) throw new BadInput(`dataframe_split must be an object, not ${kindOf(value)}`);
  const unknown = Object.keys(value).find((key) => !['columns', 'data', 'index'].includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} in dataframe_split`);
  const { columns, data } = value;
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === 'string')) {
    throw new BadInput('dataframe_split.columns must be an array of names');
  }
  if (!Array.isArray(data)) throw new BadInput('dataframe_split.data must be an array of rows');
  checkColumns(columns, model);
  checkNames(columns, model.features ?? namesOf(model.inputs), 'dataframe_split.columns');
  return data.map((row, i) => {
    if (!Array.isArray(row) || row.length !== columns.length) {
      throw new BadInput(`dataframe_split.data[${i}] must be an array of ${columns.length} values`);
    }
    return Object.fromEntries(columns.map((name, column) => [name, row[column]]));
  });
}

export function namesOf(inputs: readonly Input[]): string[] {
  return inputs.map(({ name }) => name);
}

/** Whether an object is a value, bytes in place of arrays, and not keyed by names. */
function isValueFor(body: Body, model: Model): boolean {
  return (
    isBytes(body) &&
    model.inputs.length === 1 &&
    model.inputs[0].name !== 'b64' &&
    !model.features?.includes('b64')
  );
}

/** Throws BadInput for a name that is unknown, missing, or there twice. */
export function checkNames(given: readonly string[], known: readonly string[], where: string): void {
  const at = where && ` in ${where}`;
  const unknown = given.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new BadInput(`unknown input ${show(unknown)}${at}`);
  const missing = known.find((name) => !given.includes(name));
  if (missing !== undefined) throw new BadInput(`missing input ${show(missing)}${at}`);
  if (given.length > known.length) throw new BadInput(`an input stands twice${at}`);
}

function show(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

/** The one input's row for an object keyed by FEATURES, or undefined for an object that is keyed otherwise. */
function featureRow(body: Body, model: Model, where: string): unknown[] | undefined {
  const { features, inputs } = model;
  if (!features) return undefined;
  const given = Object.keys(body);
  if (given.length > 0 && !given.some((name) => features.includes(name))) return undefined;
  checkNames(given, features, where);
  return features.map((name) => {
    if (readElement(body[name], inputs[0].type) === undefined) {
      const place = where ? `${where}.${name}` : name;
      throw new BadInput(
        `${place} must be ${elements[inputs[0].type].takes}, not ${kindOf(body[name], inputs[0].type)}`,
      );
    }
    return body[name];
  });
}

/** An object keyed by feature or by input: one instance, or a batch where its values have the inputs' full rank. */
function readKeyed(body: Body, model: Model): Question {
  const { inputs, kind } = model;
  const holdsBatch = (input: Input) => Object.hasOwn(body, input.name) && givesBatch(body[input.name], input);
  const batch = kind === 'batched' ? inputs.find(holdsBatch) : undefined;
  if (!batch) return { runs: readRows([body], model, () => ''), form: 'one' };
  checkNames(Object.keys(body), namesOf(inputs), '');
  const odd = inputs.find((input) => !holdsBatch(input));
  if (odd) {
    throw new BadInput(`${batch.name} holds a batch but ${odd.name} one instance: give both alike`);
  }
  return readBatch(
    inputs.map(({ name }) => body[name]),
    model,
  );
}

/** Whether a value for an input of a batched model holds a batch, told by its rank. */
function givesBatch(value: unknown, input: Input): boolean {
  if (rankOf(value, input.type, input.shape.length - 1) === input.shape.length) return true;
  // An empty array is a batch of no rows, unless an instance can be empty.
  return Array.isArray(value) && value.length === 0 && typeof input.shape[1] !== 'string';
}

function readBatch(values: readonly unknown[], model: Model): Question {
  const { inputs } = model;
  const tensors = inputs.map((input, i) => {
    const value = values[i];
    const expected = { type: input.type, dims: input.shape.slice(1) };
    if (Array.isArray(value)) {
      return value.length === 0 ? [] : readInstances(value, expected, (row) => `${input.name}[${row}]`);
    }
    return [readTensor(value, { ...expected, dims: input.shape }, input.name)];
  });
  const counts = tensors.map((list) => list.reduce((sum, { shape }) => sum + shape[0], 0));
  checkCounts(counts, namesOf(inputs));
  return { runs: runsOf(tensors, counts[0], model), form: 'many' };
}

function readInstanceList(list: readonly unknown[], model: Model, where: (i: number) => string): Question {
  return { runs: readRows(list, model, where), form: 'many' };
}

function readBare(value: unknown, model: Model): Question {
  const { inputs, kind } = model;
  if (inputs.length !== 1) {
    throw new BadInput(`a body for a model with ${inputs.length} inputs is an object, not ${kindOf(value)}`);
  }
  const [input] = inputs;
  if (kind === 'batched' && givesBatch(value, input)) return readBatch([value], model);
  return { runs: readRows([value], model, () => input.name), form: 'one' };
}

/** Reads instances, each keyed by input or by feature or, for a one-input model, bare. */
function readRows(instances: readonly unknown[], model: Model, where: (i: number) => string): Feeds[] {
  const { inputs, kind } = model;
  const columns: unknown[][] = inputs.map(() => []);
  instances.forEach((instance, i) => {
    if (isObject(instance) && !isValueFor(instance, model)) {
      const row = featureRow(instance, model, where(i));
      if (!row) checkNames(Object.keys(instance), namesOf(inputs), where(i));
      inputs.forEach(({ name }, input) => void columns[input].push(row ?? instance[name]));
    } else if (inputs.length === 1) columns[0].push(instance);
    else throw new BadInput(`${where(i)} must be an object keyed by input, not ${kindOf(instance)}`);
  });
  const tensors = inputs.map((input, c) => {
    const place = (i: number) => {
      const instance = instances[i];
      const keyed = isObject(instance) && Object.hasOwn(instance, input.name);
      return keyed ? `${where(i)}${where(i) && '.'}${input.name}` : where(i);
    };
    const values =
      kind === 'single'
        ? columns[c].map((value, i) => withoutLead(value, input, () => place(i)))
        : columns[c];
    return values.length === 0 ? [] : readInstances(values, model.instance[c], place);
  });
  return runsOf(tensors, instances.length, model);
}

/** A single model's instance may give the first dimension of 1 or leave it out. */
function withoutLead(value: unknown, input: Input, where: () => string): unknown {
  if (rankOf(value, input.type, input.shape.length - 1) !== input.shape.length) return value;
  const shape = isBytes(value) && input.type !== 'string' ? (value.shape as unknown[]) : undefined;
  if ((shape ? shape[0] : (value as unknown[]).length) !== 1) {
    throw new BadInput(`${where()} must have a first dimension of 1`);
  }
  return shape ? { ...(value as object), shape: shape.slice(1) } : (value as unknown[])[0];
}

/** All rows in one run where they have one shape and the outputs can be told apart by row, else a run for each. */
function runsOf(tensors: Tensor[][], count: number, { kind, outputs }: Model): Feeds[] {
  if (count === 0) return [];
  const stacked = tensors.every((list) => list.length === 1);
  const together = kind === 'batched' && outputs.every(({ batch }) => batch);
  if (stacked && (together || (count === 1 && kind !== 'whole'))) return [tensors.map(([tensor]) => tensor)];
  return Array.from({ length: count }, (_, i) =>
    tensors.map((list) => {
      const row = list.length === 1 ? rowsOf(list[0], i, i + 1) : list[i];
      // A run may take over the memory of its feeds, so rows do not share any.
      return { ...row, data: row.data.slice(), shape: kind === 'whole' ? row.shape.slice(1) : row.shape };
    }),
  );
}

/** Whole tensors, keyed by input, by feature as columns, or bare for a one-input model. */
function readWhole(value: unknown, model: Model): Question {
  const { inputs, features } = model;
  let feeds: Feeds;
  if (!isObject(value) || isValueFor(value, model)) {
    if (inputs.length !== 1)
      throw new BadInput(`inputs must be an object keyed by input, not ${kindOf(value)}`);
    feeds = [readInput(value, inputs[0])];
  } else if (features && Object.keys(value).some((name) => features.includes(name))) {
    checkNames(Object.keys(value), features, 'inputs');
    feeds = [readColumns(value, features, inputs[0])];
  } else {
    checkNames(Object.keys(value), namesOf(inputs), 'inputs');
    feeds = inputs.map((input) => readInput(value[input.name], input));
  }
  checkRows(feeds, model);
  return { runs: [feeds], form: 'tensors' };
}

/** Throws BadInput where the inputs of a batched model differ in their number of rows. */
export function checkRows(feeds: Feeds, { inputs, kind }: Model): void {
  if (kind === 'batched')
    checkCounts(
      feeds.map(({ shape }) => shape[0]),
      namesOf(inputs),
    );
}

function checkCounts(counts: readonly number[], names: readonly string[]): void {
  const odd = counts.findIndex((count) => count !== counts[0]);
  if (odd > 0) {
    throw new BadInput(`${names[odd]} has ${counts[odd]} rows but ${names[0]} has ${counts[0]}`);
  }
}

function readInput(value: unknown, { name, type, shape }: Input): Tensor {
  return readTensor(value, { type, dims: shape.length === 0 ? undefined : shape, loose: true }, name);
}

function readColumns(value: Body, features: readonly string[], { type }: Input): Tensor {
  const columns = features.map((name) => readTensor(value[name], { type, dims: ['', 1], loose: true }, name));
  const [rows] = columns[0].shape;
  checkCounts(
    columns.map(({ shape }) => shape[0]),
    features,
  );
  const data = elements[type].create(rows * columns.length);
  columns.forEach((column, c) => {
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = column.data[row] as never;
  });
  return { type, shape: [rows, columns.length], data };
}
