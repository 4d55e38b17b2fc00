import { rules } from '../../model/independence/rules';
import type { MadeValue, RandomGraph } from './random-graph';
import { type Attribute, type MadeNode, Type } from './written-node';

// For each operator that has a rule, and some that have none, nodes that the runtime often accepts.

/** The nodes that an operator needs, the last of which is its own or reads it; undefined where no value suits. */
export type Maker = (g: RandomGraph, op: string) => readonly MadeNode[] | undefined;

const { float, uint8, int32, int64, string, bool, double } = Type;
const numeric = [float, int64];

/** Lengths, with 1 for those that are not known. */
const lengthsOf = ({ known }: MadeValue) => (known?.shape ?? [1]).map((length) => (length > 0 ? length : 1));
const rankOf = (x: MadeValue) => lengthsOf(x).length;
const anyAxis = (g: RandomGraph, rank: number) => g.below(2 * rank) - rank;
const product = (lengths: readonly number[]) => lengths.reduce((size, length) => size * length, 1);
const several = (g: RandomGraph, count: number, cell = () => g.below(17) / 4 - 2) =>
  Array.from({ length: count }, cell);
const floats = (g: RandomGraph, count: number) => ({ fs: several(g, count) });
const rank =
  (...ranks: number[]) =>
  ({ shape }: { shape: readonly number[] }) =>
    ranks.includes(shape.length);
const matrix = ({ shape, axis }: { shape: readonly number[]; axis?: number }) =>
  shape.length === 2 && axis === 0 && shape[1] > 0;
/** Lengths whose product is `size`. */
function factors(g: RandomGraph, size: number): number[] {
  const divisors = several(g, 6, () => 1 + g.below(6)).filter((length) => size % length === 0);
  const [length = size] = divisors;
  return g.chance(0.5) ? [size] : [length, ...(size === length ? [] : factors(g, size / length))];
}

