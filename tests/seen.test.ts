import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageField } from '../model/graph/protobuf';
import { loadModel } from '../model/model';
import { ask, serveOnce } from './ask';
import { closeModels, modelPath, serveModel } from './serve';

afterAll(closeModels);

/** Models whose runs give other shapes than their files declare: what a run gives decides. */
test.each<[model: string, body: unknown, reply: unknown]>([
  // [1,seqlen] that gives [20,1,…]: a single model's output without a batch dimension is given whole.
  ['ocr', { x: [1, 2] }, { prediction: Array(20).fill([[1, 2]]) }],
  ['ocr', { instances: [[1], [2], [3]] }, { predictions: [1, 2, 3].map((x) => Array(20).fill([[x]])) }],
  ['ocr', { inputs: [[1, 2]] }, { outputs: Array(20).fill([[1, 2]]) }],
  // Time first: instances run one by one, each with all of its output.
  ['time-first', { x: [[1, 2], [3, 4]] }, { prediction: [[[1, 2]], [[3, 4]]] }], // biome-ignore format: rows
  [
    'time-first',
    { instances: [[[1, 2], [3, 4]], [[5, 6], [7, 8]]] }, // biome-ignore format: rows
    { predictions: [[[[1, 2]], [[3, 4]]], [[[5, 6]], [[7, 8]]]] }, // biome-ignore format: rows
  ],
  [
    'time-first',
    { inputs: [[[1, 2], [3, 4]], [[5, 6], [7, 8]]] }, // biome-ignore format: rows
    { outputs: [[[1, 2], [5, 6]], [[3, 4], [7, 8]]] }, // biome-ignore format: rows
  ],
  // squeeze(): one row has lost its batch dimension, several have not.
  ['squeeze', [1, 2, 3, 4], { prediction: 10 }],
  ['squeeze', [[1, 2, 3, 4]], { predictions: [10] }],
  ['squeeze', { b64: 'AACAPwAAAEAAAEBAAACAQA==', shape: [1, 4] }, { predictions: [10] }],
  ['squeeze', { instances: [[1, 2, 3, 4], [0, 0, 0, 1]] }, { predictions: [10, 1] }], // biome-ignore format: rows
  ['squeeze', { inputs: [[1, 2, 3, 4]] }, { outputs: 10 }],
  ['squeeze', { inputs: [[1, 2, 3, 4], [0, 0, 0, 1]] }, { outputs: [10, 1] }], // biome-ignore format: rows
  // A list stays one whatever its length, and what is always one is bare.
  ['open-width', { x: [1] }, { prediction: [2] }],
  ['open-width', { x: [1, 2] }, { prediction: [2, 4] }],
  ['open-one', { x: [1, 2] }, { prediction: 3 }],
  ['open-one', { x: [5] }, { prediction: 5 }],
  ['as-many', { x: [0, 0, 0] }, { prediction: [0] }],
  ['as-many', { x: [2, 1, 0] }, { prediction: [3, 3, 3] }],
  ['label-of-one', { instances: [[1, 2], [4, 3]] }, { predictions: [1, 0] }], // biome-ignore format: rows
  // One batch under two names.
  ['unlike-names', { a: [1, 2], b: [3, 4] }, { prediction: [4, 6] }],
  ['unlike-names', { instances: [{ a: [1, 2], b: [3, 4] }, { a: [0, 0], b: [1, 1] }] }, { predictions: [[4, 6], [1, 1]] }], // biome-ignore format: rows
  ['unlike-names', { a: [[1, 2]], b: [[3, 4]] }, { predictions: [[4, 6]] }],
  // Bytes for the one, a list of bytes for the other.
  [
    'add',
    { feature1: { b64: 'AACAPw==', shape: [1, 1] }, feature2: [{ b64: 'AAAAQA==' }] },
    { predictions: [3] },
  ],
  // Rows of different lengths, of which one is a list of one in fact.
  ['open-one', { instances: [[1, 2], [5]] }, { predictions: [3, 5] }], // biome-ignore format: rows
  // Open under two names, and no batch.
  ['similarity', { q: [[1, 2]], d: [[1, 0], [0, 1]] }, { prediction: [[1, 2]] }], // biome-ignore format: rows
  ['named-predictions', { x: [4, 3] }, { prediction: 4, predictions: 0 }],
  ['named-predictions', { instances: [[4, 3]] }, { predictions: [4], predictions_output: [0] }],
  // As many boxes as are found, which are those of the image that they were found in; one is a list, too.
  ['one-each', { instances: [{ image: [[[0, 9], [0, 0]]] }, { image: [[[-5, 0], [0, 0]]] }] }, { predictions: [[[0, 0, 0, 0], [0, 0, 0, 1]], []] }], // biome-ignore format: rows
  ['one-each', { image: [[[5, 0], [0, 0]]] }, { prediction: [[0, 0, 0, 0]] }], // biome-ignore format: rows
  ['tags', { text: 'a' }, { prediction: [['a']] }],
  ['tags', { instances: ['a,b', 'c'] }, { predictions: [[['a', 'b']], [['c']]] }],
  // The model's own metadata name its columns and choose its outputs.
  ['own-metadata', { width: 2, height: 1 }, { prediction: 1, largest: 2 }],
  ['own-metadata', [[1, 2]], { predictions: [1], largest: [2] }],
  ['matrix', { a: 1, b: 2, c: 3, d: 4 }, { prediction: 2.5 }],
])('POST /predict to %s with %j is answered with %j', async (model, body, expected) => {
  const { status, body: reply } = await ask(model, body);
  expect(reply).toEqual(expected);
  expect(status).toBe(200);
});

