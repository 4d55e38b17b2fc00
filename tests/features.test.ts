import request from 'supertest';
import { createApp } from '../app';
import type { Model } from '../model/model';
import { ask, b64 } from './ask';
import { near } from './near';
import { closeModels, modelPath, openModel, serveModel } from './serve';

afterAll(closeModels);

const ab = { FEATURES: 'a,b' };

/** The model gives its [N,2] input back, so its rows show which value went into which column. */
test.each([
  ['an object', '{"a":1,"b":2}', '{"prediction":[1,2]}'],
  ['an object in another order', '{"b":2,"a":1}', '{"prediction":[1,2]}'],
  ['an array of objects', '[{"a":1,"b":2},{"b":4,"a":3}]', '{"predictions":[[1,2],[3,4]]}'],
  ['instances', '{"instances":[{"b":2,"a":1}]}', '{"predictions":[[1,2]]}'],
  [
    'instances, some of them vectors',
    '{"instances":[{"b":2,"a":1},[3,4],{"x":[5,6]}]}',
    '{"predictions":[[1,2],[3,4],[5,6]]}',
  ],
  ['dataframe_records', '{"dataframe_records":[{"b":2,"a":1}]}', '{"predictions":[[1,2]]}'],
  [
    'dataframe_split',
    '{"dataframe_split":{"columns":["b","a"],"data":[[2,1],[4,3]]}}',
    '{"predictions":[[1,2],[3,4]]}',
  ],
  ['columns in inputs', '{"inputs":{"b":[2,4],"a":[1,3]}}', '{"outputs":[[1,2],[3,4]]}'],
  ['upright columns in inputs', '{"inputs":{"b":[[2],[4]],"a":[[1],[3]]}}', '{"outputs":[[1,2],[3,4]]}'],
  [
    'columns of bytes in inputs',
    '{"inputs":{"b":{"b64":"AAAAQAAAgEA="},"a":[1,3]}}',
    '{"outputs":[[1,2],[3,4]]}',
  ],
  ['a missing value', '{"a":null,"b":"Infinity"}', '{"prediction":[null,"Infinity"]}'],
  ['a vector', '[1,2]', '{"prediction":[1,2]}'],
  ['vectors', '[[1,2],[3,4]]', '{"predictions":[[1,2],[3,4]]}'],
  ["the input's own name", '{"x":[1,2]}', '{"prediction":[1,2]}'],
  ["the input's own name in inputs", '{"inputs":{"x":[[1,2]]}}', '{"outputs":[[1,2]]}'],
  ['bytes', '{"b64":"AACAPwAAAEA="}', '{"prediction":[1,2]}'],
])('POST /predict with FEATURES takes %s', async (_what, body, expected) => {
  const reply = await ask('identity-float32', body, ab);
  expect(reply.body).toEqual(JSON.parse(expected));
  expect(reply.status).toBe(200);
});

test.each([
  ['dataframe_split', '{"dataframe_split":{"columns":[0],"data":[[5],[6]]}}'],
  ['dataframe_split without columns', '{"dataframe_split":{"data":[[5],[6]]}}'],
  ['dataframe_records', '{"dataframe_records":[{"0":5},{"0":6}]}'],
])('POST /predict with %s of one unnamed column to a model of single values', async (_what, body) => {
  const reply = await ask('half_plus_two', body);
  expect(reply.body).toEqual({ predictions: [4.5, 5] });
});

test.each([
  ['a missing feature', '{"a":1}', '"b"', 'missing'],
  ['an unknown feature', '{"a":1,"b":2,"c":3}', '"c"', 'unknown'],
  ['a feature in other letters', '{"A":1,"b":2}', '"A"'],
  ['nothing', '{}', '"a"', 'missing'],
  ["a feature beside the input's own name", '{"a":1,"b":2,"x":[1,2]}', 'unknown input "a"'],
  [
    "a feature beside the input's own name in inputs",
    '{"inputs":{"b":[2],"x":[[1,2]]}}',
    'unknown input "b"',
  ],
  ["an unknown name beside the input's own", '{"x":[1,2],"z":1}', '"z"', 'unknown'],
  ['columns outside inputs', '{"a":[1,2],"b":[3,4]}', 'a must be one value, not an array', '{"inputs": …}'],
  ['a list for the first feature', '{"a":[1],"b":2}', 'a must be one value, not an array'],
  [
    'a list for a feature of an instance',
    '{"instances":[[1,2],{"a":[1],"b":2}]}',
    'instances[1].a must be one value',
  ],
  ['lists in a column', '{"inputs":{"a":[[1,2]],"b":[1]}}', 'a must be an array of shape [N,1], not [1,2]'],
  ["text under the input's own name", '{"x":[1,"q"]}', 'x[1] must be'],
  [
    "text under the input's own name in instances",
    '{"instances":[{"a":1,"b":2},{"x":[1,"q"]}]}',
    'instances[1].x[1] must be',
  ],
  ['a vector behind rows', '[{"a":1,"b":2},[1,2,3]]', '[1] must be an array of shape [2], not [3]'],
  ['text for a feature', '{"a":1,"b":"2"}', 'b must'],
  ['text for a feature of an instance', '{"instances":[{"a":1,"b":2},{"a":"x","b":2}]}', 'instances[1].a'],
  ['a missing feature in an array', '[{"a":1,"b":2},{"a":1}]', '[1]', '"b"'],
  [
    'a missing feature in dataframe_records',
    '{"dataframe_records":[{"a":1}]}',
    'dataframe_records[0]',
    '"b"',
  ],
  ['an unknown column', '{"dataframe_split":{"columns":["a","c"],"data":[]}}', '"c"'],
  ['a column twice', '{"dataframe_split":{"columns":["a","b","b"],"data":[]}}', '"b" and "b" name the same'],
  ['a row of another length', '{"dataframe_split":{"columns":["a","b"],"data":[[1,2],[3]]}}', 'data[1]', '2'],
  ['columns of different lengths', '{"inputs":{"a":[1],"b":[1,2]}}', 'b has 2', 'a has 1'],
  ['a missing column', '{"inputs":{"a":[1]}}', '"b"'],
  ['text in a column', '{"inputs":{"a":[1,"x"],"b":[1,2]}}', 'a[1]'],
  ['a vector of another length', '[1,2,3]', '[2]', '[3]'],
])('POST /predict with FEATURES and %s is a 400 that says so', async (_what, body, ...words) => {
  const reply = await ask('identity-float32', body, ab);
  expect(reply.status).toBe(400);
  for (const word of words) expect(reply.body.error).toContain(word);
  expect(reply.body.error).toMatch(/The model takes x: float32\[N,2\] \(a, b\)\. Try \{"a":0,"b":0\}$/);
});