/** An operand beside rows: constants without lengths where the rows are, other rows, and rarely what does not fit. */
function beside(g: RandomGraph, x: MadeValue): string {
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

const nodeOf = (
  op: string,
  inputs: readonly string[],
  types: readonly number[],
  attributes?: MadeNode['attributes'],
): readonly MadeNode[] => [{ op, inputs, types, attributes }];

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
  const noop = g.opset >= since && g.chance(0.2) ? 1 : undefined;
  return nodeOf(op, [x.name, ...by.inputs], [float], {
    ...by.attributes,
    keepdims: g.below(2),
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
  const x = g.pick([float, int64]);
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const length = lengthsOf(x).at(axis) ?? 1;
  const isEven = length % 2 === 0 && (g.opset < 18 || g.chance(0.5));
  const by = isEven
    ? { inputs: [], attributes: g.opset >= 18 ? { num_outputs: 2 } : {} }
    : lists(g, 13, { split: [1, length - 1] });
  return nodeOf(op, [x.name, ...by.inputs], [x.type, x.type], { ...by.attributes, axis });
};

const topK: Maker = (g, op) => {
  const x = g.pick([float]);
  if (!x) return undefined;
  const axis = anyAxis(g, rankOf(x));
  const k = 1 + g.below(lengthsOf(x).at(axis) ?? 1);
  const attributes = {
    axis,
    ...(g.opset < 10 ? { k } : {}),
    ...(g.opset >= 11 && { largest: g.below(2), sorted: g.below(2) }),
  };
  return nodeOf(op, [x.name, ...(g.opset < 10 ? [] : [g.integers(k)])], [float, int64], attributes);
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
  const isAlike = ({ shape, axis: rows }: { shape: readonly number[]; axis?: number }) =>
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
    () => [...before.map(() => 0), 0, ...(g.chance(0.5) ? factors(g, product(behind)) : [-1])],
    () => [...factors(g, product(before)), -1, ...factors(g, product(own))],
    () => [
      ...(product(before) === 1 ? [] : [product(before)]),
      -1,
      ...factors(g, product(own)).slice(0, 1 + g.below(3)),
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
    const indices = several(g, product(dims), () => g.below(lengthsOf(x).at(axis) ?? 1));
    return nodeOf(op, [x.name, g.constant(int64, dims, indices)], [x.type], op === 'Gather' ? { axis } : {});
  }
  const indices = g.pick([int64], op === 'Gather' ? () => true : rank(1, 2));
  const [type, axis] = [g.oneOf([float, int64, string]), g.below(2)];
  const table = op === 'Gather' ? (axis === 0 ? [8, 3] : [2, 8]) : g.oneOf([[8], [1, 8], [2, 8]]);
  const rows = g.chance(0.1) ? g.pick([type]) : undefined;
  const data = rows?.name ?? g.constant(type, table);
  return indices && nodeOf(op, [data, indices.name], [type], op === 'Gather' ? { axis } : {});
};

const ofMatrix =
  (
    attributes: (g: RandomGraph, width: number) => MadeNode['attributes'],
    to: readonly number[] = [float],
  ): Maker =>
  (g, op) => {
    const x = g.pick([float], g.chance(0.8) ? matrix : () => true);
    return x && nodeOf(op, [x.name], to, attributes(g, lengthsOf(x).at(-1) ?? 1));
  };

const transform = (g: RandomGraph) => g.oneOf(['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO']);

const linear: Maker = (g, op) => {
  const count = 1 + g.below(4);
  const labels = count === 1 ? 2 : count;
  const common = (width: number) => ({
    coefficients: floats(g, count * width),
    intercepts: floats(g, count),
    post_transform: transform(g),
  });
  const isNamed = g.chance(0.5);
  const classes = isNamed
    ? { classlabels_strings: several(g, labels).map((_, i) => `l${i}`) }
    : { classlabels_ints: [...Array(labels).keys()] };
  return op === 'ml.LinearRegressor'
    ? ofMatrix((_, width) => ({ ...common(width), targets: count }))(g, op)
    : ofMatrix((_, width) => ({ ...common(width), ...classes }), [isNamed ? string : int64, float])(g, op);
};

const supportVectors: Maker = (g, op) => {
  const [classes, each] = [2 + g.below(2), 2];
  const isRegressor = op === 'ml.SVMRegressor';
  const count = isRegressor ? each : classes * each;
  const pairs = isRegressor ? 1 : (classes * (classes - 1)) / 2;
  return ofMatrix(
    (_, width) => ({
      kernel_type: 'RBF',
      kernel_params: { fs: [0.5, 0, 3] },
      support_vectors: floats(g, count * width),
      rho: floats(g, pairs),
      coefficients: floats(g, count * (isRegressor ? 1 : classes - 1)),
      post_transform: 'NONE',
      ...(isRegressor
        ? { n_supports: count }
        : {
            vectors_per_class: several(g, classes, () => each),
            classlabels_ints: [...Array(classes).keys()],
            ...(g.chance(0.4) && { prob_a: floats(g, pairs), prob_b: floats(g, pairs) }),
          }),
    }),
    isRegressor ? [float] : [int64, float],
  )(g, op);
};

const trees: Maker = (g, op) => {
  const [count, isClassifier] = [1 + g.below(4), op === 'ml.TreeEnsembleClassifier'];
  const prefix = isClassifier ? 'class' : 'target';
  const repeat = (list: readonly number[]) => [...list, ...list];
  const leaves = several(g, 4, () => g.below(count));
  return ofMatrix(
    (_, width) => ({
      nodes_treeids: [0, 0, 0, 1, 1, 1],
      nodes_nodeids: repeat([0, 1, 2]),
      nodes_truenodeids: repeat([1, 0, 0]),
      nodes_falsenodeids: repeat([2, 0, 0]),
      nodes_featureids: several(g, 6, () => g.below(width)),
      nodes_values: floats(g, 6),
      nodes_modes: ['BRANCH_LEQ', 'LEAF', 'LEAF', 'BRANCH_GT', 'LEAF', 'LEAF'],
      [`${prefix}_treeids`]: [0, 0, 1, 1],
      [`${prefix}_nodeids`]: [1, 2, 1, 2],
      [`${prefix}_ids`]: leaves,
      [`${prefix}_weights`]: floats(g, 4),
      post_transform: transform(g),
      ...(isClassifier
        ? { classlabels_int64s: [...Array(Math.max(count, 2)).keys()] }
        : { n_targets: count, aggregate_function: g.oneOf(['SUM', 'AVERAGE', 'MAX']) }),
    }),
    isClassifier ? [int64, float] : [float],
  )(g, op);
};

const newTrees = ofMatrix((g, width) => ({
  aggregate_function: g.below(4),
  n_targets: 2,
  tree_roots: [0, 1],
  nodes_featureids: several(g, 2, () => g.below(width)),
  nodes_splits: g.tensor(float, [2]),
  nodes_modes: g.tensor(uint8, [2], [0, 2]),
  nodes_truenodeids: [0, 2],
  nodes_falsenodeids: [1, 3],
  nodes_trueleafs: [1, 1],
  nodes_falseleafs: [1, 1],
  leaf_targetids: [0, 1, 0, 1],
  leaf_weights: g.tensor(float, [4]),
  post_transform: 0,
}));

const labelEncoder: Maker = (g, op) => {
  const x = g.pick([g.oneOf([string, int64, float]), string, float]);
  if (!x) return undefined;
  const keys = {
    [string]: { keys_strings: ['a', 'bb', '#'] },
    [int64]: { keys_int64s: [1, 2, 3] },
    [float]: { keys_floats: { fs: [0.5, 1, -1] } },
  }[x.type];
  const [type, values]: [number, Record<string, Attribute>] = g.oneOf([
    [float, { values_floats: { fs: [1, 2, 3] } }],
    [int64, { values_int64s: [1, 2, 0] }],
    [string, { values_strings: ['a', '', 'x'] }],
  ]);
  return nodeOf(op, [x.name], [type], { ...keys, ...values });
};

const categories: Maker = (g, op) => {
  const x = g.pick([g.oneOf([string, int64]), string]);
  const cats = { cats_strings: ['a', 'bb', ''], cats_int64s: [1, 2, 3] };
  if (op === 'ml.CategoryMapper')
    return x && nodeOf(op, [x.name], [x.type === string ? int64 : string], cats);
  return (
    x &&
    nodeOf(op, [x.name], [float], {
      zeros: 1,
      ...(x.type === string ? { cats_strings: cats.cats_strings } : { cats_int64s: cats.cats_int64s }),
    })
  );
};

const counts = (g: RandomGraph, x: MadeValue): MadeNode => {
  const pool: Record<string, Attribute> =
    x.type === string
      ? { pool_strings: ['a', 'bb', g.oneOf(['c', 'c', '#', '']), 'a', 'bb'] }
      : { pool_int64s: [1, 2, 3, 1, 2] };
  return {
    op: 'TfIdfVectorizer',
    inputs: [x.name],
    types: [float],
    attributes: {
      ...pool,
      mode: g.oneOf(['TF', 'IDF', 'TFIDF']),
      weights: floats(g, 4),
      min_gram_length: 1,
      max_gram_length: 1 + g.below(2),
      max_skip_count: g.below(3),
      ngram_counts: [0, 3],
      ngram_indexes: [0, 1, 2, 3],
    },
  };
};

const texts: Maker = (g, op) => {
  const list = g.pick([string], g.chance(0.9) ? rank(1) : () => true);
  if (op === 'StringNormalizer') {
    const attributes = {
      case_change_action: g.oneOf(['LOWER', 'UPPER', 'NONE']),
      locale: 'C.UTF-8',
      ...(g.chance(0.1) && { stopwords: ['a'], is_case_sensitive: g.below(2) }),
    };
    return list && nodeOf(op, [list.name], [string], attributes);
  }
  const ready = g.pick([g.oneOf([string, int64]), int64], rank(2));
  if (op === 'TfIdfVectorizer' && ready && g.chance(0.7)) return [counts(g, ready)];
  if (!list) return undefined;
  const by = g.oneOf([{ tokenexp: '[a-z]+' }, { separators: [' '] }, { tokenexp: '.' }]);
  const tokens = g.add({
    op: 'ms.Tokenizer',
    inputs: [list.name],
    types: [string],
    attributes: { mark: g.below(2), mincharnum: 1, pad_value: g.oneOf(['#', '#', '', 'a']), ...by },
  });
  if (g.chance(0.1)) return nodeOf('Identity', [tokens.name], [string]);
  return [
    counts(g, g.chance(0.4) ? g.add({ op: 'Flatten', inputs: [tokens.name], types: [string] }) : tokens),
  ];
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
  return (
    x && [
      op === 'CastLike'
        ? { op, inputs: [x.name, g.constant(to, [1])], types: [to] }
        : { op, inputs: [x.name], types: [to], attributes: { to } },
    ]
  );
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

const table: readonly [Maker, string][] = [
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
  [topK, 'TopK'],
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
        keepdims: g.below(2),
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
  [onAxis([float], () => ({ size: 3 })), 'LRN'],
  [pool, 'AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool'],
  [conv, 'Conv'],
  [concat, 'Concat ml.FeatureVectorizer'],
  [slice, 'Slice'],
  [transpose, 'Transpose'],
  [reshape, 'Reshape'],
  [multiply, 'MatMul Gemm'],
  [gather, 'Gather ml.ArrayFeatureExtractor'],
  [cast, 'Cast CastLike'],
  [constant, 'Constant ConstantOfShape'],
  [ofMatrix(() => ({ threshold: { f: 0.5 } })), 'ml.Binarizer'],
  [
    ofMatrix((g, width) => ({
      imputed_value_floats: floats(g, g.oneOf([1, width])),
      replaced_value_float: { f: 0.25 },
    })),
    'ml.Imputer',
  ],
  [ofMatrix((g) => ({ norm: g.oneOf(['L1', 'L2', 'MAX']) })), 'ml.Normalizer'],
  [
    ofMatrix((g, width) => {
      const count = g.oneOf([1, width]);
      return { offset: floats(g, count), scale: floats(g, count) };
    }),
    'ml.Scaler',
  ],
  [linear, 'ml.LinearClassifier ml.LinearRegressor'],
  [supportVectors, 'ml.SVMClassifier ml.SVMRegressor'],
  [trees, 'ml.TreeEnsembleClassifier ml.TreeEnsembleRegressor'],
  [newTrees, 'ml.TreeEnsemble'],
  [labelEncoder, 'ml.LabelEncoder'],
  [categories, 'ml.CategoryMapper ml.OneHotEncoder'],
  [texts, 'StringNormalizer ms.Tokenizer TfIdfVectorizer'],
];

const makers = new Map(
  table.flatMap(([maker, operators]) =>
    operators.split(/\s+/).map((operator): [string, Maker] => [operator, maker]),
  ),
);

/** The operators that came after opset 7. */
const since: Record<number, string> = {
  9: 'Acosh Asinh Atanh ConstantOfShape Cosh Erf IsNaN Shrink Sign Sinh TfIdfVectorizer Where NonZero',
  11: 'BitShift CumSum Mod Round StringNormalizer IsInf ml.CategoryMapper',
  13: 'Celu GreaterOrEqual LessOrEqual',
  17: 'HardSwish LayerNormalization Trilu CastLike',
  18: 'BitwiseAnd BitwiseNot BitwiseOr BitwiseXor GroupNormalization Mish',
  20: 'Gelu RegexFullMatch StringConcat',
  24: 'RMSNormalization Swish',
};

export function sinceOf(operator: string): number {
  const found = Object.entries(since).find(([, operators]) => operators.split(' ').includes(operator));
  return Number(found?.[0] ?? 7);
}

export const operatorNames = [...new Set([...rules.keys(), ...makers.keys()])];

export function makersFor(operator: string): Maker {
  const maker = makers.get(operator);
  if (!maker) throw new Error(`no nodes are made for ${operator}`);
  return maker;
}
