import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import type { OnnxFile } from './onnx';

/** The last TensorProto.DataType, uint64, but for those that the runtime cannot load, cannot run, or dies of. */
const lastServable = 13;

/** Throws BootError where the type of an input or output cannot be served. */
export function checkTypes({ graph: { inputs, outputs }, path }: OnnxFile): void {
  for (const { name, type = 0 } of [...inputs, ...outputs]) {
    const problem = `${name} is of a type that cannot be served, as bfloat16, float8 and int4 are`;
    if (type > lastServable) throw new BootError(`${path}: ${problem}: export it with float32 or int8.`);
  }
}

/** Bytes of the files beside the model that hold its weights. Throws BootError where one is missing. */
export function externalBytes({ path, graph }: OnnxFile): number {
  const locations = new Set(graph.initializers.flatMap(({ location }) => location ?? []));
  let bytes = 0;
  for (const location of locations) {
    const stat = statSync(join(dirname(path), location), { throwIfNoEntry: false });
    if (!stat) throw new BootError(`${path} keeps its weights in ${location}: put that file beside it.`);
    bytes += stat.size;
  }
  return bytes;
}
