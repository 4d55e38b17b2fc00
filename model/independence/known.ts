import type { Node } from '../graph/onnx';
import type { Shape } from '../values/tensor';

/** What is known of a tensor: without rows, it is the same in every run. */
export interface Known {
  /**
   * The lengths of its axes, NaN where that is not known. One that is negative is that of the rows: where it is -k, the
   * entries `n·k` to `n·k + k - 1` depend on row n of the inputs alone.
   */
  readonly shape: Shape;
  /** The values of a small constant of int32 or int64. */
  readonly integers?: readonly number[];
}

/** The axis of the rows; -1 where there is none. */
export const rowAxis = ({ shape }: Known) => shape.findIndex((length) => length < 0);
export const hasRows = (x: Known) => rowAxis(x) >= 0;

/** What a node does that keeps rows from being told apart. */
export class Mixes extends Error {
  constructor(what = 'goes across rows') {
    super(what);
  }
}

/** An operand that is left out. */
export const omitted: Known = { shape: [], integers: [] };

/** A node whose operands are known. */
export class Call {
  constructor(
    readonly node: Node,
    /** The version of its domain's operators. */
    readonly opset: number,
    readonly operands: readonly Known[],
  ) {}

  /** An attribute that is an integer. */
  int(name: string, otherwise: number): number {
    return this.node.attributes.get(name)?.i ?? otherwise;
  }

  /**
   * Integers that an operator takes as an attribute or, in later versions, as an operand; none where they are left out. The
   * runtime loads no node with an attribute that its version does not have.
   */
  integers(name: string, place = 1): readonly number[] {
    const attribute = this.node.attributes.get(name);
    if (attribute) return attribute.ints.map(Number);
    const { integers } = this.operands[place] ?? omitted;
    if (!integers) throw new Mixes('takes its places from what is computed');
    return integers;
  }
}

/** What a node gives: its first output, or a list of the first ones. Throws Mixes where it goes across rows, or may. */
export type Rule = (call: Call) => Known | readonly Known[];

/** The rule of an operator whose first operand is `x`, and whose others are constants. */
export const ofOne =
  (rule: (x: Known, call: Call) => Known | readonly Known[]): Rule =>
  (call) => {
    const [x, ...others] = call.operands;
    if (others.some(hasRows)) throw new Mixes('takes rows beside rows');
    return rule(x, call);
  };

/** An axis, counted from the start, that is not the rows'. */
export function notRowAxis(x: Known, axis: number): number {
  const place = axis < 0 ? axis + x.shape.length : axis;
  if (x.shape[place] === undefined || place === rowAxis(x)) throw new Mixes();
  return place;
}

/** Other values, made along some axes that are not the rows'; where others are given, these stand in the place of each. */
export function alongAxes(x: Known, axes: readonly number[], others?: Shape): Known {
  const places = axes.map((axis) => notRowAxis(x, axis));
  return {
    shape: x.shape.flatMap((length, place) => (places.includes(place) ? (others ?? length) : length)),
  };
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
