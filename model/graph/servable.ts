import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import { isElementType } from '../values/elements';
import { placeholderAt } from './mistaken';
import type { OnnxFile } from './onnx';

/** Element types that the runtime cannot load, cannot run, or dies of, by their TensorProto.DataType, which is 14 for the first. */
const unservable =
  `complex64 complex128 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4
  float4e2m1 float8e8m0 uint2 int2 float6e2m3 float6e3m2`.split(/\s+/);

/** Throws BootError where the type of an input or output cannot be served. */
export function checkTypes({ graph: { inputs, outputs }, path }: OnnxFile): void {
  for (const value of [...inputs, ...outputs]) {
    const type = unservable[(value.type ?? 0) - 14];
    if (type === undefined || isElementType(type)) continue;
    const what = inputs.includes(value) ? 'input' : 'output';
    throw new BootError(
      `${path}: the ${what} ${value.name} is ${type}, which cannot be served: export the model with float32 or int8.`,
    );
  }
}

/** Bytes of the files beside the model that hold its weights. Throws BootError where one is missing. */
export function externalBytes({ path: modelPath, graph }: OnnxFile): number {
  const locations = new Set(graph.initializers.flatMap(({ location }) => location ?? []));
  let bytes = 0;
  for (const location of locations) {
    const path = join(dirname(modelPath), location);
    const stat = statSync(path, { throwIfNoEntry: false });
    const fault = stat ? placeholderAt(path) : 'missing: put that file beside it';
    if (fault) throw new BootError(`${modelPath} keeps its weights in ${location}, which is ${fault}.`);
    bytes += stat?.size ?? 0;
  }
  return bytes;
}