test('POST /predict with FEATURES answers as scikit-learn does', async () => {
  // Row 70 of the Iris data, from sklearn.json.
  const flower = { petal_width: 1.8, petal_length: 4.8, sepal_width: 3.2, sepal_length: 5.9 };
  const reply = await ask('logreg', flower, {
    FEATURES: 'sepal_length, sepal_width, petal_length, petal_width',
  });
  const expected = {
    prediction: 'virginica',
    output_probability: { setosa: 0.00230946, versicolor: 0.44005881, virginica: 0.55763173 },
  };
  expect(near(reply.body, expected)).toEqual(expected);
});

test('POST /predict with many FEATURES is told of some where it fails', async () => {
  const reply = await ask('open-width', '{}', { FEATURES: Array.from('abcdefgh').join() });
  expect(reply.body.error).toContain('(a, b, c, d, e, f, and 2 more). Try {');
});

// Every key of a row was looked for among all, which took half a minute.
test('POST /predict with 20,000 FEATURES and 10 rows keyed by them is answered', async () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `f${i}`);
  const row = JSON.stringify(Object.fromEntries(names.map((name) => [name, 1])));
  const body = `{"instances":[${Array(10).fill(row)}]}`;
  const reply = await ask('open-width', body, { FEATURES: names.join() });
  expect(reply.status).toBe(200);
  expect(reply.body.predictions).toHaveLength(10);
}, 10_000);

test('POST /predict with FEATURES named as other servers name their keys takes them', async () => {
  const reply = await ask('identity-float32', { id: 1, b64: 2 }, { FEATURES: 'id,b64' });
  expect(reply.body).toEqual({ prediction: [1, 2] });
});

test('POST /predict with FEATURES named as bytes are takes texts, not bytes', async () => {
  const reply = await ask('identity-string', { b64: 'YQ==', shape: 'é' }, { FEATURES: 'b64,shape' });
  expect(reply.body).toEqual({ prediction: ['YQ==', 'é'] });
});

test('POST /predict with FEATURES for texts takes objects of texts', async () => {
  const reply = await ask(
    'identity-string',
    [
      { b: 'y', a: 'x' },
      { a: b64('é'), b: '' },
    ],
    ab,
  );
  expect(reply.body).toEqual({
    predictions: [
      ['x', 'y'],
      ['é', ''],
    ],
  });
});

test.each<[string, unknown, unknown]>([
  ['bare', { 'sepal length (cm)': 5 }, { prediction: 10 }],
  ['instances', { instances: [{ 'sepal length (cm)': 5 }] }, { predictions: [10] }],
  ['dataframe_records', { dataframe_records: [{ 'sepal length (cm)': 5 }] }, { predictions: [10] }],
  [
    'dataframe_split',
    { dataframe_split: { columns: ['sepal length (cm)'], data: [[5]] } },
    { predictions: [10] },
  ],
  ['inputs', { inputs: { 'sepal length (cm)': [5] } }, { outputs: [[10]] }],
])('POST /predict, %s, by the name that a column had before skl2onnx', async (_what, body, reply) => {
  expect((await ask('renamed', body)).body).toEqual(reply);
});

test.each<[string, string]>([
  ['müde__h_', 'müde (h)'],
  ['Größe__m_', 'Größe (m)'],
  ['a+b_c', 'a+b c'],
  ['_2nd_col', '2nd col'],
  ['x_', 'x😀'],
  ['_2', '2'],
])('POST /predict with FEATURES=%s,b knows %j, of which skl2onnx has made it', async (feature, name) => {
  const body = {
    instances: [
      { [name]: 1, b: 2 },
      { b: 4, [feature]: 3 },
    ],
  };
  const reply = await ask('identity-float32', body, { FEATURES: `${feature},b` });
  expect(reply.body).toEqual({ predictions: [[1, 2], [3, 4]] }); // biome-ignore format: rows
});

