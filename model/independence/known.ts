import { mostIntegers, mostStrings, type Node } from '../graph/onnx';
import type { Shape } from '../values/tensor';

/**
 * A tensor in which the entries `n·k` to `n·k + k - 1` along `axis`, k being that axis' length in `shape`, depend on row n
 * of the inputs alone; without an axis, it is the same in every run. Lengths that are not known are NaN.
 */
export interface Known {
  readonly shape: Shape;
  readonly axis?: number;
  /** The values of a small constant of int32 or int64. */
  readonly integers?: readonly number[];
  /** The word that fills texts up to the longest of the run. */
  readonly padding?: string;
}

/** What a node does that keeps rows from being told apart. */
export class Mixes extends Error {}

export const acrossRows = () => new Mixes('goes across rows');

/** A node whose operands are known; one that is left out is undefined. */
export class Call {
  constructor(
    readonly node: Node,
    /** The version of its domain's operators. */
    readonly opset: number,
    readonly operands: readonly (Known | undefined)[],
  ) {}

  /** An attribute that is an integer. */
  int(name: string, otherwise: number): number {
    return this.node.attributes.get(name)?.i ?? otherwise;
  }

  /** Integers that the operator takes as an operand since some version, and as an attribute before; version 0 is always. */
  integers(name: string, since: number, place = 1): readonly number[] | undefined {
    if (this.opset < since) return this.node.attributes.get(name)?.ints.map(Number);
    const operand = this.operands[place];
    if (operand && !operand.integers) throw new Mixes('takes its places from what is computed');
    return operand?.integers;
  }

  /** The length of the list that one of these attributes holds; NaN where it is not known. */
  listLength(...names: string[]): number {
    const [list] = names.flatMap((name) => this.node.attributes.get(name) ?? []);
    if (!list || list.ints.length >= mostIntegers || list.strings.length >= mostStrings) return Number.NaN;
    return list.ints.length + list.strings.length;
  }
}

/** What a node gives: its first output, or a list of the first ones. Throws Mixes where it goes across rows, or may. */
export type Rule = (call: Call) => Known | readonly Known[];

export function required(operand: Known | undefined): Known {
  if (!operand) throw new Mixes('lacks an operand');
  return operand;
}

/** An operand that is there, and that nothing fills up. */
export function unpadded(operand: Known | undefined): Known {
  const x = required(operand);
  if (x.padding !== undefined) throw new Mixes('reads what fills texts up to the longest of a run');
  return x;
}

/** The rule of an operator whose first operand is `x`, and whose others are constants. */
export const ofOne =
  (rule: (x: Known, call: Call) => Known | readonly Known[]): Rule =>
  (call) => {
    const [x, ...others] = call.operands;
    if (others.some((operand) => operand?.axis !== undefined)) throw new Mixes('takes rows beside rows');
    return rule(unpadded(x), call);
  };

/** An axis, counted from the start, that is not the rows'. */
export function notRowAxis({ shape, axis: rows }: Known, axis: number): number {
  const place = axis < 0 ? axis + shape.length : axis;
  if (place === rows || !(place >= 0 && place < shape.length)) throw acrossRows();
  return place;
}

/** Other values, made along some axes that are not the rows', which get another length where one is given. */
export function alongAxes(x: Known, axes: readonly number[], length?: number): Known {
  const places = axes.map((axis) => notRowAxis(x, axis));
  const lengthAt = (place: number) => (places.includes(place) ? length : undefined) ?? x.shape[place];
  return { shape: x.shape.map((_, place) => lengthAt(place)), axis: x.axis };
}

/** Without some axes, which are not the rows'. */
export function dropAxes(x: Known, axes: readonly number[]): Known {
  const dropped = axes.map((axis) => notRowAxis(x, axis));
  const kept = [...x.shape.keys()].filter((place) => !dropped.includes(place));
  return orderAxes(x, kept);
}

/** Axes in another order; all but those of length 1 are among them. */
export function orderAxes({ shape, axis }: Known, order: readonly number[]): Known {
  return {
    shape: order.map((place) => shape[place]),
    axis: axis === undefined ? undefined : order.indexOf(axis),
  };
}

/** Operands aligned from the right: https://onnx.ai/onnx/repo-docs/Broadcasting.html */
export function broadcast(operands: readonly Known[]): Known {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const aligned = operands.map(({ shape, axis }) => {
    const missing = rank - shape.length;
    const ones = Array<number>(missing).fill(1);
    return { shape: [...ones, ...shape], axis: axis === undefined ? undefined : axis + missing };
  });
  const shape = Array.from({ length: rank }, (_, place) => {
    const lengths = aligned.map(({ shape }) => shape[place]).filter((length) => length !== 1);
    return lengths.find((length) => !Number.isNaN(length)) ?? lengths[0] ?? 1;
  });
  const rows = aligned.find(({ axis }) => axis !== undefined);
  if (rows?.axis === undefined) return { shape };
  const { axis } = rows;
  const isBeside = (other: Known) =>
    other.axis === undefined
      ? other.shape[axis] === 1
      : other === rows || (other.axis === axis && other.shape[axis] === rows.shape[axis]);
  if (!aligned.every(isBeside)) throw new Mixes('sets rows beside other entries');
  return { shape, axis };
}
