import { sizeOf } from '../../../model/values/tensor';
import type { Known, MadeValue, RandomGraph } from './graph';
import {
  anyAxis,
  beside,
  bool,
  double,
  factors,
  float,
  int32,
  int64,
  lengthsOf,
  type Maker,
  matrix,
  nodeOf,
  numeric,
  rank,
  rankOf,
  several,
  string,
  uint8,
} from './maker';
import type { Attribute, MadeNode } from './written';

// Nodes of the operators of ai.onnx.

const unary =
  (types: readonly number[], to?: number, attributes?: MadeNode['attributes']): Maker =>
  (g, op) => {
    const x = g.pick(types);
    return x && nodeOf(op, [x.name], [to ?? x.type], attributes);
  };
const elementwise =
  (
    types: readonly number[],
    operands: (g: RandomGraph) => number,
    to?: number,
    attributes?: (g: RandomGraph) => MadeNode['attributes'],
  ): Maker =>
  (g, op) => {
    const x = g.pick(types);
    if (!x) return undefined;
    const inputs = [x.name, ...several(g, operands(g) - 1, () => 0).map(() => beside(g, x))];
    return nodeOf(
      op,
      g.chance(0.3) && op !== 'PRelu' ? inputs.toReversed() : inputs,
      [to ?? x.type],
      attributes?.(g),
    );
  };
const two = () => 2;

const onAxis =
  (
    types: readonly number[],
    attributes: (g: RandomGraph, x: MadeValue, axis: number) => MadeNode['attributes'],
    to?: readonly number[],
  ): Maker =>
  (g, op) => {
    const x = g.pick(types);
    if (!x) return undefined;
    const axis = anyAxis(g, rankOf(x));
    return nodeOf(op, [x.name], to ?? [x.type], attributes(g, x, axis));
  };

/** Lists of integers, as operands since some version, or as attributes before. */
function lists(g: RandomGraph, since: number, given: Record<string, readonly number[] | undefined>) {
  if (g.opset < since) {
    const attributes: Record<string, Attribute | undefined> = {};
    for (const [name, list] of Object.entries(given)) attributes[name] = list && [...list];
    return { inputs: [], attributes };
  }
  return { inputs: Object.values(given).map((list) => (list ? g.integers(...list) : '')), attributes: {} };
}

/** What the runtime takes as set is 1 only. */
const flag = (g: RandomGraph) => (g.chance(0.05) ? 2 : g.below(2));

const reduce: Maker = (g, op) => {
  const x = g.pick([float]);
  if (!x) return undefined;
  const inner = [...lengthsOf(x).keys()].filter((place) => place !== x.known?.axis && g.chance(0.6));
  const axes = g.chance(0.1)
    ? undefined
    : g.chance(0.8)
      ? inner.map((place) => (g.chance(0.3) ? place - rankOf(x) : place))
      : [anyAxis(g, rankOf(x))];
  const since = op === 'ReduceSum' ? 13 : 18;
  const by = lists(g, since, { axes });
  const noop = g.opset >= since && g.chance(0.2) ? flag(g) : undefined;
  return nodeOf(op, [x.name, ...by.inputs], [float], {
    ...by.attributes,
    keepdims: flag(g),
    noop_with_empty_axes: noop,
  });
};

const squeeze: Maker = (g, op) => {
  const x =
    g.pick([float, int64, string], ({ shape }) => shape.filter((length) => length === 1).length > 1) ??
    g.pick([float]);
  if (!x) return undefined;
  const ones = [...lengthsOf(x).entries()]
    .filter(([place, length]) => length === 1 && place !== x.known?.axis)
    .map(([place]) => place);
  const by = lists(g, 13, { axes: g.chance(0.1) ? g.oneOf([undefined, [], [0]]) : ones });
  return nodeOf(op, [x.name, ...by.inputs], [x.type], by.attributes);
};

