import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { BadInput, BootError, messageOf } from './errors';
import { callersFault, loadFault } from './faults';
import { Line, type LineLimits, type Ticket } from './line';
import { type Graph, patchModel, readGraph } from './onnx';
import { sharingPays } from './proof';
import type { Expected } from './read';
import { constant, type Input, instanceOf, sampleFeeds } from './sample';
import { openSession, type Runner, type Source, type Value } from './session';
import { type ElementType, elements, type Feeds, type Tensor } from './tensor';
import { startThread } from './thread';
import type { Output } from './write';

/**
 * What an instance is. Batched: a row of every input, whose first dimension is open. Single: the inputs, whose
 * first dimension is fixed at 1. Whole: the full value of every input.
 */
export type Kind = 'batched' | 'single' | 'whole';

/** The one shared inference helper: a loaded model that says what it takes and answers in turn. */
export interface Model {
  name: string;
  kind: Kind;
  inputs: readonly Input[];
  /** What each input takes as one instance. */
  instance: readonly Expected[];
  outputs: readonly Output[];
  /** The column names of the one `[N,k]` input, where they were given. */
  features?: readonly string[];
  /** A made-up instance that the model is known to take: the length of open dimensions, and every number. */
  sample: { size: number; value: 0 | 1 };
  /** What the boot log should say beside the inputs and outputs. */
  notes: string[];
  /** Settles once it is known whether requests share runs; true where they do. */
  sharing: Promise<boolean>;
  /** Waits for the outputs of each run, in the model's order. Throws Unavailable where the line is full. */
  ask(runs: Feeds[]): Ticket;
  /** Whether a run is going on. */
  isBusy(): boolean;
  close(): Promise<void>;
}

export interface ModelOptions extends LineLimits {
  name?: string;
  features?: readonly string[];
  threads: number;
}

/** Models of up to so many bytes may run on the thread that serves HTTP, if they are quick. */
const smallModel = 16 * 2 ** 20;
/** A run that is over within so many milliseconds is over in a moment. */
const moment = 2;
/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sampleSizes = [1, 8, 32, 224];

/** Loads a model, warms it up and finds out what its metadata do not say. Throws BootError where it cannot serve. */
export async function loadModel(path: string, options: ModelOptions): Promise<Model> {
  const graph = readGraph(path);
  const small = graph.size <= smallModel && !graph.mayBeSlow;
  const source: Source = { path, threads: options.threads };
  if (small) source.bytes = patchModel(path) ?? readFileSync(path);
  let runner = await (small ? openSession : startThread)(source).catch((error) => {
    throw new BootError(`${path} cannot be loaded: ${loadFault(messageOf(error))}`);
  });

  const notes: string[] = [];
  const inputs = runner.inputs.map((value) => asInput(value, path));
  const outputs = runner.outputs.flatMap((value) => asOutput(value, graph, notes));
  // Tensors that only a ZipMap made outputs of are served under the ZipMap's name.
  const served = outputs.filter(({ name, labels }) => labels || !graph.hidden.has(name));
  if (served.length === 0) {
    throw new BootError(`${path} has no output that can be served: export it with a tensor as output.`);
  }
  checkFeatures(options.features, inputs);
  const kind = kindOf(inputs);
  const fetches = served.map(({ fetch }) => fetch);

  const sample = await warmUp(inputs, (feeds) => runner.run(feeds, fetches));
  if (!sample) notes.push('no made-up input fits the model, so nothing is proven about it');
  if (small) {
    runner =
      sample && sample.ms < moment / 4
        ? await keepQuickRunsHere(runner, source, inputs, fetches, sample, options.maxBatch)
        : await moveToThread(runner, source);
  }
  let ms = 0;
  const run = async (feeds: Feeds) => {
    const start = performance.now();
    try {
      return await runner.run(feeds, fetches);
    } catch (error) {
      throw callersFault(messageOf(error)) ?? error;
    } finally {
      ms = performance.now() - start;
    }
  };
  const batchName =
    kind === 'batched' ? inputs.map(({ shape }) => shape[0]).find((dim) => dim !== '') : undefined;
  await findBatchOutputs(
    served,
    kind,
    batchName,
    sample && ((rows) => run(sampleFeeds(inputs, rows, sample.size, constant(sample.value, 1)))),
  );

  const line = new Line(run, options);
  const canShare =
    kind === 'batched' && options.maxBatch > 1 && !graph.mixesRows && served.every(({ batch }) => batch);
  const tryOut = async (feeds: Feeds) => ({ outputs: (await line.join([feeds]).answer)[0], ms });
  const sharing = (async () => {
    if (canShare && sample) line.shares = await sharingPays(inputs, sample.size, graph.words, tryOut);
    return line.shares;
  })();
  // A proof that takes long may follow listening.
  if (sample && sample.ms < moment) await sharing;

  return {
    name: options.name ?? basename(path).replace(/\.onnx$/i, ''),
    kind,
    inputs,
    instance: inputs.map((input) => instanceOf(input, kind)),
    outputs: served,
    features: options.features,
    sample: sample ?? { size: 1, value: 0 },
    notes,
    sharing,
    ask: (runs) => {
      if (kind === 'batched' && runs.some(([{ shape }]) => shape[0] === 0)) return noRows(served);
      if (graph.diesOfEmpty) refuseEmpty(runs);
      return line.join(runs);
    },
    isBusy: () => line.isBusy,
    close: async () => {
      await sharing;
      await runner.close();
    },
  };
}

