import { elements, type Tensor } from './tensor';

/** What a model states about one of its outputs, and what loading it has found out. */
export interface Output {
  name: string;
  type: Tensor['type'];
  /** The name under which the runtime is asked for it. */
  fetch: string;
  /** Whether its first dimension counts the rows of the inputs. */
  batch: boolean;
  /** The class labels that a ZipMap gives the columns. */
  labels?: readonly string[];
  shape: readonly (number | string)[];
}

/** The JSON value of a tensor: nested arrays, their innermost replaced by objects where there are class labels. */
export function writeTensor({ type, shape, data }: Tensor, { labels }: Pick<Output, 'labels'>): unknown {
  const { write } = elements[type];
  let at = 0;
  const writeAxis = (axis: number): unknown => {
    if (axis === shape.length) return write(data[at++] as never);
    const length = shape[axis];
    if (labels && axis === shape.length - 1) {
      const values: [string, unknown][] = [];
      for (let i = 0; i < length; i++) values.push([labels[i] ?? String(i), write(data[at++] as never)]);
      // Unlike an assignment, this makes a key of __proto__ too.
      return Object.fromEntries(values);
    }
    const values = new Array<unknown>(length);
    for (let i = 0; i < length; i++) values[i] = writeAxis(axis + 1);
    return values;
  };
  return writeAxis(0);
}