test('POST /predict with a name that becomes one feature is not mistaken for another', async () => {
  const reply = await ask('identity-float32', { 'a b': 1, 'a+b': 2 }, { FEATURES: 'a_b,a+b' });
  expect(reply.body).toEqual({ prediction: [1, 2] });
});

test.each([
  ['two rows', '{"inputs":{"a":[1,4],"b":[2,5],"c":[3,6]}}', 'a must be an array of shape [1,1], not [2]'],
  ['none', '{"inputs":{"a":[],"b":[],"c":[]}}', 'a must be an array of shape [1,1], not [0]'],
])(
  'POST /predict with columns of %s for a model of one is a 400 that names the first',
  async (_what, body, words) => {
    const reply = await ask('single', body, { FEATURES: 'a,b,c' });
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(words);
  },
);

test.each<[string, string, object, string]>([
  ['another word in the same letters', '年龄,收入', { 年龄: 30, 身高: 170 }, 'unknown input "身高"'],
  ['another word of as many letters', 'größe,alter', { grüße: 30, alter: 170 }, 'unknown input "grüße"'],
  ['another sign', 'weight %,weight #', { 'weight %': 1, 'weight $': 2 }, 'unknown input "weight $"'],
  ['what two features may be', 'a b,a-b', { a_b: 1, 'a-b': 2 }, 'unknown input "a_b"'],
  ['two spellings of one feature', 'é_b,á_b', { 'é b': 1, é_b: 2 }, '"é b" and "é_b" name the same input'],
])('POST /predict with %s is a 400, for FEATURES=%s', async (_what, FEATURES, body, named) => {
  const reply = await ask('identity-float32', body, { FEATURES });
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain(named);
});

test.each<[string, unknown]>([
  ['dataframe_split', { dataframe_split: { columns: ['x'], data: [[[1, 2]]] } }],
  ['dataframe_records', { dataframe_records: [{ x: [1, 2] }] }],
])("POST /predict with FEATURES and %s by the input's own name takes its vectors", async (_what, body) => {
  expect((await ask('identity-float32', body, ab)).body).toEqual({ predictions: [[1, 2]] });
});

test.each<[string, unknown]>([
  ['dataframe_split', { dataframe_split: { columns: ['a', 'b'], data: [[1, 2]] } }],
  ['dataframe_records', { dataframe_records: [{ a: 1, b: 2 }] }],
])('POST /predict with %s for a model without FEATURES is a 400 that says to set it', async (_what, body) => {
  const reply = await ask('identity-float32', body);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('FEATURES');
});

test.each([
  ['too few names', 'identity-float32', 'a', ['1', '2']],
  ['too many names', 'identity-float32', 'a,b,c', ['3', '2']],
  ['a name twice', 'identity-float32', 'a,a', ['a', 'twice']],
  ['an empty name', 'identity-float32', 'a,,b', ['empty']],
  ["the input's own name", 'identity-float32', 'x,b', ['x']],
  ["a wrapper's name", 'identity-float32', 'a,instances', ['instances', 'wrapper']],
  ['a model of several inputs', 'model', 'a,b,c,d', ['4 inputs']],
  ['a model of rank 1', 'half_plus_two', 'a', ['[N,k]', 'x: [']],
  ['a model of rank 3', 'trailing', 'a,b,c', ['[N,k]', 'x: [']],
])('FEATURES with %s stops the boot and says why', async (_what, model, features, words) => {
  const message = await serveModel(model, { FEATURES: features }).then(
    () => 'it boots',
    (error: Error) => error.message,
  );
  for (const word of ['FEATURES', ...words]) expect(message).toContain(word);
});

test.each<[string, unknown, unknown]>([
  ['bare', { 'float input': [1, 2] }, { prediction: [1, 2] }],
  ['instances', { instances: [{ 'float input': [1, 2] }] }, { predictions: [[1, 2]] }],
  ['a list', [{ 'float input': [1, 2] }, { a: 3, b: 4 }], { predictions: [[1, 2], [3, 4]] }], // biome-ignore format: rows
  ['inputs', { inputs: { 'float input': [[1, 2]] } }, { outputs: [[1, 2]] }],
])(
  "POST /predict with FEATURES, %s, takes the input's own name as it was before",
  async (_what, body, reply) => {
    const model = await openModel(modelPath('identity-float32'), ab);
    const [x] = model.signature.inputs;
    const renamed: Model = {
      ...model,
      signature: { ...model.signature, inputs: [{ ...x, name: 'float_input' }] },
      predict: ({ float_input }, signal) => model.predict({ x: float_input }, signal),
    };
    const app = createApp(renamed, { logFormat: 'off' });
    expect(
      (
        await request(app)
          .post('/predict')
          .send(body as object)
      ).body,
    ).toEqual(reply);
  },
);
