import './runtime/privacy';
import { basename } from 'node:path';
import { Batcher, type Signal } from './batcher';
import { BadInput, BootError, messageOf, RunError } from './errors';
import { charactersOf, type Observation, observe } from './experiment';
import { callersFault, loadFault } from './runtime/faults';
import { type Graph, readGraph } from './runtime/onnx';
import { openSession, type Runner, type Source, type Value } from './runtime/session';
import { startThread } from './runtime/thread';
import { type Dim, type Input, type Output, runsTogether, type Signature } from './signature';
import { type Column, decode, noRows } from './values/decode';
import { elementOf, isElementType } from './values/elements';
import { type Columns, encode, encodeTensor, type GivenTensor } from './values/encode';
import { bytesOf, type Tensor } from './values/tensor';

/** Whole tensors by name. */
export type Tensors = Record<string, Tensor>;

/** A plain object whose functions use no `this`, so that `{ ...model, predict }` wraps it. */
export interface Model {
  readonly name: string;
  /** The file that was loaded. */
  readonly path: string;
  readonly signature: Signature;
  /** What the boot log should say beside the inputs and outputs. */
  readonly notes: readonly string[];
  /** What it is doing at the moment. */
  readonly status: Status;
  /**
   * A column for each output, given for each input one value a row. Throws BadInput with the place that does not fit,
   * RunError where the model fails, or the signal's reason.
   */
  predict(columns: Columns, signal?: Signal): Promise<Record<string, Column>>;
  /** Whole tensors in one run, for the protocol that states type and shape itself. Throws as `predict` does. */
  infer(tensors: Record<string, GivenTensor>, signal?: Signal): Promise<Tensors>;
  /** Lets the requests that wait, and the run in progress, end. */
  close(): Promise<void>;
}

export interface Status {
  /** Bytes of the tensors that wait for a run. */
  readonly bytes: number;
  /** When the run in progress began, by performance.now(). */
  readonly runningSince: number | undefined;
  /** Whether requests share runs. */
  readonly shares: boolean;
}

export interface ModelOptions {
  /** The name in paths and replies; the file's, without it. */
  name?: string;
  /** The column names of a model with one `[N,k]` input. */
  features?: readonly string[];
  /** The outputs to give; the first is the prediction. */
  outputs?: readonly string[];
  /** Threads that share the work of one run. */
  threads?: number;
  /** Most rows that waiting requests may share in one run. */
  maxBatch?: number;
  /** Where a line goes that an operator should see. */
  log?(line: string): void;
}

/** Models of up to so many bytes may run on the thread that serves HTTP, if they are quick. */
const smallModel = 16 * 2 ** 20;
/** Bytes of the outputs of one request: more cannot be answered. */
const largestAnswer = 256 * 2 ** 20;

/** An output with the name under which the runtime is asked for it. */
type Fetched = Output & { fetch: string };

/** Loads a model, and sees what it takes and gives. Throws BootError where it cannot be served. */
export async function loadModel(path: string, options: ModelOptions = {}): Promise<Model> {
  const { maxBatch = 32, threads = 1 } = options;
  const graph = readGraph(path);
  const source: Source = { path, threads };
  const mayRunHere = graph.size <= smallModel && !graph.costVaries;
  const runner = await (mayRunHere ? openSession : startThread)(source).catch((error) => {
    throw new BootError(`${path} cannot be loaded: ${loadFault(messageOf(error))}`);
  });
  try {
    const seen = await look(runner, path, graph, maxBatch, options);
    const place = mayRunHere ? await placeRuns(runner, source, seen.momentary) : runner;
    return serveRunner(place, path, graph, seen, options);
  } catch (error) {
    await runner.close().catch(() => {});
    throw error;
  }
}

/** What there is to know of a model before it is served. */
interface Look {
  signature: Signature;
  /** The names under which the runtime is asked for the outputs. */
  fetches: readonly string[];
  notes: string[];
  momentary: Observation['momentary'];
}

async function look(
  runner: Runner,
  path: string,
  graph: Graph,
  maxBatch: number,
  options: ModelOptions,
): Promise<Look> {
  const notes: string[] = [];
  const inputs = runner.inputs.map((value) => asInput(value, path));
  const wanted = options.outputs ?? listed(graph, 'outputs');
  const outputs = chosen(servable(runner.outputs, graph, notes), wanted, path);
  const features = options.features ?? listed(graph, 'features');
  checkFeatures(features, inputs);
  const { signature, fits, momentary } = await observe(runner, inputs, outputs, graph, maxBatch);
  if (!fits) notes.push('no made-up input fits the model, so what it declares is believed');
  if (runsTogether(signature) && graph.mixesRows) {
    notes.push(`each request has a run of its own: ${graph.mixesRows}`);
  }
  const named = wanted ? undefined : outputs.find(({ name }) => name === 'prediction');
  const { name: prediction } = named ?? outputs[0];
  return {
    signature: { ...signature, prediction, ...(features && { features }) },
    fetches: outputs.map(({ fetch }) => fetch),
    notes,
    momentary,
  };
}

