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

/** A node whose operands are known; one that is left out is undefined. */
export interface Call {
  readonly node: Node;
  /** The version of its domain's operators. */
  readonly opset: number;
  readonly operands: readonly (Known | undefined)[];
}

/** What a node does that keeps rows from being told apart. */
export class Mixes extends Error {}

/** What a node gives: its first output, or a list of the first ones. Throws Mixes where it goes across rows, or may. */
export type Rule = (call: Call) => Known | readonly Known[];

export const acrossRows = () => new Mixes('goes across rows');

export function int({ node }: Call, name: string, otherwise: number): number {
  return node.attributes.get(name)?.i ?? otherwise;
}

/** The length of the list that an attribute holds. */
export function countOf({ node }: Call, ...names: string[]): number {
  const [list] = names.flatMap((name) => node.attributes.get(name) ?? []);
  if (!list || list.ints.length >= mostIntegers || list.strings.length >= mostStrings) return Number.NaN;
  return list.ints.length + list.strings.length;
}

export function present(operand: Known | undefined): Known {
  if (!operand) throw new Mixes('lacks an operand');
  return operand;
}

/** An operand that is there, and that nothing fills up. */
export function required(operand: Known | undefined): Known {
  const x = present(operand);
  if (x.padding !== undefined) throw new Mixes('reads what fills texts up to the longest of a run');
  return x;
}

/** The first operand, beside constants. */
export function onlyRows({ operands: [x, ...others] }: Call): Known {
  if (others.some((operand) => operand?.axis !== undefined)) throw new Mixes('takes rows beside rows');
  return required(x);
}

/** Integers that an operator takes as an operand since some version, and as an attribute before. */
export function integersBy(call: Call, since: number, place: number, name: string) {
  if (call.opset < since) return call.node.attributes.get(name)?.ints.map(Number);
  const operand = call.operands[place];
  if (operand && !operand.integers) throw new Mixes('takes its places from what is computed');
  return operand?.integers;
}

/** An axis, counted from the start, that is not the rows'. */
export function inner({ shape, axis }: Known, given: number): number {
  const place = given < 0 ? given + shape.length : given;
  if (place === axis || !(place >= 0 && place < shape.length)) throw acrossRows();
  return place;
}

/** Other values, with another length along axes that are not the rows'. */
export function resized(x: Known, axes: readonly number[], length = Number.NaN): Known {
  const places = axes.map((axis) => inner(x, axis));
  return { shape: x.shape.map((own, place) => (places.includes(place) ? length : own)), axis: x.axis };
}

/** Without some axes, which are not the rows'. */
export function without(x: Known, axes: readonly number[]): Known {
  const places = axes.map((axis) => inner(x, axis));
  return inOrder(
    x,
    [...x.shape.keys()].filter((place) => !places.includes(place)),
  );
}

/** Axes in another order; all but those of length 1 are among them. */
export function inOrder({ shape, axis }: Known, order: readonly number[]): Known {
  return {
    shape: order.map((place) => shape[place]),
    axis: axis === undefined ? undefined : order.indexOf(axis),
  };
}

/** Operands aligned from the right: https://onnx.ai/onnx/repo-docs/Broadcasting.html */
export function broadcast(operands: readonly Known[]): Known {
  const rank = Math.max(...operands.map(({ shape }) => shape.length));
  const shape = Array.from({ length: rank }, (_, place) => {
    const lengths = operands.map(({ shape }) => shape.at(place - rank) ?? 1).filter((length) => length !== 1);
    return lengths.find((length) => !Number.isNaN(length)) ?? lengths[0] ?? 1;
  });
  const rows = operands.find(({ axis }) => axis !== undefined);
  if (rows?.axis === undefined) return { shape };
  const distance = rows.shape.length - rows.axis;
  const isBeside = (other: Known) => {
    if (other === rows) return true;
    const length = other.shape.at(-distance) ?? 1;
    if (other.axis === undefined) return other.shape.length < distance || length === 1;
    return other.shape.length - other.axis === distance && length === rows.shape.at(-distance);
  };
  if (!operands.every(isBeside)) throw new Mixes('sets rows beside other entries');
  return { shape, axis: rank - distance };
}
