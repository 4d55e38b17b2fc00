import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readOnnx } from '../model/graph/onnx';
import { integerField, messageField } from '../model/graph/protobuf';
import { rowAxis } from '../model/independence/rules';
import { type Fact, followRows } from '../model/independence/walk';
import { provesRows } from '../model/observed';
import { modelPath, root } from './serve';

/** Why the first output of a model is not proved to have a row for each row; undefined where it is. */
function whyNotProved(path: string): string | undefined {
  const file = readOnnx(path);
  const { inputs, outputs, initializers } = file.graph;
  const constants = new Set(initializers.map(({ name }) => name));
  const given = inputs
    .filter(({ name }) => !constants.has(name))
    .map(({ name, dims = [] }) => ({ name, dims: dims.map((dim) => (dim < 0 ? 'open' : dim)) }));
  return why(followRows(file, given)(outputs[0].name));
}

function why(fact: Fact): string | undefined {
  if ('reason' in fact) return fact.isDataDependent ? `loose: ${fact.reason}` : fact.reason;
  return provesRows(fact) ? undefined : `rows on axis ${rowAxis(fact)}`;
}

const folderOf = (name: string) => join(root, 'tests', 'models', name);
const modelsIn = (folder: string, beginning = '') =>
  readdirSync(folder)
    .filter((name) => name.startsWith(beginning) && name.endsWith('.onnx'))
    .map((name) => [basename(name, '.onnx'), join(folder, name)]);

const traps = modelsIn(folderOf('independence'), 'trap-');

test('there are traps', () => expect(traps.length).toBeGreaterThanOrEqual(117));

test.each(traps)('%s is not proved: an operator is named', (_name, path) => {
  expect(whyNotProved(path)).toMatch(/^(loose: )?[\w.]+ in [\w/]+ \w+/);
});

/** Twins whose operators have no rule, and how each begins to say so. */
const unproved: Record<string, string> = {
  cdist: 'CDist',
  einsum_heads: 'Einsum',
  einsum_weights: 'Einsum',
  expand_constant: 'Shape',
  expand_like: 'Shape',
  function_axis: 'soft in y is not known',
  function_center: 'center in y is not known',
  gather_elements: 'GatherElements',
  gathernd_batch_dims: 'GatherND',
  grid: 'GridSample',
  group_attention_two_lengths: 'Shape',
  gru_state: 'GRU',
  heads_merged_in_batch: 'Shape',
  if_width: 'Shape',
  last_token: 'Shape',
  loop_over_time: 'Shape',
  lstm: 'LSTM',
  lstm_lengths: 'LSTM',
  mask_from_lengths: 'Shape',
  onehot: 'OneHot',
  pad_columns: 'Pad',
  position_of_flat: 'Shape',
  quantize_axis1: 'QuantizeLinear',
  range_t_embedding: 'Shape',
  reduce_axes_input_computed: 'Shape',
  resize: 'Resize',
  resize_sizes: 'Shape',
  scan_distances: 'Scan',
  scan_over_time: 'Scan',
  scatter_elements: 'ScatterElements',
  slice_to_n: 'Shape',
  table_up_to_t: 'Shape',
  tile_columns: 'Tile',
  tile_constant_by_n: 'Shape',
  topk: 'TopK',
  time_major_flatten_back: 'Reshape',
  trilu: 'Trilu',
  where_minus1_expand: 'Shape',
  width_in_arithmetic: 'Shape',
  zeros_of_batch: 'Shape',
  // Of these operators only some uses have a rule.
  flatten0_back: 'Flatten in a makes a fixed or unknown number of rows',
  turn_and_back: 'Softmax in b goes across rows',
  reduce_noop: 'ReduceSum in m is given no axes, and goes over all',
  reverse_columns: 'Slice in y leaves entries out',
  // Lengths behind a convolution or a pool are not followed.
  conv: 'Reshape in y makes a fixed or unknown number of rows',
  conv_odd: 'Reshape',
};

test.each(modelsIn(folderOf('independence'), 'fine-'))(
  '%s is proved where its operators have rules',
  (name, path) => {
    const reason = whyNotProved(path);
    const expected = unproved[name.replace('fine-', '')];
    if (expected) expect(reason?.startsWith(expected)).toBe(true);
    else expect(reason).toBeUndefined();
  },
);