function asInput({ name, type, shape }: Value, path: string): Input {
  if (!type || !Object.hasOwn(elements, type)) {
    throw new BootError(
      `${path}: the input ${name} is ${type ?? 'not a tensor'}, which cannot be sent: export the model with tensors of float, int, bool or string.`,
    );
  }
  return { name, type: type as ElementType, shape };
}

function asOutput({ name, type, shape }: Value, graph: Graph, notes: string[]): Output[] {
  const zipMap = graph.zipMaps.get(name);
  if (zipMap) {
    const { tensor, labels } = zipMap;
    return [{ name, type: 'float32', shape: ['', labels.length], fetch: tensor, batch: true, labels }];
  }
  if (type && Object.hasOwn(elements, type)) {
    return [{ name, type: type as ElementType, shape, fetch: name, batch: false }];
  }
  notes.push(`the output ${name} is ${type ?? 'a sequence or a map'} and is left out`);
  return [];
}

function checkFeatures(features: readonly string[] | undefined, inputs: readonly Input[]): void {
  if (!features) return;
  const [input] = inputs;
  if (inputs.length !== 1 || input.shape.length !== 2) {
    throw new BootError(
      `FEATURES names the columns of one [N,k] input, but the model takes ${inputs.length === 1 ? `an input of rank ${input.shape.length}` : `${inputs.length} inputs`}: unset it.`,
    );
  }
  const [, width] = input.shape;
  if (typeof width === 'number' && width !== features.length) {
    throw new BootError(
      `FEATURES names ${features.length} columns, but the input ${input.name} has ${width}.`,
    );
  }
  if (features.includes(input.name)) {
    throw new BootError(`FEATURES holds ${input.name}, which is the input's own name: rename the column.`);
  }
}

function kindOf(inputs: readonly Input[]): Kind {
  const first = inputs.map(({ shape }) => shape[0]);
  if (inputs.length === 0) return 'whole';
  const names = new Set(first.filter((dim) => dim !== ''));
  if (first.every((dim) => typeof dim === 'string') && names.size <= 1) return 'batched';
  return first.every((dim) => dim === 1) ? 'single' : 'whole';
}

interface Sample {
  /** The length of open dimensions. */
  size: number;
  /** Every number of it: some models divide by their inputs. */
  value: 0 | 1;
  /** Milliseconds of a warm run. */
  ms: number;
}

