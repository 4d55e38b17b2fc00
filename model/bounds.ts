import { BadInput } from './errors';
import type { Input, Signature } from './signature';
import { elementOf } from './values/elements';
import { bytesIn, sizeOf, type Tensor } from './values/tensor';

/** Bytes of the outputs of one request: more cannot be answered. */
const mostAnswerBytes = 256 * 2 ** 20;

/**
 * Bytes of the feeds of a request's runs and, as far as their shapes tell, of the outputs. Throws BadInput for what would
 * end the process, or bring more than can be answered.
 */
export function boundedBytes(runs: readonly Tensor[][], signature: Signature): number {
  let [given, expected] = [0, 0];
  for (const [row, feeds] of runs.entries()) {
    checkLengths(feeds, signature, runs.length > 1 ? row : undefined);
    given += bytesIn(feeds);
    expected += answerBytes(feeds, signature);
    checkAnswerBytes(expected);
  }
  return given + expected;
}

/** Throws BadInput for an answer of too many bytes. */
export function checkAnswerBytes(bytes: number): void {
  if (bytes > mostAnswerBytes) {
    throw new BadInput('the answer would be larger than 256 MB: send fewer or shorter rows per request');
  }
}

/** Bytes of the outputs as far as they follow from the shapes, by the names of open dimensions. */
function answerBytes(feeds: readonly Tensor[], { inputs, outputs }: Signature): number {
  const bytes = outputs.map(({ type, dims, batch }) => {
    const lengths = dims.map((dim, axis) => {
      if (axis === 0 && batch) return feeds[0].shape[0];
      return typeof dim === 'number' ? dim : lengthOf(dim, feeds, inputs);
    });
    return elementOf(type).bytes * sizeOf(lengths);
  });
  return bytes.reduce((sum, more) => sum + more, 0);
}

/** The length of an open dimension in these feeds; 1 where they do not tell. */
function lengthOf(name: string, feeds: readonly Tensor[], inputs: readonly Input[]): number {
  const place = name === '' ? -1 : inputs.findIndex(({ dims }) => dims.includes(name));
  return place < 0 ? 1 : feeds[place].shape[inputs[place].dims.indexOf(name)];
}

/**
 * Throws BadInput where an open dimension has the length 0 and the graph does not show that it may: many operators end the
 * process then, such as GRU, InstanceNormalization, ConvTranspose, Einsum and TopK.
 */
function checkLengths(feeds: readonly Tensor[], { inputs }: Signature, row?: number): void {
  for (const [i, { dims, name, emptyAxes = [] }] of inputs.entries()) {
    const isMisfit = (length: number, axis: number) =>
      length === 0 && dims[axis] !== 0 && !emptyAxes.includes(axis);
    if (!feeds[i].shape.some(isMisfit)) continue;
    const place = row === undefined ? [name] : [name, row];
    throw new BadInput('has a dimension of length 0, which this model does not take', place);
  }
}
