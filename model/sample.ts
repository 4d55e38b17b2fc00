import type { Kind } from './model';
import type { Dim, Expected } from './read';
import { elements, type Feeds, sizeOf, type Tensor } from './tensor';

/** What a model states about one of its inputs; an empty shape means a scalar or an unknown rank. */
export interface Input {
  name: string;
  type: Tensor['type'];
  shape: readonly Dim[];
}

/** The shape of one instance: the input's, without the dimension that counts rows. */
function instanceShape(input: Input, kind: Kind): readonly Dim[] {
  return kind === 'whole' ? input.shape : input.shape.slice(1);
}

/** What an input takes as one instance; an empty shape of a whole model may be of any rank. */
export function instanceOf(input: Input, kind: Kind): Expected {
  const dims = instanceShape(input, kind);
  return { type: input.type, dims: kind === 'whole' && dims.length === 0 ? undefined : dims, loose: true };
}

/** Made-up feeds: `rows` rows, every other open dimension `size` long, filled by `value`. */
export function sampleFeeds(
  inputs: readonly Input[],
  rows: number,
  size: number,
  value: (type: Tensor['type'], row: number) => number | string,
): Feeds {
  return inputs.map(({ type, shape: dims }) => {
    const shape = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? rows : size));
    const data = elements[type].create(sizeOf(shape));
    const rowSize = sizeOf(shape.slice(1)) || 1;
    for (let i = 0; i < data.length; i++) {
      data[i] = elements[type].read(value(type, Math.floor(i / rowSize))) as never;
    }
    return { type, shape, data };
  });
}

/** One number everywhere, and texts so many characters long. */
export function constant(number: 0 | 1, length: number): (type: Tensor['type']) => number | string {
  return (type) => (type === 'string' ? 'a'.repeat(length) : number);
}

/** The shape of one instance as a body may give it, open dimensions `size` long and ones at the end left out. */
export function sampleShape(input: Input, kind: Kind, size: number): number[] {
  const dims = [...instanceShape(input, kind)];
  while (dims.at(-1) === 1) dims.pop();
  return dims.map((dim) => (typeof dim === 'number' ? dim : size));
}
