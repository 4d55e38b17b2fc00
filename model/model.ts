import { basename } from 'node:path';
import { Batcher } from './batcher';
import { boundedBytes, checkOutputBytes } from './bounds';
import { readDeclared } from './declared';
import { BootError, messageOf, RunError } from './errors';
import { editsFor } from './graph/edits';
import { readOnnx } from './graph/onnx';
import { observe } from './observed';
import { callersFault, loadFault } from './runtime/faults';
import { inline, mayRunInline } from './runtime/inline';
import { openSession, type Runner, type Source } from './runtime/session';
import { openOnThread } from './runtime/thread';
import { Sampler } from './samples';
import type { Signature } from './signature';
import type { Column, Columns } from './values/column';
import { decode } from './values/decode';
import { type Encoded, encode } from './values/encode';
import { bytesIn, type Tensor } from './values/tensor';

/** A plain object whose functions use no `this`, so that `{ ...model, predict }` wraps it: a wrapper may give plain arrays. */
export interface Model<Outputs extends Columns = Columns> {
  readonly name: string;
  readonly path: string;
  readonly signature: Signature;
  /** What the boot log should say beside the inputs and outputs. */
  readonly notes: readonly string[];
  readonly status: Readonly<Status>;
  /** A column for each output, given one for each input. Throws BadInput with its path, RunError, or the signal's reason. */
  predict(columns: Columns, signal?: AbortSignal): Promise<Outputs>;
  /** Lets the requests that wait, and the run in progress, end; those that come later reject. */
  close(): Promise<void>;
}

/** What a model is doing at the moment, and who is told of each run when it is over, failed or not. */
export interface Status {
  /** Bytes of the tensors of all requests that are not answered, those of their outputs among them. */
  bytes: number;
  /** When the run in progress began, by performance.now(). */
  runningSince: number | undefined;
  readonly watchers: ((rows: number, seconds: number) => void)[];
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
  const mayBeInline = mayRunInline(file);
  const source: Source = { path, changed: file.changed, edits: editsFor(file), threads };
  const runner = await (mayBeInline ? openSession : openOnThread)(source).catch((error) => {
    throw new BootError(`${path} cannot be loaded: ${loadFault(messageOf(error))}`);
  });
  try {
    const declared = readDeclared(runner, file, options);
    const fetches = declared.outputs.map(({ tensor }) => tensor);
    const sampler = new Sampler(declared, (feeds) => runner.run(feeds, fetches));
    const { signature, notes, maxShared } = await observe(sampler, file, declared, maxBatch);
    const placed = mayBeInline ? await inline(runner, source, sampler, maxBatch) : runner;
    const { name = basename(path).replace(/\.onnx$/i, '') } = options;
    return serveRunner(placed, fetches, { name, path, signature, notes }, maxShared);
  } catch (error) {
    await runner.close().catch(() => {});
    throw error;
  }
}

/** The model around what runs it; made apart, since functions made in `loadModel` would keep the graph that it read. */
function serveRunner(
  runner: Runner,
  fetches: readonly string[],
  described: Pick<LoadedModel, 'name' | 'path' | 'signature' | 'notes'>,
  maxShared: number,
): LoadedModel {
  const { name, signature } = described;
  const status: Status = { bytes: 0, runningSince: undefined, watchers: [] };
  const batcher = new Batcher(runOnce, maxShared);
  let closing: Promise<void> | undefined;

  async function runOnce(feeds: Tensor[]): Promise<Tensor[]> {
    // Of other kinds, a run is one instance.
    const rows = signature.kind === 'batched' ? feeds[0].shape[0] : 1;
    const start = performance.now();
    status.runningSince = start;
    try {
      return await runner.run(feeds, fetches);
    } catch (error) {
      const reason = messageOf(error);
      throw callersFault(reason) ?? new RunError(reason, { cause: error });
    } finally {
      status.runningSince = undefined;
      const seconds = (performance.now() - start) / 1000;
      for (const watch of status.watchers) watch(rows, seconds);
    }
  }

  async function runEncoded(encoded: Encoded, signal?: AbortSignal): Promise<Record<string, Column>> {
    const { runs } = encoded;
    const bytes = boundedBytes(runs, signature);
    status.bytes += bytes;
    try {
      const results: Tensor[][] = [];
      let outputBytes = 0;
      for (const feeds of runs) {
        const outputs = await batcher.run(feeds, signal);
        results.push(outputs);
        outputBytes += bytesIn(outputs);
        checkOutputBytes(outputBytes);
      }
      return decode(results, encoded, signature);
    } finally {
      status.bytes -= bytes;
    }
  }

  return {
    ...described,
    status,
    // The columns may be large: they are not kept while the runs go on.
    async predict(columns, signal) {
      if (closing) throw new Error(`the model ${name} is closed`);
      return runEncoded(encode(columns, signature), signal);
    },
    close() {
      closing ??= batcher.idle().then(() => runner.close());
      return closing;
    },
  };
}