const unsqueeze: Maker = (g, op) => {
  const x = g.pick([float, int64, string], rank(1, 2, 3));
  if (!x) return undefined;
  const count = 1 + g.below(2);
  const by = lists(g, 13, {
    axes: several(g, count, () =>
      g.opset < 11 ? g.below(rankOf(x) + count) : anyAxis(g, rankOf(x) + count),
    ),
  });
  return nodeOf(op, [x.name, ...by.inputs], [x.type], by.attributes);
};

const slice: Maker = (g, op) => {
  const x = g.pick([float, int64, string]);
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const length = lengthsOf(x).at(axis) ?? 1;
  const [start, end] = g.chance(0.3)
    ? [0, g.oneOf([2 ** 31 - 1, 1e9, 2 ** 53])]
    : [g.oneOf([0, 1, -length, -1]), g.oneOf([length, -1, 2 ** 31 - 1, 1, 2])];
  const isBackwards = g.opset >= 10 && g.chance(0.2);
  const by = lists(g, 10, {
    starts: [isBackwards ? -1 : start],
    ends: [isBackwards ? -1000 : end],
    axes: axis === 0 && g.chance(0.5) ? undefined : [axis],
    ...(g.opset >= 10 && { steps: [isBackwards ? -1 : g.oneOf([1, 1, 2])] }),
  });
  return nodeOf(op, [x.name, ...by.inputs], [x.type], by.attributes);
};

const split: Maker = (g, op) => {
  const x = g.pick([float, int64, string]);
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const length = lengthsOf(x).at(axis) ?? 1;
  const isEven = length % 2 === 0 && (g.opset < 18 || g.chance(0.5));
  const by = isEven
    ? { inputs: [], attributes: g.opset >= 18 ? { num_outputs: 2 } : {} }
    : lists(g, 13, { split: [1, length - 1] });
  return nodeOf(op, [x.name, ...by.inputs], [x.type, x.type], { ...by.attributes, axis });
};

const layerNorm: Maker = (g, op) => {
  const x = g.pick([float], rank(2, 3, 4));
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const scale = () => (g.chance(0.8) ? g.constant(float, lengthsOf(x).slice(axis)) : beside(g, x));
  const bias = op === 'LayerNormalization' && g.chance(0.5) ? [scale()] : [];
  return nodeOf(op, [x.name, scale(), ...bias], [float], { axis });
};

/** Norms whose constants count channels. */
const channelNorm: Maker = (g, op) => {
  const x = g.pick([float], rank(...(op === 'BatchNormalization' ? [2, 3, 4] : [3, 4])));
  if (!x) return undefined;
  const channels = lengthsOf(x)[1];
  const groups = g.oneOf([1, channels]);
  const count = op === 'GroupNormalization' && g.opset < 21 ? groups : channels;
  const positive = () =>
    g.constant(
      float,
      [count],
      several(g, count, () => 0.5 + g.below(4)),
    );
  const inputs = [positive(), positive(), ...(op === 'BatchNormalization' ? [positive(), positive()] : [])];
  return nodeOf(op, [x.name, ...inputs], [float], op === 'GroupNormalization' ? { num_groups: groups } : {});
};

const pool: Maker = (g, op) => {
  const x = g.pick([float], rank(3, 4));
  if (!x) return undefined;
  const kernel = lengthsOf(x)
    .slice(2)
    .map((length) => 1 + g.below(length));
  const strides = kernel.map(() => 1 + g.below(2));
  const attributes = /Global/.test(op)
    ? {}
    : { kernel_shape: kernel, strides, ...(g.chance(0.3) && { auto_pad: 'SAME_UPPER' }) };
  return nodeOf(op, [x.name], op === 'MaxPool' && g.chance(0.2) ? [float, int64] : [float], attributes);
};

const lrn: Maker = (g, op) => {
  const x = g.pick([float], rank(4));
  return x && nodeOf(op, [x.name], [float], { size: 3 });
};