/** The model around what runs it. */
function serveRunner(
  runner: Runner,
  path: string,
  graph: Graph,
  { signature, fetches, notes }: Look,
  { name = basename(path).replace(/\.onnx$/i, ''), maxBatch = 32, log = console.log }: ModelOptions,
): Model {
  const batcher = new Batcher((feeds) => run(runner, feeds, fetches), {
    maxBatch,
    mayShare: runsTogether(signature) && graph.mixesRows === undefined,
    onDependence: (reason) => log(`${name}: requests no longer share runs: ${reason}`),
  });
  const answer = async (feeds: Tensor[], signal?: Signal): Promise<Tensor[]> => {
    if (signature.kind === 'batched' && feeds[0].shape[0] === 0) return noRows(signature);
    if (graph.diesOfEmpty && feeds.some(({ shape }) => shape.includes(0))) {
      throw new BadInput('an input has a dimension of length 0, which this model does not take');
    }
    checkSize(answerBytes(feeds, signature));
    const outputs = await batcher.run(feeds, signal);
    checkSize(sumOf(outputs));
    return outputs;
  };
  const predict: Model['predict'] = async (columns, signal) => {
    const { runs, rows } = encode(columns, signature);
    if (rows === 0) return decode([noRows(signature)], rows, signature);
    const answers: Tensor[][] = [];
    let bytes = 0;
    for (const feeds of runs) {
      const outputs = await answer(feeds, signal);
      answers.push(outputs);
      bytes += sumOf(outputs);
      checkSize(bytes);
    }
    return decode(answers, rows, signature);
  };
  const infer: Model['infer'] = async (tensors, signal) => {
    const outputs = await answer(readFeeds(tensors, signature), signal);
    return Object.fromEntries(outputs.map((tensor, i) => [signature.outputs[i].name, tensor]));
  };
  doors.set(infer, predict);
  return {
    name,
    path,
    signature,
    notes,
    status: batcher,
    predict,
    infer,
    async close() {
      await batcher.idle();
      await runner.close();
    },
  };
}

const doors = new WeakMap<Model['infer'], Model['predict']>();

/** Whether `predict` was replaced and `infer` was not, so that `infer` would leave out what the wrapper does. */
export function isWrapped({ predict, infer }: Model): boolean {
  return doors.has(infer) && doors.get(infer) !== predict;
}

/** Names that the model's own metadata list. */
function listed(graph: Graph, key: string): string[] | undefined {
  return graph.metadata
    .get(key)
    ?.split(',')
    .map((name) => name.trim());
}

function asInput({ name, type, dims }: Value, path: string): Input {
  if (isElementType(type)) return { name, type, dims };
  throw new BootError(
    `${path}: the input ${name} is ${type ?? 'not a tensor'}, which cannot be sent: export the model with tensors of float, int, bool or string.`,
  );
}

/** The outputs that are tensors, or made of one, in the file's order. */
function servable(values: readonly Value[], graph: Graph, notes: string[]): Fetched[] {
  const byName = new Map(values.map((value) => [value.name, value]));
  return graph.outputs.flatMap((name) => {
    const zipMap = graph.zipMaps.get(name);
    const { type, dims } = byName.get(zipMap?.tensor ?? name) ?? { dims: [] };
    if (isElementType(type)) {
      const labels = zipMap?.labels;
      const shape: Dim[] = labels ? [dims[0] ?? '', labels.length] : dims;
      return [
        { name, type, dims: shape, batch: false, fetch: zipMap?.tensor ?? name, ...(labels && { labels }) },
      ];
    }
    notes.push(`the output ${name} is ${type ?? 'a sequence or a map'} and is left out`);
    return [];
  });
}

/** The outputs that were asked for, in that order. */
function chosen(outputs: Fetched[], wanted: readonly string[] | undefined, path: string): Fetched[] {
  const names = outputs.map(({ name }) => name);
  if (names.length === 0) {
    throw new BootError(`${path} has no output that can be served: export it with a tensor as output.`);
  }
  const unknown = wanted?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new BootError(
      `OUTPUTS names ${unknown}, which ${path} does not give: it gives ${names.join(', ')}.`,
    );
  }
  const twice = wanted?.find((name, i) => wanted.indexOf(name) !== i);
  if (twice !== undefined) throw new BootError(`OUTPUTS names ${twice} twice.`);
  return wanted ? wanted.flatMap((name) => outputs.filter((output) => output.name === name)) : outputs;
}

