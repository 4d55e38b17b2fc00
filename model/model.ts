import { basename } from 'node:path';
import { Batcher } from './batcher';
import { answerBytes, checkLengths, checkSize } from './bounds';
import { type Declared, readDeclared } from './declared';
import { BootError, messageOf, RunError } from './errors';
import { findCategories, findWords } from './graph/categories';
import { editsFor, substitutesIn } from './graph/edits';
import { readOnnx } from './graph/onnx';
import { checkTypes, externalBytes } from './graph/servable';
import { followRows } from './independence/walk';
import { type Observation, observe } from './observed';
import { callersFault, loadFault } from './runtime/faults';
import { mayRunInline, runInline } from './runtime/inline';
import { openSession, type Runner, type Source } from './runtime/session';
import { startThread } from './runtime/thread';
import type { Signature } from './signature';
import type { Column, Columns } from './values/column';
import { decode, noRows } from './values/decode';
import { type Encoded, encode } from './values/encode';
import { bytesIn, type Tensor } from './values/tensor';

/** A plain object whose functions use no `this`, so that `{ ...model, predict }` wraps it: a wrapper may give plain arrays. */
export interface Model<Answer extends Columns = Columns> {
  readonly name: string;
  /** The file that was loaded. */
  readonly path: string;
  readonly signature: Signature;
  /** What the boot log should say beside the inputs and outputs. */
  readonly notes: readonly string[];
  /** What it is doing at the moment. */
  readonly status: Readonly<Pick<Batcher, 'bytes' | 'runningSince' | 'batches' | 'watchers'>>;
  /**
   * A column for each output, given one for each input. Throws BadInput with the place that does not fit, RunError where
   * the model fails, or the signal's reason.
   */
  predict(columns: Columns, signal?: AbortSignal): Promise<Answer>;
  /** Lets the requests that wait, and the run in progress, end; those that come later reject. */
  close(): Promise<void>;
}

/** A model around which nothing was put. */
export type LoadedModel = Model<Record<string, Column>>;

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
}

/** Loads a model, and sees what it takes and gives. Throws BootError where it cannot be served. */
export async function loadModel(path: string, options: ModelOptions = {}): Promise<LoadedModel> {
  const { maxBatch = 32, threads = 1 } = options;
  const file = readOnnx(path);
  checkTypes(file);
  const substitutes = substitutesIn(file);
  const isInline = mayRunInline(file, file.size + externalBytes(file));
  const source: Source = { path, edits: editsFor(file, substitutes), threads };
  const runner = await (isInline ? openSession : startThread)(source).catch((error) => {
    throw new BootError(`${path} cannot be loaded: ${loadFault(messageOf(error), file)}`);
  });
  try {
    const tables = { categories: findCategories(file), words: findWords(file) };
    const declared = readDeclared(runner, file, { substitutes, words: tables.words }, options);
    const described = { declared, factOf: followRows(file, declared.inputs), tables };
    const timed = isInline ? maxBatch : undefined;
    const seen = await observe(runner, described, { timed, maxBatch });
    const placed = isInline ? await runInline(runner, source, seen.quickBytes) : runner;
    return serveRunner(placed, { path, declared, seen }, { ...options, maxBatch });
  } catch (error) {
    await runner.close().catch(() => {});
    throw error;
  }
}

/** The model around what runs it. */
function serveRunner(
  runner: Runner,
  { path, declared, seen }: { path: string; declared: Declared; seen: Observation },
  { name = basename(path).replace(/\.onnx$/i, ''), maxBatch }: ModelOptions & { maxBatch: number },
): LoadedModel {
  const { notes } = declared;
  const { signature, whyAlone } = seen;
  const fetches = declared.outputs.map(({ fetch }) => fetch);
  if (!seen.fits) notes.push('no made-up input fits the model, so what it declares is believed');
  if (whyAlone && maxBatch > 1 && signature.inputs.length > 0)
    notes.push(`requests do not share runs: ${whyAlone}`);
  const batches = maxBatch > 1 && !whyAlone;
  const batcher = new Batcher((feeds) => run(runner, feeds, fetches), { maxBatch, batches });
  const answer = async (encoded: Encoded, signal?: AbortSignal): Promise<Record<string, Column>> => {
    const { runs } = encoded;
    const isEmpty = runs.length === 0 || (signature.kind === 'batched' && runs[0][0].shape[0] === 0);
    if (isEmpty) return decode([noRows(signature)], encoded, signature);
    for (const [row, feeds] of runs.entries())
      checkLengths(feeds, signature, runs.length > 1 ? row : undefined);
    let held = 0;
    for (const feeds of runs) {
      const expected = answerBytes(feeds, signature);
      checkSize(expected);
      held += bytesIn(feeds) + expected;
    }
    batcher.bytes += held;
    try {
      const answers: Tensor[][] = [];
      let bytes = 0;
      for (const feeds of runs) {
        const outputs = await batcher.run(feeds, signal);
        answers.push(outputs);
        bytes += bytesIn(outputs);
        checkSize(bytes);
      }
      return decode(answers, encoded, signature);
    } finally {
      batcher.bytes -= held;
    }
  };
  let closing: Promise<void> | undefined;
  return {
    name,
    path,
    signature,
    notes,
    status: batcher,
    // Its values may be large: they are not kept while the runs go on.
    async predict(columns, signal) {
      if (closing) throw new Error(`the model ${name} is closed`);
      return answer(encode(columns, signature), signal);
    },
    close() {
      closing ??= batcher.idle().then(() => runner.close());
      return closing;
    },
  };
}

async function run(runner: Runner, feeds: Tensor[], fetches: readonly string[]): Promise<Tensor[]> {
  try {
    return await runner.run(feeds, fetches);
  } catch (error) {
    const reason = messageOf(error);
    throw callersFault(reason, feeds.length) ?? new RunError(reason, { cause: error });
  }
}
