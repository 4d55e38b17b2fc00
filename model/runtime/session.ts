import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type * as ort from 'onnxruntime-node';
import { applyEdits, type Edits } from '../graph/edits';
import type { Tensor } from '../values/tensor';

// Else ONNX Runtime, from 1.29 on, reports model names, hashes and errors to its maker. To be set on the main thread, before
// it or any Worker is loaded: docs/Privacy.md of https://github.com/microsoft/onnxruntime.
process.env.ORT_DISABLE_TELEMETRY = '1';

// An opset that is newer than its own by one loads, if its operators are as they were: core/graph/model_load_utils.h.
process.env.ALLOW_RELEASED_ONNX_OPSET_ONLY = '0';

/** Where a model comes from, and how many threads share the work of one run. */
export interface Source {
  path: string;
  /** When the file was last changed, as it was read: a thread that starts late is not to load another model. */
  changed: number;
  edits: Edits | undefined;
  threads: number;
}

/** What runs a loaded model, on this thread or on another: one run at a time. */
export interface Runner {
  inputs: ort.InferenceSession['inputMetadata'];
  outputs: ort.InferenceSession['outputMetadata'];
  /** Gives the tensors of these names; may take over the memory of its feeds. Rejects with the runtime's error. */
  run(feeds: readonly Tensor[], fetches: readonly string[]): Promise<Tensor[]>;
  /** To be called between runs only. */
  close(): Promise<void>;
}

/** Loads a model on this thread, which each of its runs then blocks. Rejects with the runtime's error. */
export async function openSession({ path, changed, edits, threads }: Source): Promise<Runner> {
  if (statSync(path).mtimeMs !== changed) throw new Error(`${path} has changed: start the server anew`);
  const bytes = edits && applyEdits(path, edits);
  // Late: a process that runs its model on another thread never needs the runtime on this one.
  const runtime = loadRuntime();
  const options: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: {
      session: {
        // Idle threads of the pool sleep. The value must be a string.
        intra_op: { allow_spinning: '0' },
        ...(bytes && { model_external_initializers_file_folder_path: dirname(resolve(path)) }),
      },
      // In 1.30 to 1.32 it gives wrong values for a transposed matrix times a vector.
      optimization: { disable_specified_optimizers: 'MatmulTransposeFusion' },
    },
  };
  const create = runtime.InferenceSession.create;
  const session = await (bytes ? create(bytes, options) : create(path, options));
  const names = session.inputNames;
  return {
    inputs: session.inputMetadata,
    outputs: session.outputMetadata,
    async run(feeds, fetches) {
      // The runtime's types pair each element type with its array, ours do not; outputs of other types are not asked for.
      const tensors = feeds.map(({ type, data, shape }, i) => [
        names[i],
        new runtime.Tensor(type as 'float32', data as Float32Array, shape),
      ]);
      const results = await session.run(Object.fromEntries(tensors), fetches);
      return fetches.map((name) => {
        const { type, dims: shape, data } = results[name];
        return { type, shape, data } as Tensor;
      });
    },
    close: () => session.release(),
  };
}

/**
 * ONNX Runtime, with float16 as raw bits in a Uint16Array. Where it sees a Float16Array (Node.js 24 and up) when the first
 * tensor is made, it gives that for outputs and fails on inputs: https://github.com/microsoft/onnxruntime/pull/32323.
 */
export function loadRuntime(): typeof ort {
  const hidden = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (hidden) Reflect.deleteProperty(globalThis, 'Float16Array');
  try {
    const runtime: typeof ort = require('onnxruntime-node');
    new runtime.Tensor('float16', new Uint16Array(1), [1]);
    return runtime;
  } finally {
    if (hidden) Object.defineProperty(globalThis, 'Float16Array', hidden);
  }
}