function checkFeatures(features: readonly string[] | undefined, inputs: readonly Input[]): void {
  if (!features) return;
  const [input] = inputs;
  if (inputs.length !== 1 || input.dims.length !== 2) {
    throw new BootError(
      `FEATURES names the columns of one [N,k] input, but the model takes ${inputs.length === 1 ? `an input of rank ${input.dims.length}` : `${inputs.length} inputs`}: unset it.`,
    );
  }
  const [, width] = input.dims;
  if (typeof width === 'number' && width !== features.length) {
    throw new BootError(
      `FEATURES names ${features.length} columns, but the input ${input.name} has ${width}.`,
    );
  }
  const twice = features.find((name, i) => features.indexOf(name) !== i);
  if (twice !== undefined) throw new BootError(`FEATURES names ${twice} twice.`);
  if (features.includes('')) throw new BootError('FEATURES has an empty name between two commas.');
  if (features.includes(input.name)) {
    throw new BootError(`FEATURES holds ${input.name}, which is the input's own name: rename the column.`);
  }
}

/**
 * A runner that keeps runs here which are no larger than made-up ones that were over in a moment, and gives the others
 * to a thread, started when first needed: crossing to a thread costs a tiny model as much as its run.
 */
async function placeRuns(here: Runner, source: Source, momentary: Observation['momentary']): Promise<Runner> {
  if (!momentary) {
    await here.close();
    return startThread(source);
  }
  let thread: Promise<Runner> | undefined;
  return {
    ...here,
    async run(feeds, fetches) {
      const rows = feeds[0]?.shape[0] ?? 1;
      if (rows <= momentary.rows && charactersOf(feeds) <= momentary.characters)
        return here.run(feeds, fetches);
      thread ??= startThread(source).catch((error) => {
        thread = undefined;
        throw error;
      });
      return (await thread).run(feeds, fetches);
    },
    async close() {
      await here.close();
      await (await thread)?.close();
    },
  };
}

async function run(runner: Runner, feeds: Tensor[], fetches: readonly string[]): Promise<Tensor[]> {
  try {
    return await runner.run(feeds, fetches);
  } catch (error) {
    throw callersFault(messageOf(error)) ?? new RunError(messageOf(error), { cause: error });
  }
}

function readFeeds(tensors: Record<string, GivenTensor>, { inputs, kind }: Signature): Tensor[] {
  for (const name of Object.keys(tensors)) {
    if (!inputs.some((input) => input.name === name))
      throw new BadInput(`unknown input ${JSON.stringify(name)}`);
  }
  const feeds = inputs.map((input) => {
    if (!Object.hasOwn(tensors, input.name))
      throw new BadInput(`missing input ${JSON.stringify(input.name)}`);
    return encodeTensor(tensors[input.name], input);
  });
  const odd = feeds.findIndex(({ shape }) => kind === 'batched' && shape[0] !== feeds[0].shape[0]);
  if (odd >= 0) {
    throw new BadInput(
      `${inputs[odd].name} has ${feeds[odd].shape[0]} rows but ${inputs[0].name} has ${feeds[0].shape[0]}`,
    );
  }
  return feeds;
}

/** Bytes of the outputs as far as they follow from the shapes, by the names of open dimensions. */
function answerBytes(feeds: readonly Tensor[], { inputs, outputs }: Signature): number {
  let bytes = 0;
  for (const { type, dims, batch } of outputs) {
    let size = elementOf(type).bytes;
    for (let axis = 0; axis < dims.length; axis++) {
      const dim = dims[axis];
      if (axis === 0 && batch) size *= feeds[0].shape[0];
      else size *= typeof dim === 'number' ? dim : lengthOf(dim, feeds, inputs);
    }
    bytes += size;
  }
  return bytes;
}

/** The length of an open dimension in these feeds; 1 where they do not tell. */
function lengthOf(name: string, feeds: readonly Tensor[], inputs: readonly Input[]): number {
  for (let i = 0; i < inputs.length && name !== ''; i++) {
    const axis = inputs[i].dims.indexOf(name);
    if (axis >= 0) return feeds[i].shape[axis];
  }
  return 1;
}

function sumOf(tensors: readonly Tensor[]): number {
  let bytes = 0;
  for (const tensor of tensors) bytes += bytesOf(tensor);
  return bytes;
}

function checkSize(bytes: number): void {
  if (bytes > largestAnswer) {
    throw new BadInput(
      'the answer would be larger than 256 MB: ask for fewer rows, or shorter ones, at once',
    );
  }
}
