import { BadInput, type Path } from './errors';
import type { Dim, Input, Signature } from './signature';
import { elements } from './values/elements';
import { bytesIn, sizeOf, type Tensor } from './values/tensor';

const mostOutputBytes = 256 * 2 ** 20;

/** Bytes of a request's feeds and, as far as shapes tell, of its outputs. Throws BadInput for too many, or a length of 0. */
export function boundedBytes(runs: readonly Tensor[][], signature: Signature): number {
  let [given, expected] = [0, 0];
  for (const [row, feeds] of runs.entries()) {
    checkLengths(feeds, signature, runs.length > 1 ? [row] : []);
    given += bytesIn(feeds);
    expected += outputBytes(feeds, signature);
    checkOutputBytes(expected);
  }
  return given + expected;
}

/** Throws BadInput for outputs of too many bytes. */
export function checkOutputBytes(bytes: number): void {
  if (bytes > mostOutputBytes)
    throw new BadInput('the answer would be larger than 256 MB: send fewer or shorter rows per request');
}

function outputBytes(feeds: readonly Tensor[], { inputs, outputs }: Signature): number {
  let bytes = 0;
  for (const { type, dims, batch } of outputs) {
    const lengths = dims.map((dim, axis) =>
      axis === 0 && batch ? feeds[0].shape[0] : lengthOf(dim, feeds, inputs),
    );
    bytes += elements[type].bytes * sizeOf(lengths);
  }
  return bytes;
}

/** The length of a dimension in these feeds; 1 where they do not tell. */
function lengthOf(dim: Dim, feeds: readonly Tensor[], inputs: readonly Input[]): number {
  if (typeof dim === 'number') return dim;
  const place = dim === '' ? -1 : inputs.findIndex(({ dims }) => dims.includes(dim));
  return place < 0 ? 1 : feeds[place].shape[inputs[place].dims.indexOf(dim)];
}

// Many operators end the process on a length of 0, such as GRU, InstanceNormalization, ConvTranspose, Einsum and TopK.
function checkLengths(feeds: readonly Tensor[], { inputs }: Signature, row: Path): void {
  const misfit = inputs.find(({ dims, emptyAxes = [] }, i) =>
    feeds[i].shape.some((length, axis) => length === 0 && dims[axis] !== 0 && !emptyAxes.includes(axis)),
  );
  if (misfit)
    throw new BadInput('has a dimension of length 0, which this model does not take', [misfit.name, ...row]);
}
