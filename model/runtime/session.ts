import { dirname, resolve } from 'node:path';
import type { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { applyEdits, type Edit } from '../graph/edits';
import { isElementType } from '../values/elements';
import { recordOf } from '../values/record';
import type { Tensor } from '../values/tensor';

/** Where a model comes from, and how many threads share the work of one run. */
export interface Source {
  path: string;
  /** What the runtime needs changed in the file. */
  edits: readonly Edit[];
  threads: number;
}

/** An input or output as the runtime describes it; `type` is undefined for what is not a tensor. */
export interface Value {
  name: string;
  type?: string;
  dims: (number | string)[];
}

/** What runs a loaded model, on this thread or on another: one run at a time. */
export interface Runner {
  inputs: Value[];
  outputs: Value[];
  /**
   * One run; gives the tensors named by `fetches`, in their order. It may take over the memory of its feeds.
   * Rejects with the runtime's error.
   */
  run(feeds: readonly Tensor[], fetches: readonly string[]): Promise<Tensor[]>;
  /** To be called between runs only. */
  close(): Promise<void>;
}

/** Loads a model on this thread, which each of its runs then blocks. Rejects with the runtime's error. */
export async function openSession({ path, edits, threads }: Source): Promise<Runner> {
  const bytes = edits.length > 0 ? applyEdits(path, edits) : undefined;
  // Loaded late: a process that runs its model on another thread never needs the runtime on this one.
  const { runtime } = require('./load') as typeof import('./load');
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: {
      session: {
        // Idle threads of the pool sleep. The value must be a string.
        intra_op: { allow_spinning: '0' },
        ...(bytes && { model_external_initializers_file_folder_path: dirname(resolve(path)) }),
      },
    },
  };
  const create = runtime.InferenceSession.create;
  const session = await (bytes ? create(bytes, options) : create(path, options));
  const names = session.inputNames;
  return {
    inputs: session.inputMetadata.map(describe),
    outputs: session.outputMetadata.map(describe),
    async run(feeds, fetches) {
      const given = recordOf(names, (i) => toRuntime(feeds[i], runtime.Tensor));
      const results = await session.run(given, fetches);
      return fetches.map((name) => fromRuntime(results[name]));
    },
    close: () => session.release(),
  };
}

function describe(value: InferenceSession.ValueMetadata): Value {
  return value.isTensor
    ? { name: value.name, type: value.type, dims: [...value.shape] }
    : { name: value.name, dims: [] };
}

// The runtime's types pair each element type with its array, ours do not.
function toRuntime({ type, data, shape }: Tensor, Runtime: typeof RuntimeTensor): RuntimeTensor {
  return new Runtime(type as 'float32', data as Float32Array, shape);
}

function fromRuntime({ type, dims, data }: RuntimeTensor): Tensor {
  if (!isElementType(type)) throw new Error(`an output is ${type}`);
  return { type, shape: dims, data: data as Tensor['data'] };
}
