import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BootError } from '../errors';
import { placeholderAt } from './mistaken';
import { allNodes, type OnnxFile } from './onnx';

/** Element types that the runtime cannot load, cannot run, or dies of, by their TensorProto.DataType. */
const unservable: Readonly<Record<number, string>> = {
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
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
  27: 'float6e2m3',
  28: 'float6e3m2',
};

/** Throws BootError where the type of an input or output cannot be served. */
export function checkTypes({ graph: { inputs, outputs }, path }: OnnxFile): void {
  for (const value of [...inputs, ...outputs]) {
    const type = unservable[value.type ?? 0];
    if (type === undefined) continue;
    const what = inputs.includes(value) ? 'input' : 'output';
    throw new BootError(
      `${path}: the ${what} ${value.name} is ${type}, which cannot be served: export the model with float32 or int8.`,
    );
  }
}

/** Bytes of the files beside the model that hold its weights. Throws BootError where one is missing. */
export function externalBytes(file: OnnxFile): number {
  const attributes = [...allNodes(file)].flatMap(({ attributes }) => [...attributes.values()]);
  const graphs = [file.graph, ...attributes.flatMap(({ graph }) => graph ?? [])];
  const tensors = [
    ...graphs.flatMap(({ initializers }) => initializers),
    ...attributes.map(({ tensor }) => tensor),
  ];
  const locations = new Set(tensors.flatMap((tensor) => tensor?.location ?? []));
  let bytes = 0;
  for (const location of locations) {
    const path = join(dirname(file.path), location);
    const stat = statSync(path, { throwIfNoEntry: false });
    const fault = stat ? placeholderAt(path) : 'missing: put that file beside it';
    if (fault) throw new BootError(`${file.path} keeps its weights in ${location}, which is ${fault}.`);
    bytes += stat?.size ?? 0;
  }
  return bytes;
}