/** Runs made-up inputs until one fits. */
async function warmUp(
  inputs: readonly Input[],
  run: (feeds: Feeds) => Promise<Tensor[]>,
): Promise<Sample | undefined> {
  for (const value of [0, 1] as const) {
    for (const size of sampleSizes) {
      const tryOut = () => run(sampleFeeds(inputs, 1, size, constant(value, 1)));
      try {
        let ms = await timeOf(tryOut);
        // The first run allocates, and others may meet a busy machine.
        for (let i = 0; i < 5 && ms < 50; i++) ms = Math.min(ms, await timeOf(tryOut));
        return { size, value, ms };
      } catch {
        // Another size or value may fit.
      }
    }
  }
  return undefined;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function moveToThread(runner: Runner, source: Source): Promise<Runner> {
  await runner.close();
  return startThread(source);
}

/**
 * A runner that keeps runs here which are no larger than made-up ones that were over in a moment, and gives the others
 * to a thread, started when first needed: crossing to a thread costs a tiny model as much as its run.
 */
async function keepQuickRunsHere(
  here: Runner,
  source: Source,
  inputs: readonly Input[],
  fetches: readonly string[],
  sample: Sample,
  maxBatch: number,
): Promise<Runner> {
  let quick = 0;
  for (const rows of [1, maxBatch, 1024]) {
    for (const size of sampleSizes.filter((size) => size >= sample.size)) {
      const feeds = sampleFeeds(inputs, rows, size, constant(sample.value, size));
      const work = workOf(feeds);
      if (work <= quick) continue;
      if (work > 1e6) break;
      try {
        const tryOut = () => here.run(feeds, fetches);
        if (Math.min(await timeOf(tryOut), await timeOf(tryOut)) > moment) break;
        quick = work;
      } catch {
        break;
      }
    }
  }
  let thread: Promise<Runner> | undefined;
  return {
    ...here,
    async run(feeds, fetches) {
      if (workOf(feeds) <= quick) return here.run(feeds, fetches);
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

/** How much there is to compute: the number of values, or characters. */
function workOf(feeds: Feeds): number {
  return feeds.reduce(
    (sum, { type, data }) =>
      sum +
      (type === 'string'
        ? (data as string[]).reduce((size, text) => size + text.length, data.length)
        : data.length),
    0,
  );
}

/** Marks the outputs whose first dimension counts rows: by name, or by what 1, 2 and 3 rows give. */
async function findBatchOutputs(
  outputs: Output[],
  kind: Kind,
  batchName: Value['shape'][number] | undefined,
  run: ((rows: number) => Promise<Tensor[]>) | undefined,
): Promise<void> {
  const unsure: number[] = [];
  outputs.forEach((output, i) => {
    const [first] = output.shape;
    if (kind === 'whole') output.batch = false;
    else if (kind === 'single') output.batch = first === 1 || output.labels !== undefined;
    else if (batchName !== undefined && first === batchName) output.batch = true;
    else unsure.push(i);
  });
  if (unsure.length === 0) return;
  for (const i of unsure)
    outputs[i].batch =
      run !== undefined || typeof outputs[i].shape[0] === 'string' || outputs[i].labels !== undefined;
  for (const rows of run ? [1, 2, 3] : []) {
    const tensors = await run?.(rows).catch(() => undefined);
    for (const i of unsure) outputs[i].batch &&= tensors?.[i].shape[0] === rows;
  }
}

function refuseEmpty(runs: Feeds[]): void {
  const isEmpty = runs.some((feeds) => feeds.some(({ shape }) => shape.includes(0)));
  if (isEmpty) throw new BadInput('an input has a dimension of length 0, which this model does not take');
}

/** The answer to no rows, without a run: some operators end the process on them. */
function noRows(outputs: readonly Output[]): Ticket {
  const tensors = outputs.map(({ type, shape }) => {
    const lengths = [0, ...shape.slice(1).map((dim) => (typeof dim === 'number' ? dim : 0))];
    return { type, shape: lengths, data: elements[type].create(0) };
  });
  return { answer: Promise.resolve([tensors]), leave: () => {} };
}
