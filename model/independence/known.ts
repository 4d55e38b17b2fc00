import type { Node } from '../graph/onnx';
import type { Shape } from '../values/tensor';

/** What is known of a tensor: without rows, it is the same in every run. */
export interface Known {
  /** The lengths of its axes, NaN where unknown. Of one that is -k, entries `n·k` to `n·k + k - 1` depend on row n alone. */
  readonly shape: Shape;
  /** The values of a small constant of int32 or int64. */
  readonly integers?: readonly number[];
}

/** The axis of the rows; -1 where there is none. */
export const rowAxis = ({ shape }: Known) => shape.findIndex((length) => length < 0);
export const hasRows = (x: Known) => rowAxis(x) >= 0;

/** What a node does that keeps rows from being told apart; by default, it goes across them. */
export class Mixes extends Error {}

/** An operand that is left out. */
export const omitted: Known = { shape: [], integers: [] };

/** A node whose operands are known. */
export class Call {
  constructor(
    readonly node: Node,
    readonly operands: readonly Known[],
  ) {}

  int(name: string, otherwise: number): number {
    return this.node.attributes.get(name)?.i ?? otherwise;
  }

  /** Those of an attribute, which the runtime loads in versions that have it only, or of an operand; none if left out. */
  integers(name: string, place = 1): readonly number[] {
    const attribute = this.node.attributes.get(name);
    if (attribute) return attribute.ints.map(Number);
    const { integers } = this.operands[place] ?? omitted;
    if (!integers) throw new Mixes('takes its places from what is computed');
    return integers;
  }
}

/** Other values, made along some axes that are not the rows'; where others are given, these stand in the place of each. */
export function alongAxes({ shape }: Known, axes: readonly number[], others?: Shape): Known {
  const places = axes.map((axis) => (axis < 0 ? axis + shape.length : axis));
  if (places.some((place) => shape[place] === undefined || shape[place] < 0)) throw new Mixes();
  return { shape: shape.flatMap((length, place) => (places.includes(place) ? (others ?? length) : length)) };
}

/** Operands aligned from the right: https://onnx.ai/onnx/repo-docs/Broadcasting.html */
export function broadcast(operands: readonly Known[]): Known {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, place) => {
    const lengths = operands.map(({ shape }) => shape.at(place - rank) ?? 1).filter((length) => length !== 1);
    const length = lengths.find((length) => !Number.isNaN(length)) ?? lengths[0] ?? 1;
    if (lengths.some((other) => other < 0) && lengths.some((other) => other !== length))
      throw new Mixes('sets rows beside other entries');
    return length;
  });
  return { shape };
}