const conv: Maker = (g, op) => {
  const x = g.pick([float], rank(3, 4));
  if (!x) return undefined;
  const [, channels, ...spatial] = lengthsOf(x);
  const group = g.oneOf([1, channels]);
  const out = group * (1 + g.below(3));
  const weights = g.constant(float, [out, channels / group, ...spatial.map((length) => 1 + g.below(length))]);
  const pads = g.chance(0.4) ? several(g, 2 * spatial.length, () => 1) : undefined;
  return nodeOf(op, [x.name, weights, ...(g.chance(0.5) ? [g.constant(float, [out])] : [])], [float], {
    group,
    pads,
  });
};

const concat: Maker = (g, op) => {
  const x =
    op === 'Concat' ? g.pick([float, int64, string]) : g.pick([float], g.chance(0.9) ? matrix : () => true);
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const isAlike = ({ shape, axis: rows }: Known) =>
    g.chance(0.1) || (shape.length === rankOf(x) && rows === x.known?.axis);
  const others = several(g, 1 + g.below(2), () => 0).map(() => g.pick([x.type], isAlike) ?? x);
  const all = [x, ...others];
  const widths = all.map((one) => (lengthsOf(one)[1] ?? 1) + (g.chance(0.1) ? 1 : 0));
  const attributes = op === 'Concat' ? { axis } : { inputdimensions: widths };
  return nodeOf(
    op,
    all.map(({ name }) => name),
    [x.type],
    attributes,
  );
};

const transpose: Maker = (g, op) => {
  const x = g.pick([float, int64, string], rank(2, 3, 4, 5)) ?? g.pick([float]);
  if (!x) return undefined;
  const isBack = x.known?.axis !== 0 && g.chance(0.6);
  const order = g.places(rankOf(x));
  const rows = x.known?.axis ?? 0;
  const perm = isBack ? [rows, ...order.filter((place) => place !== rows)] : order;
  return nodeOf(op, [x.name], [x.type], { perm: g.chance(0.15) ? undefined : perm });
};

const reshape: Maker = (g, op) => {
  const x = g.pick([float, int64, string]);
  if (!x) return undefined;
  const [lengths, axis] = [lengthsOf(x), x.known?.axis ?? 0];
  const [before, own, behind] = [lengths.slice(0, axis), lengths.slice(axis), lengths.slice(axis + 1)];
  const target = g.oneOf([
    () => [...before.map(() => 0), 0, ...(g.chance(0.5) ? factors(g, sizeOf(behind)) : [-1])],
    () => [...factors(g, sizeOf(before)), -1, ...factors(g, sizeOf(own))],
    () => [
      ...(sizeOf(before) === 1 ? [] : [sizeOf(before)]),
      -1,
      ...factors(g, sizeOf(own)).slice(0, 1 + g.below(3)),
    ],
    () => [-1, ...several(g, g.below(3), () => 1 + g.below(4))],
    () => [0, -1],
  ])();
  return nodeOf(op, [x.name, g.integers(...target)], [x.type]);
};

const multiply: Maker = (g, op) => {
  const x = g.pick([float], op === 'Gemm' ? rank(2) : rank(2, 3, 4));
  if (!x) return undefined;
  const lengths = lengthsOf(x);
  const [height, width, wide] = [lengths.at(-2) ?? 1, lengths.at(-1) ?? 1, 1 + g.below(4)];
  if (op === 'Gemm') {
    const [transA, transB] = [
      x.known?.axis === 1 ? Number(g.chance(0.9)) : Number(g.chance(0.1)),
      g.below(2),
    ];
    const summed = transA ? height : width;
    const weights = g.constant(float, transB ? [wide, summed] : [summed, wide]);
    const bias = g.oneOf([undefined, [], [wide], [1, wide], [1], [1, 1], [2, wide]]);
    const rows = g.chance(0.2) ? g.pick([float], rank(2))?.name : undefined;
    return nodeOf(
      op,
      [x.name, weights, ...(rows ? [rows] : bias ? [g.constant(float, bias)] : [])],
      [float],
      {
        transA,
        transB,
        alpha: { f: 0.5 },
        beta: { f: 2 },
      },
    );
  }
  const turned = () =>
    g.add({
      op: 'Transpose',
      inputs: [x.name],
      types: [float],
      attributes: { perm: [...lengths.keys()].slice(0, -2).concat(lengths.length - 1, lengths.length - 2) },
    });
  const ahead = g.chance(0.1) ? [g.oneOf([1, 2])] : [];
  const inputs = g.oneOf([
    () => [x.name, g.constant(float, g.chance(0.3) ? [width] : [...ahead, width, wide])],
    () => [x.name, g.constant(float, [width, wide])],
    () => [g.constant(float, [...ahead, wide, height]), x.name],
    () => [x.name, turned().name],
    () => [turned().name, beside(g, x)],
  ])();
  return nodeOf(op, inputs, [float]);
};

