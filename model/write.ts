import { type Data, elements, sizeOf, type Tensor } from './tensor';

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
export function writeTensor(tensor: Tensor, output: Output): unknown {
  return write(tensor, 0, 0, sizeOf(tensor.shape), output.labels);
}

function write(
  tensor: Tensor,
  axis: number,
  from: number,
  size: number,
  labels: readonly string[] | undefined,
): unknown {
  const { shape, data } = tensor;
  if (axis === shape.length) return elements[tensor.type].write(data[from] as never);
  const length = shape[axis];
  if (axis === shape.length - 1) {
    const values = writeRange(tensor, from, length);
    return labels ? Object.fromEntries(values.map((value, i) => [labels[i] ?? String(i), value])) : values;
  }
  const inner = length === 0 ? 0 : size / length;
  return Array.from({ length }, (_, i) => write(tensor, axis + 1, from + i * inner, inner, labels));
}

function writeRange(tensor: Tensor, from: number, length: number): unknown[] {
  const { write } = elements[tensor.type];
  const values = new Array<unknown>(length);
  for (let i = 0; i < length; i++) values[i] = write((tensor.data as Data)[from + i] as never);
  return values;
}