test.each([
  ['unlike-names', 'batched', [['', 2]], ['a', 'b']],
  [
    'unlike-categories',
    'batched',
    [
      ['', 1, 2],
      ['B', 1],
    ],
    ['code', 'x'],
  ],
  ['similarity', 'unbatched', [['Q', 'D']], ['q', 'd']],
  ['span', 'unbatched', [['']], ['x']],
  ['label-of-one', 'batched', [['']], ['x']],
  ['batch-inside', 'batched', [['', 2]], ['x', 'weights']],
  ['open-one', 'batched', [['N', 1]], ['x']],
  ['open-width', 'batched', [['N', '']], ['x']],
  ['as-many', 'batched', [['N', '']], ['x']],
  ['ocr', 'single', [[20, 1, '']], ['x']],
])('%s is seen to be %s', async (name, kind, dims, inputs) => {
  const { signature } = (await serveModel(name)).model;
  expect(signature.kind).toBe(kind);
  expect(signature.inputs.map((input) => input.name)).toEqual(inputs);
  expect(signature.outputs.map((output) => output.dims.map((dim) => (dim === 'unk__13' ? '' : dim)))).toEqual(
    dims,
  );
});

test('An empty tensor for a whole model is a 400', async () => {
  const reply = await ask('matmul-open', { a: { b64: '', shape: [0, 2] }, b: [[1], [2]] }); // biome-ignore format: rows
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('a has a dimension of length 0');
});

test('An instance of a model without inputs is an object', async () => {
  const reply = await ask('no-inputs', '{"instances":[5]}');
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('instances[0] must be an object');
});

test('An empty row among others is named', async () => {
  const reply = await ask('open-width', { instances: [{ x: [1, 2] }, { x: [3] }, { x: [] }] });
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('instances[2].x has a dimension of length 0');
});

test('A body for an input without values is taken as the error shows it', async () => {
  const { error } = (await ask('empty-beside', {})).body;
  const [, body] = / Try (\{.*\})$/.exec(error) ?? [];
  expect((await ask('empty-beside', body)).body).toEqual({ prediction: [], z: 0 });
});

test.each<[string, string, object, number, object]>([
  ['instances whose rows are all there', '/predict', { instances: [[1], [2]] }, 200, { predictions: [1, 2] }],
  ['a row that is left out', '/predict', { x: [2000] }, 200, { prediction: [] }],
  ['an instance that is left out', '/predict', { instances: [[2000]] }, 200, { predictions: [[]] }],
  [
    'instances of which one is left out',
    '/predict',
    { instances: [[1], [2000]] },
    500,
    { error: 'the model failed' },
  ],
  ['a batch of which one is left out', '/predict', { x: [[1], [2000]] }, 500, { error: 'the model failed' }],
  ['whole tensors', '/predict', { inputs: [[1], [2000]] }, 200, { outputs: [[1]] }],
  [
    'the Open Inference Protocol',
    '/v2/models/drops-rows/infer',
    { inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 1], data: [1, 2000] }] },
    200,
    { outputs: [{ shape: [1, 1], data: [1] }] },
  ],
])(
  'A model that gives another number of rows than it was asked, for %s',
  async (_what, path, body, status, expected) => {
    const log = jest.spyOn(console, 'error').mockImplementation(() => {});
    const { post } = await serveOnce('drops-rows');
    const reply = await post(path, body);
    const logged = log.mock.calls.flat().join();
    log.mockRestore();
    expect(reply.body).toMatchObject(expected);
    expect(reply.status).toBe(status);
    // Nothing is cut: what it gave for how many is for the log.
    expect(logged).toMatch(status === 500 ? /the output y has the shape \[1,1\] for 2 rows/ : /^$/);
  },
);