const gather: Maker = (g, op) => {
  const dims = g.oneOf([[], [1], [2], [2, 2], [1, 3]]);
  if (g.chance(0.6)) {
    const x = g.pick([float, int64, string]);
    if (!x) return undefined;
    const axis = op === 'Gather' ? anyAxis(g, rankOf(x)) : -1;
    const indices = several(g, sizeOf(dims), () => g.below(lengthsOf(x).at(axis) ?? 1));
    return nodeOf(op, [x.name, g.constant(int64, dims, indices)], [x.type], op === 'Gather' ? { axis } : {});
  }
  const indices = g.pick([int64], op === 'Gather' ? () => true : rank(1, 2));
  const [type, axis] = [g.oneOf([float, int64, string]), g.below(2)];
  const table = op === 'Gather' ? (axis === 0 ? [8, 3] : [2, 8]) : g.oneOf([[8], [1, 8], [2, 8]]);
  const rows = g.chance(0.1) ? g.pick([type]) : undefined;
  const data = rows?.name ?? g.constant(type, table);
  return indices && nodeOf(op, [data, indices.name], [type], op === 'Gather' ? { axis } : {});
};

const clip: Maker = (g, op) => {
  const x = g.pick([float]);
  if (!x) return undefined;
  if (g.opset < 11) return nodeOf(op, [x.name], [float], { min: { f: -0.5 }, max: { f: 1 } });
  return nodeOf(
    op,
    [x.name, g.oneOf(['', g.constant(float, [], [-0.5])]), g.constant(float, [], [1])],
    [float],
  );
};

const dropout: Maker = (g, op) => {
  const x = g.pick([float]);
  const isOperand = g.opset >= 12 && g.chance(0.5);
  const trains = isOperand && g.chance(0.15) ? [g.constant(bool, [], [1])] : [];
  return (
    x &&
    nodeOf(
      op,
      [x.name, ...(isOperand ? [g.constant(float, [], [0.5]), ...trains] : [])],
      g.chance(0.3) && g.opset > 9 ? [float, bool] : [float],
    )
  );
};

const cumSum: Maker = (g, op) => {
  const x = g.pick([float, int64]);
  const axis = x && g.constant(g.oneOf([int64, int32]), g.oneOf([[], [1]]), [anyAxis(g, rankOf(x))]);
  return x && axis
    ? nodeOf(op, [x.name, axis], [x.type], { exclusive: g.below(2), reverse: g.below(2) })
    : undefined;
};

const where: Maker = (g, op) => {
  const condition = g.pick([bool]);
  const x = condition && g.pick([float], ({ shape }) => shape.length === rankOf(condition));
  return (
    condition &&
    x &&
    nodeOf(
      op,
      [condition.name, ...(g.chance(0.5) ? [x.name, beside(g, x)] : [beside(g, x), x.name])],
      [float],
    )
  );
};

const cast: Maker = (g, op) => {
  const x = g.pick([g.oneOf([float, int64, bool, string]), float]);
  const to = g.oneOf(x?.type === string ? [string] : [float, int64, bool, double, int32, uint8]);
  return x && [{ op, inputs: [x.name], types: [to], attributes: { to } }];
};