test.each(modelsIn(folderOf('mixing')))(
  '%s is proved if its rows do not depend on each other, and its operators have rules',
  (name, path) => {
    const depends = readOnnx(path).metadata.get('depends') === 'yes';
    expect(whyNotProved(path) !== undefined).toBe(depends || name in unproved);
  },
);

// Graph, and why it is not proved; each where another kind of reason arises.
test.each([
  ['model', undefined],
  ['text', undefined],
  ['mixed', undefined],
  ['mlp-dynamic', undefined],
  ['zipmap-columns', undefined],
  ['cumsum0', 'CumSum in y goes across rows'],
  ['center', 'ReduceMean in mean goes across rows'],
  ['four-rows', 'Slice in y goes across rows'],
  ['random', 'RandomNormalLike in noise is not known to keep rows apart'],
  ['dynamic-quant', 'DynamicQuantizeLinear in quantized is not known to keep rows apart'],
  ['squeeze', 'Squeeze in y is given no axes, and goes over all'],
  ['similarity', 'MatMul in y goes across rows'],
  ['drops-rows', 'ReduceSum in count goes across rows'],
  ['one-each', 'loose: NonZero in nz gives as many entries as the values say'],
  ['tags', 'loose: StringSplit in tags gives as many entries as the values say'],
  ['time-first', 'rows on axis 1'],
  ['single', 'x has no first dimension that counts rows'],
  ['longest', 'Shape in shape is not known to keep rows apart'],
])('%s: %s', (name, reason) => {
  expect(whyNotProved(modelPath(name))).toBe(reason);
});

describe('graphs written for a test', () => {
  const folder = mkdtempSync(join(tmpdir(), 'independence-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  // onnx.proto: ModelProto.graph is 7, .opset_import 8 and .functions 25; GraphProto.node 1, .input 11 and .output 12;
  // NodeProto.input 1, .output 2, .op_type 4 and .attribute 5; AttributeProto.g 6; FunctionProto.name 1 and .node 7.
  const dims = messageField(2, messageField(1, messageField(2, 'N')), messageField(1, integerField(1, 4)));
  const info = (name: string) =>
    Buffer.concat([messageField(1, name), messageField(2, messageField(1, integerField(1, 1), dims))]);
  const node = (op: string, ...attributes: Buffer[]) =>
    messageField(1, messageField(1, 'x'), messageField(2, 'y'), messageField(4, op), ...attributes);
  const opset = (version: number, domain = '') =>
    messageField(8, messageField(1, domain), integerField(2, version));
  const graph = (...nodes: Buffer[]) =>
    messageField(7, ...nodes, messageField(11, info('x')), messageField(12, info('y')));
  const random = messageField(1, messageField(4, 'RandomNormalLike'));
  const within = (op: string, inner: Buffer) =>
    node(op, messageField(5, messageField(1, 'body'), messageField(6, inner)));

  test.each([
    ['a Relu', [opset(17), graph(node('Relu'))], undefined],
    ['a branch with a random operator', [opset(17), graph(within('If', random))], 'If'],
    ['the body of a Scan', [opset(17), graph(within('Scan', random))], 'Scan'],
    [
      'a function that is named as an operator',
      [
        opset(17),
        graph(node('Relu')),
        messageField(25, messageField(1, 'Relu'), messageField(7, messageField(4, 'CumSum'))),
      ],
      'Relu in y is not known',
    ],
    ['an opset that is too old', [opset(6), graph(node('Relu'))], 'Relu'],
    ['no opset', [graph(node('Relu'))], 'Relu'],
    ['two opsets', [opset(17), opset(11, 'ai.onnx'), graph(node('Relu'))], 'Relu'],
    [
      'two graphs, which are merged',
      [opset(17), graph(node('Relu')), graph(within('If', random))],
      'y in the graph is given twice',
    ],
    [
      'an operator of another domain',
      [opset(17), graph(node('Relu', messageField(7, 'com.example')))],
      'Relu',
    ],
  ])('%s', (what, parts, reason) => {
    const path = join(folder, `${what}.onnx`);
    writeFileSync(path, Buffer.concat([integerField(1, 8), ...parts]));
    const given = whyNotProved(path);
    if (reason) expect(given?.startsWith(reason)).toBe(true);
    else expect(given).toBeUndefined();
  });
});