test('OUTPUTS chooses the outputs and the prediction, and wins over the model’s own', async () => {
  expect((await ask('own-metadata', [1, 2], { OUTPUTS: 'largest' })).body).toEqual({ prediction: 2 });
  expect((await ask('two-outputs', [1, 2, 3], { OUTPUTS: 'total' })).body).toEqual({ prediction: 6 });
  expect((await ask('prediction-second', [1, 2], { OUTPUTS: 'score,prediction' })).body).toEqual({
    prediction: 2,
    prediction_output: 1,
  });
  await expect(serveModel('two-outputs', { OUTPUTS: 'total,sum' })).rejects.toThrow(
    /OUTPUTS names sum.*doubled, total/,
  );
});

test('FEATURES wins over the model’s own', async () => {
  expect((await ask('own-metadata', { a: 5, b: 1 }, { FEATURES: 'a,b' })).body).toMatchObject({
    prediction: 1,
  });
});

describe('names that are nearly an input’s', () => {
  test.each([
    [{ 'sepal length': 1, sepal_width: 3.5, 'petal-length': 1.4, petal_width: 0.2 }],
    [[{ 'sepal length': 1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 }]],
    [
      {
        dataframe_split: {
          columns: ['sepal length', 'sepal width', 'petal length', 'petal width'],
          data: [[5.1, 3.5, 1.4, 0.2]],
        },
      },
    ],
    [{ inputs: { 'sepal length': [5], sepal_width: [3.5], petal_length: [1.4], petal_width: [0.2] } }],
  ])('%j stand for them', async (body) => {
    expect((await ask('model', body)).status).toBe(200);
  });

  test('two that become the same are a 400', async () => {
    const body = {
      'sepal length': 1,
      sepal_length: 1,
      sepal_width: 3.5,
      petal_length: 1.4,
      petal_width: 0.2,
    };
    const { status, body: reply } = await ask('model', body);
    expect(status).toBe(400);
    expect(reply.error).toMatch(/^"sepal length" and "sepal_length" name the same input/);
  });

  test('features too', async () => {
    const reply = await ask('identity-float32', { 'a (cm)': 1, b: 2 }, { FEATURES: 'a__cm_,b' });
    expect(reply.body).toEqual({ prediction: [1, 2] });
  });
});

describe('what pandas makes', () => {
  test.each([
    [{ dataframe_records: [{ 0: [1, 2, 3, 4] }] }],
    [{ dataframe_split: { columns: ['0'], data: [[[1, 2, 3, 4]]] } }],
  ])('for an input that is named 0 is read by this name: %j', async (body) => {
    expect((await ask('named-0', body)).body).toEqual({ predictions: [[1, 2, 3, 4]] });
  });

  test.each([
    [{ dataframe_split: { columns: [0, 1], data: [[1, 2], [3, 4]] } }], // biome-ignore format: rows
    [{ dataframe_split: { columns: ['0', '1'], data: [[1, 2], [3, 4]], index: [0, 1] } }], // biome-ignore format: rows
    [{ dataframe_records: [{ 0: 1, 1: 2 }, { 0: 3, 1: 4 }] }], // biome-ignore format: rows
    // MLflow 3.17, convert_input_example_to_serving_input.
    [{ dataframe_split: { data: [[1, 2], [3, 4]] } }], // biome-ignore format: rows
  ])('without names of columns is read by position: %j', async (body) => {
    expect((await ask('identity-float32', body)).body).toEqual({ predictions: [[1, 2], [3, 4]] }); // biome-ignore format: rows
  });

  test.each([
    ['a row of one value', { dataframe_split: { data: [[[1, 2]]] } }],
    ['a row in a column', { dataframe_split: { columns: [0], data: [[[[1, 2]]]] } }],
    ['a record of one value', { dataframe_records: [{ 0: [1, 2] }] }],
  ])('where an instance is of shape [1,2], %s is itself or holds it', async (_what, body) => {
    const { body: expected } = await ask('lstm-seq', { instances: [[[1, 2]]] });
    expect((await ask('lstm-seq', body)).body).toEqual(expected);
  });

  test.each([
    ['to_json()', 'add', { feature1: { 0: 1, 1: 2 }, feature2: { 0: 1, 1: 2 } }, 'orient="records"'],
    ['to_json() for one input', 'identity-float32', { a: { 0: 1 }, b: { 0: 2 } }, 'orient="records"'],
    ['an object keyed by features', 'identity-float32', { a: 1, b: 2 }, 'set FEATURES'],
    ['rows keyed by features', 'identity-float32', [{ a: 1, b: 2 }], 'set FEATURES'],
    [
      'an unknown key beside the input',
      'identity-float32',
      { x: [1, 2], y: 1 },
      'unknown input "y" in the body. The',
    ],
  ])('%s is a 400 that says what helps', async (_what, model, body, words) => {
    const reply = await ask(model, body);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(words);
  });
});