/** A constant, and what reads it. */
const constant: Maker = (g, op) => {
  const x = g.pick([float], rank(1, 2, 3));
  if (!x) return undefined;
  const dims = lengthsOf(x).map((length, place) => (place === x.known?.axis ? 1 : length));
  const made =
    op === 'Constant'
      ? g.add({
          op,
          inputs: [],
          types: [float],
          attributes: g.oneOf([
            { value: g.tensor(float, dims) },
            { value_float: { f: 0.5 } },
            { value_floats: { fs: [0.25] } },
          ]),
        })
      : g.add({
          op,
          inputs: [g.integers(...dims)],
          types: [float],
          attributes: { value: g.chance(0.5) ? g.tensor(float, [1]) : undefined },
        });
  return nodeOf(g.oneOf(['Add', 'Mul', 'Sub']), [x.name, made.name], [float]);
};

export const makersOfTensors: readonly [Maker, string][] = [
  [
    unary([float]),
    `Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Neg Reciprocal
    Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu Size Shape NonZero`,
  ],
  [unary([float, int64, string, bool]), 'Identity'],
  [unary([float], bool), 'IsInf IsNaN'],
  [unary([bool]), 'Not'],
  [unary([int64]), 'BitwiseNot'],
  [unary([string], bool, { pattern: '[a-z]+' }), 'RegexFullMatch'],
  [elementwise(numeric, two), 'Add Sub Mul'],
  [elementwise([float], two), 'Div PRelu Pow'],
  [elementwise([float], two, undefined, () => ({ fmod: 1 })), 'Mod'],
  [elementwise([float], (g) => 1 + g.below(3)), 'Max Mean Min Sum'],
  [elementwise(numeric, two, bool), 'Equal Greater GreaterOrEqual Less LessOrEqual'],
  [elementwise([bool], two), 'And Or Xor'],
  [elementwise([int64], two), 'BitwiseAnd BitwiseOr BitwiseXor'],
  [elementwise([uint8], two, undefined, (g) => ({ direction: g.oneOf(['LEFT', 'RIGHT']) })), 'BitShift'],
  [elementwise([string], two), 'StringConcat'],
  [where, 'Where'],
  [clip, 'Clip'],
  [dropout, 'Dropout'],
  [cumSum, 'CumSum'],
  [split, 'Split'],
  [
    onAxis([float], (g, _, axis) => ({ axis: g.chance(0.2) ? undefined : axis })),
    'Softmax LogSoftmax Hardmax',
  ],
  [onAxis([float], (g, _, axis) => ({ axis, p: 1 + g.below(2) })), 'LpNormalization'],
  [
    onAxis(
      [float],
      (g, _, axis) => ({
        axis: g.chance(0.1) ? undefined : axis,
        keepdims: flag(g),
        ...(g.opset > 11 && { select_last_index: g.below(2) }),
      }),
      [int64],
    ),
    'ArgMax ArgMin',
  ],
  [
    onAxis([float, int64, string], (g, x) => ({
      axis: g.opset < 11 ? g.below(rankOf(x) + 1) : g.below(2 * rankOf(x) + 1) - rankOf(x),
    })),
    'Flatten',
  ],
  [
    reduce,
    'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare',
  ],
  [squeeze, 'Squeeze'],
  [unsqueeze, 'Unsqueeze'],
  [layerNorm, 'LayerNormalization RMSNormalization'],
  [channelNorm, 'BatchNormalization GroupNormalization InstanceNormalization'],
  [lrn, 'LRN'],
  [pool, 'AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool'],
  [conv, 'Conv'],
  [concat, 'Concat ml.FeatureVectorizer'],
  [slice, 'Slice'],
  [transpose, 'Transpose'],
  [reshape, 'Reshape'],
  [multiply, 'MatMul Gemm'],
  [gather, 'Gather ml.ArrayFeatureExtractor'],
  [cast, 'Cast'],
  [constant, 'Constant ConstantOfShape'],
];
