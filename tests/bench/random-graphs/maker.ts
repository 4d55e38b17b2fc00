import type { Known, MadeValue, RandomGraph } from './graph';
import { type MadeNode, Type } from './written';

// What makers of nodes share.

/** The nodes that an operator needs, the last of which is its own or reads it; undefined where no value suits. */
export type Maker = (g: RandomGraph, op: string) => readonly MadeNode[] | undefined;

export const { float, uint8, int32, int64, string, bool, double } = Type;
export const numeric = [float, int64];

/** Lengths, with 1 for those that are not known. */
export const lengthsOf = ({ known }: MadeValue) =>
  (known?.shape ?? [1]).map((length) => (length > 0 ? length : 1));
export const rankOf = (x: MadeValue) => lengthsOf(x).length;
export const anyAxis = (g: RandomGraph, rank: number) => g.below(2 * rank) - rank;
export const several = (g: RandomGraph, count: number, cell = () => g.below(17) / 4 - 2) =>
  Array.from({ length: count }, cell);
export const floats = (g: RandomGraph, count: number) => ({ fs: several(g, count) });
export const rank =
  (...ranks: number[]) =>
  ({ shape }: Known) =>
    ranks.includes(shape.length);
export const matrix = ({ shape, axis }: Known) => shape.length === 2 && axis === 0 && shape[1] > 0;
/** Lengths whose product is `size`. */
export function factors(g: RandomGraph, size: number): number[] {
  const divisors = several(g, 6, () => 1 + g.below(6)).filter((length) => size % length === 0);
  const [length = size] = divisors;
  return g.chance(0.5) ? [size] : [length, ...(size === length ? [] : factors(g, size / length))];
}

/** An operand beside rows: constants without lengths where the rows are, other rows, and rarely what does not fit. */
export function beside(g: RandomGraph, x: MadeValue): string {
  const other = g.pick(
    [x.type],
    ({ shape, axis }) =>
      g.chance(0.2) ||
      (shape.length === rankOf(x) &&
        axis === x.known?.axis &&
        shape[axis ?? 0] === x.known?.shape[axis ?? 0]),
  );
  if (other && g.chance(0.4)) return other.name;
  const lengths = lengthsOf(x).map((length, place) =>
    place === x.known?.axis ? (g.chance(0.95) ? 1 : 2) : g.chance(0.7) ? length : 1,
  );
  const ahead = g.chance(0.05) ? [g.oneOf([1, 2])] : [];
  return g.constant(
    x.type,
    g.chance(0.7) ? [...ahead, ...lengths] : lengths.slice(g.below(lengths.length + 1)),
  );
}

export const nodeOf = (
  op: string,
  inputs: readonly string[],
  types: readonly number[],
  attributes?: MadeNode['attributes'],
): readonly MadeNode[] => [{ op, inputs, types, attributes }];