test.each([
  ['a record with a value too many', { dataframe_records: [{ 0: 1, 1: 2 }, { 0: 3, 1: 4, 2: 5 }] }, 'dataframe_records[1]'], // biome-ignore format: rows
  [
    'a row with a value too few',
    { dataframe_split: { columns: [0, 1], data: [[3]] } },
    'dataframe_split.data[0]',
  ],
  ['a row of another length', { dataframe_split: { data: [[1, 2], [3]] } }, 'dataframe_split.data[1]'],
])(
  'a frame without names of columns and with %s is a 400 that names the place',
  async (_what, body, place) => {
    const reply = await ask('identity-float32', body);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain(place);
  },
);

test('a frame without names of columns for a model of several inputs, or with FEATURES, is a 400', async () => {
  const frame = { dataframe_split: { data: [[1, 2]] } };
  for (const reply of [await ask('add', frame), await ask('identity-float32', frame, { FEATURES: 'a,b' })]) {
    expect(reply.status).toBe(400);
    expect(reply.body.error).toContain('dataframe_split.columns must be an array of names');
  }
});

test('a frame for a model without inputs counts its rows', async () => {
  const { body } = await ask('no-inputs', { dataframe_split: { columns: [], data: [[], []] } });
  expect(body.predictions).toHaveLength(2);
});

describe('answers are bounded', () => {
  const ids = (rows: number, length: number) => ({ inputs: Array(rows).fill(Array(length).fill(1)) });

  test('one that would be larger than 256 MB is a 400 before it is computed', async () => {
    const { status, body } = await ask('embedding', ids(1, 100_000));
    expect(status).toBe(400);
    expect(body.error).toMatch(/larger than 256 MB/);
  });

  test('so is one of many runs, before the first of them', async () => {
    const instances = Array.from({ length: 4 }, (_, i) => Array(30_000 + i).fill(1));
    const { status, body } = await ask('embedding', { instances });
    expect(status).toBe(400);
    expect(body.error).toMatch(/larger than 256 MB/);
    const model = await loadModel(modelPath('embedding'));
    let runs = 0;
    model.status.watchers.push(() => runs++);
    const [{ name }] = model.signature.inputs;
    await expect(model.predict({ [name]: instances })).rejects.toThrow('256 MB');
    expect({ runs, bytes: model.status.bytes }).toEqual({ runs: 0, bytes: 0 });
    await model.close();
  });

  test('one output cannot be asked for often', async () => {
    const { post } = await serveModel('add');
    const tensor = (name: string) => ({ name, datatype: 'FP32', shape: [1, 1], data: [1] });
    const outputs = Array(20_000).fill({ name: 'sum' });
    const reply = await post('/v2/models/add/infer', {
      inputs: [tensor('feature1'), tensor('feature2')],
      outputs,
    });
    expect(reply.status).toBe(400);
    expect(reply.body.error).toMatch(/^outputs\[1\].name must be one of .*, each once/);
  });
});

test.each([
  ['features', 'a,b', undefined],
  ['features', '["a", "b"]', undefined],
  ['features', 'a,"age_(20, 30]"', undefined],
  ['features', ' ', undefined],
  ['outputs', '', undefined],
  // What is somebody else's.
  [
    'features',
    'a,b,c',
    /^features in the metadata are not used: the list names 3 columns, but the input x has 2/,
  ],
  ['features', 'a,a', /^features in the metadata are not used: the list names a twice/],
  ['features', 'a,inputs', /^features in the metadata are not used: the list holds inputs, .* a wrapper/],
  ['features', '2', /^features in the metadata are not used/],
  ['features', '{"a": 1, "b": 2}', /^features in the metadata are not used/],
  ['outputs', '{"a": 1}', /^outputs in the metadata are not used: the list names no output/],
  [
    'outputs',
    'z',
    /^outputs in the metadata are not used: the list names z, which .* does not give: it gives y/,
  ],
])(
  "A model whose metadata's %s are %p is served, with a note where they do not fit",
  async (key, value, note) => {
    const folder = mkdtempSync(join(tmpdir(), 'metadata-'));
    const path = join(folder, 'model.onnx');
    // Protobuf merges what is appended.
    const entry = messageField(14, messageField(1, key), messageField(2, value));
    writeFileSync(path, Buffer.concat([readFileSync(modelPath('identity-float32')), entry]));
    const model = await loadModel(path);
    expect(model.notes.filter((line) => line.includes('metadata'))).toEqual(
      note ? [expect.stringMatching(note)] : [],
    );
    await model.close();
    rmSync(folder, { recursive: true });
  },
);

test('A model of many open lengths is not tried with more values than memory holds', async () => {
  const { model } = await serveModel('five-open');
  expect(model.notes).not.toContainEqual(expect.stringMatching(/no made-up input fits/));
  expect((await ask('five-open', { x: [[[[[1]]]]] })).body.prediction).toHaveLength(5);
});
