import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import { allNodes, type OnnxFile } from './onnx';

// Element types that the runtime cannot load, cannot run, or dies of (TensorProto.DataType).
const unservable: Record<number, string> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

/** Throws BootError where the type of an input or output cannot be served. */
export function checkTypes({ graph, path }: OnnxFile): void {
  for (const what of ['input', 'output'] as const) {
    for (const { name, type = 0 } of graph[`${what}s`]) {
      if (!(type in unservable)) continue;
      throw new BootError(
        `${path}: the ${what} ${name} is ${unservable[type]}, which cannot be served: export the model with float32 or int8.`,
      );
    }
  }
}

/** Bytes of the files beside the model that hold its weights. Throws BootError where one is missing. */
export function externalBytes(file: OnnxFile): number {
  const tensors = [...allNodes(file)].flatMap(({ attributes }) =>
    [...attributes.values()].flatMap(({ tensor, graph }) => [tensor, ...(graph?.initializers ?? [])]),
  );
  const locations = new Set([...file.graph.initializers, ...tensors].map((tensor) => tensor?.location));
  let bytes = 0;
  for (const location of locations) {
    if (location === undefined) continue;
    const stat = statSync(join(dirname(file.path), location), { throwIfNoEntry: false });
    if (!stat) {
      throw new BootError(
        `${file.path} keeps its weights in ${location}, which is missing: put that file beside it.`,
      );
    }
    bytes += stat.size;
  }
  return bytes;
}
