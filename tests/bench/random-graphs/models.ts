import type { MadeValue, RandomGraph } from './graph';
import {
  float,
  floats,
  int64,
  lengthsOf,
  type Maker,
  matrix,
  nodeOf,
  rank,
  several,
  string,
  uint8,
} from './maker';
import type { Attribute, MadeNode } from './written';

// Nodes of ai.onnx.ml, and of texts.

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
  const labels = count === 1 ? 2 : g.chance(0.9) ? count : count + 2;
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

export const makersOfModels: readonly [Maker, string][] = [
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
