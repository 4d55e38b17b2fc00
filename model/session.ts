import { dirname, resolve } from 'node:path';
import type { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { patchModel } from './onnx';
import type { Data, ElementType, Feeds, Tensor } from './tensor';

/** Where a model comes from: its file, or bytes that were read from it before. */
export interface Source {
  path: string;
  bytes?: Uint8Array;
  /** Threads that share the work of one run. */
  threads: number;
}

/** An input or output as the runtime describes it; `type` is undefined for what is not a tensor. */
export interface Value {
  name: string;
  type?: string;
  shape: (number | string)[];
}

/** What runs a loaded model: on this thread, or on another. */
export interface Runner {
  inputs: Value[];
  outputs: Value[];
  /** One run; gives the tensors named by `fetches`, in their order. Rejects with the runtime's error. */
  run(feeds: Feeds, fetches: readonly string[]): Promise<Tensor[]>;
  close(): Promise<void>;
}

/** Loads a model on this thread, which each of its runs then blocks. Rejects with the runtime's error. */
export async function openSession({ path, bytes: read, threads }: Source): Promise<Runner> {
  const bytes = read ?? patchModel(path);
  // Loaded late: a process that runs its model on another thread never needs the runtime on this one.
  const { runtime } = require('./runtime') as typeof import('./runtime');
  const session = await runtime.InferenceSession.create((bytes ?? path) as Uint8Array, {
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
  });
  const names = session.inputNames;
  return {
    inputs: session.inputMetadata.map(describe),
    outputs: session.outputMetadata.map(describe),
    async run(feeds, fetches) {
      const given: Record<string, RuntimeTensor> = {};
      feeds.forEach(({ type, data, shape }, i) => {
        given[names[i]] = new runtime.Tensor(type as 'float32', data as Float32Array, shape);
      });
      const results = await session.run(given, fetches);
      return fetches.map((name) => {
        const { type, data, dims } = results[name];
        return { type: type as ElementType, shape: dims, data: data as Data };
      });
    },
    close: () => session.release(),
  };
}

function describe(value: InferenceSession.ValueMetadata): Value {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: [...value.shape] }
    : { name: value.name, shape: [] };
}
