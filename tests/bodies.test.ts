import { gzipSync } from 'node:zlib';
import express from 'express';
import request from 'supertest';
import { ask, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

/** Numbers as little-endian bytes in base64. */
function f32(...numbers: number[]): string {
  return Buffer.from(new Float32Array(numbers).buffer).toString('base64');
}

/** Bodies of each form and rank, and their replies, by model; models/hand_models.py says what each computes. */
const answered: Record<string, [body: string, reply: string][]> = {
  // Batched, [N,2]: gives its input back.
  'identity-float32': [
    ['[1,2]', '{"prediction":[1,2]}'],
    ['{"x":[1,2]}', '{"prediction":[1,2]}'],
    ['[[1,2],[3,4]]', '{"predictions":[[1,2],[3,4]]}'],
    ['{"x":[[1,2],[3,4]]}', '{"predictions":[[1,2],[3,4]]}'],
    ['[[1,2]]', '{"predictions":[[1,2]]}'],
    ['[]', '{"predictions":[]}'],
    ['{"x":[]}', '{"predictions":[]}'],
    ['{"instances":[[1,2],[3,4]]}', '{"predictions":[[1,2],[3,4]]}'],
    [
      `{"instances":[[1,2],{"x":[3,4]},{"b64":"${f32(5, 6)}","shape":[2]},{"x":{"b64":"${f32(7, 8)}"}}]}`,
      '{"predictions":[[1,2],[3,4],[5,6],[7,8]]}',
    ],
    ['[{"x":[1,2]},{"x":[3,4]}]', '{"predictions":[[1,2],[3,4]]}'],
    ['{"dataframe_records":[{"x":[1,2]}]}', '{"predictions":[[1,2]]}'],
    ['{"dataframe_split":{"columns":["x"],"data":[[[1,2]]]}}', '{"predictions":[[1,2]]}'],
    ['{"inputs":[[1,2],[3,4]]}', '{"outputs":[[1,2],[3,4]]}'],
    ['{"inputs":{"x":[[1,2],[3,4]]}}', '{"outputs":[[1,2],[3,4]]}'],
    ['{"inputs":{"x":[]}}', '{"outputs":[]}'],
    [`{"b64":"${f32(1, 2)}","shape":[2]}`, '{"prediction":[1,2]}'],
    [`{"b64":"${f32(1, 2, 3, 4)}","shape":[2,2]}`, '{"predictions":[[1,2],[3,4]]}'],
    [`{"b64":"${f32(1, 2)}"}`, '{"prediction":[1,2]}'],
    [`{"x":{"b64":"${f32(1, 2)}"}}`, '{"prediction":[1,2]}'],
    [`{"inputs":{"b64":"${f32(1, 2, 3, 4)}","shape":[2,2]}}`, '{"outputs":[[1,2],[3,4]]}'],
    [`{"b64":"${f32()}","shape":[0,2]}`, '{"predictions":[]}'],
    [`[{"b64":"${f32(1, 2)}","shape":[2]},{"b64":"${f32(3, 4)}"}]`, '{"predictions":[[1,2],[3,4]]}'],
    [`{"x":[{"b64":"${f32(1, 2)}"},{"b64":"${f32(3, 4)}"}]}`, '{"predictions":[[1,2],[3,4]]}'],
    [
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}',
      '{"model_name":"identity-float32","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[1,2]}]}',
    ],
  ],
  // Batched, [N,1].
  log: [
    ['1', '{"prediction":0}'],
    ['[1]', '{"prediction":0}'],
    ['[[1],[1]]', '{"predictions":[0,0]}'],
    ['{"instances":[1,[1],{"x":1},{"x":[1]}]}', '{"predictions":[0,0,0,0]}'],
    ['{"inputs":[1,1]}', '{"outputs":[[0],[0]]}'],
    ['null', '{"prediction":null}'],
  ],
  column: [
    ['"some text"', '{"prediction":"some text"}'],
    ['"x"', '{"prediction":"x"}'],
    ['""', '{"prediction":""}'],
    ['[["a"],["b"]]', '{"predictions":["a","b"]}'],
    ['{"inputs":["a","b"]}', '{"outputs":[["a"],["b"]]}'],
    ['{"instances":["a","b"]}', '{"predictions":["a","b"]}'],
    ['{"b64":"w6nwn5iK"}', '{"prediction":"é😊"}'],
    ['{"instances":[{"b64":"YQ=="},{"x":{"b64":"Yg=="}}]}', '{"predictions":["a","b"]}'],
    ['[[{"b64":"YQ=="}],["b"]]', '{"predictions":["a","b"]}'],
    ['{"inputs":[{"b64":"YQ=="},"b"]}', '{"outputs":[["a"],["b"]]}'],
  ],
  // Batched, [N], [N,3,1], [batch,seq], [N,0], and several inputs.
  half_plus_two: [
    ['2', '{"prediction":3}'],
    ['[1,2]', '{"predictions":[2.5,3]}'],
    ['{"instances":[1,2,5]}', '{"predictions":[2.5,3,4.5]}'],
  ],
  trailing: [
    ['[1,2,3]', '{"prediction":[[1],[2],[3]]}'],
    ['[[1],[2],[3]]', '{"prediction":[[1],[2],[3]]}'],
    ['[[[1],[2],[3]]]', '{"predictions":[[[1],[2],[3]]]}'],
  ],
  add: [
    ['{"feature1":1,"feature2":[3]}', '{"prediction":4}'],
    ['{"feature1":[[1],[2.5]],"feature2":[[3],[-4]]}', '{"predictions":[4,-1.5]}'],
    ['{"feature1":[],"feature2":[]}', '{"predictions":[]}'],
    ['[]', '{"predictions":[]}'],
    // Whole tensors go to the run as they are.
    ['{"inputs":{"feature1":[1,2],"feature2":[3]}}', '{"outputs":[[4],[5]]}'],
  ],
  unnamed: [['{"feature1":[[1],[2.5]],"feature2":[[3],[-4]]}', '{"predictions":[4,-1.5]}']],
  ids: [
    ['{"input_ids":[1,2,0],"attention_mask":[1,1,0]}', '{"prediction":[3,4]}'],
    ['{"input_ids":[[1,3],[2,2]],"attention_mask":[[1,1],[1,1]]}', '{"predictions":[[4,5],[4,5]]}'],
    [
      '{"instances":[{"input_ids":[1,3],"attention_mask":[1,1]},{"input_ids":[5],"attention_mask":[1]}]}',
      '{"predictions":[[4,5],[10,11]]}',
    ],
  ],
  'zero-width': [['{"instances":[[],[]]}', '{"predictions":[[],[]]}']],
  // Several outputs, some without a batch dimension.
  'two-outputs': [
    ['[1,2,3]', '{"prediction":[2,4,6],"total":6}'],
    ['[[1,2,3],[4,5,6]]', '{"predictions":[[2,4,6],[8,10,12]],"total":[6,15]}'],
    ['{"inputs":[[1,2,3]]}', '{"outputs":{"doubled":[[2,4,6]],"total":[[6]]}}'],
  ],
  'prediction-second': [['[[1,2],[4,3]]', '{"predictions":[1,0],"score":[2,4]}']],
  'no-batch-output': [
    ['{"inputs":[[1,2,3],[3,4,8]]}', '{"outputs":{"rows":[[1,2,3],[3,4,8]],"mean":[2,3,5.5]}}'],
    ['{"instances":[[1,2,3],[3,4,8]]}', '{"predictions":[[1,2,3],[3,4,8]],"mean":[[1,2,3],[3,4,8]]}'],
  ],
  'unnamed-outputs': [
    ['{"instances":[[1,2,3],[3,4,8]]}', '{"predictions":[[1,2,3],[3,4,8]],"mean":[[1,2,3],[3,4,8]]}'],
  ],
  twice: [['{"instances":[[1,2],[3,4]]}', '{"predictions":[[[1,2],[1,2]],[[3,4],[3,4]]]}']],
  'zipmap-only': [
    ['[1,2,3]', '{"prediction":{"10":1,"-20":2,"30":3}}'],
    ['{"instances":[[1,2,3],[0,1,0]]}', '{"predictions":[{"10":1,"-20":2,"30":3},{"10":0,"-20":1,"30":0}]}'],
    ['{"inputs":[[1,2,3]]}', '{"outputs":[{"10":1,"-20":2,"30":3}]}'],
    ['{"inputs":{"x":[]}}', '{"outputs":[]}'],
  ],
  'zipmap-one': [
    ['{"instances":[[2],[3]]}', '{"predictions":[{"7":2},{"7":3}]}'],
    ['2', '{"prediction":{"7":2}}'],
  ],
  'zipmap-hand': [
    ['[]', '{"predictions":[]}'],
    ['{"inputs":{"x":[]}}', '{"outputs":{"label":[],"probabilities":[]}}'],
  ],
  // Rows that depend on each other run together.
  cumsum0: [['{"instances":[[1,2],[3,4],[5,6]]}', '{"predictions":[[1,2],[4,6],[9,12]]}']],
  center: [['[[1,2],[3,8]]', '{"predictions":[[-1,-3],[1,3]]}']],
  // A wrapper's name wins over an input's.
  'wrapper-name': [
    ['{"inputs":{"inputs":[[1,2]]}}', '{"outputs":[[2,4]]}'],
    ['{"instances":[{"inputs":[1,2]}]}', '{"predictions":[[2,4]]}'],
    ['{"inputs":[[1,2]]}', '{"outputs":[[2,4]]}'],
  ],
  // Single, [1,3]: doubles its input.
  single: [
    ['[1,2,3]', '{"prediction":[2,4,6]}'],
    ['[[1,2,3]]', '{"prediction":[2,4,6]}'],
    ['{"x":[1,2,3]}', '{"prediction":[2,4,6]}'],
    [
      `{"instances":[[1,2,3],[[4,5,6]],{"x":[7,8,9]},{"b64":"${f32(0, 0, 1)}","shape":[1,3]}]}`,
      '{"predictions":[[2,4,6],[8,10,12],[14,16,18],[0,0,2]]}',
    ],
    [`{"b64":"${f32(1, 2, 3)}","shape":[1,3]}`, '{"prediction":[2,4,6]}'],
    [`{"b64":"${f32(1, 2, 3)}","shape":[3]}`, '{"prediction":[2,4,6]}'],
    [`{"b64":"${f32(1, 2, 3)}"}`, '{"prediction":[2,4,6]}'],
    ['{"inputs":[[1,2,3]]}', '{"outputs":[[2,4,6]]}'],
    ['{"instances":[]}', '{"predictions":[]}'],
  ],
  // Whole.
  whole: [
    ['{"a":[[1,2,3],[4,5,6]],"b":[[1,0],[0,1],[2,2]]}', '{"prediction":[[7,8],[16,17]]}'],
    ['{"inputs":{"a":[[1,2,3],[4,5,6]],"b":[[1,0],[0,1],[2,2]]}}', '{"outputs":[[7,8],[16,17]]}'],
  ],
  'matmul-open': [
    [
      '{"instances":[{"a":[[1,2]],"b":[[3],[4]]},{"a":[[2]],"b":[[3,4]]}]}',
      '{"predictions":[[[11]],[[6,8]]]}',
    ],
    [`{"a":{"b64":"${f32(1, 2)}","shape":[1,2]},"b":[[3],[4]]}`, '{"prediction":[[11]]}'],
  ],
  scalar: [
    ['1.5', '{"prediction":3}'],
    ['{"inputs":{"x":1.5}}', '{"outputs":3}'],
    ['{"instances":[1,{"x":2}]}', '{"predictions":[2,4]}'],
  ],
  'unknown-rank': [
    ['1.5', '{"prediction":3}'],
    ['[[1,2],[3,4]]', '{"prediction":[[2,4],[6,8]]}'],
    ['{"instances":[1,[1,2],[[3]]]}', '{"predictions":[2,[2,4],[[6]]]}'],
    ['{"inputs":[1,2]}', '{"outputs":[2,4]}'],
    [`{"b64":"${f32(1, 2)}","shape":[2,1]}`, '{"prediction":[[2],[4]]}'],
  ],
  'no-inputs': [
    ['{}', '{"prediction":[1,2]}'],
    ['{"instances":[{},{}]}', '{"predictions":[[1,2],[1,2]]}'],
  ],
  'default-input': [['{"x":4}', '{"prediction":8}']],
};

test.each(Object.entries(answered).flatMap(([model, rows]) => rows.map((row) => [model, ...row] as const)))(
  'POST /predict to %s with %s is answered with %s',
  async (model, body, expected) => {
    const reply = await ask(model, body);
    expect(reply.body).toEqual(JSON.parse(expected));
    expect(reply.status).toBe(200);
  },
);

/** Bodies of no form, or of another rank, with the words that the message is to hold. */
const refused: Record<string, [body: string, ...words: string[]][]> = {
  log: [
    ['{"instances":[1],"inputs":[1]}', 'instances', 'inputs', 'both'],
    ['{"instances":[1],"x":1}', '"x"', 'instances'],
    ['{"inputs":[1],"extra":1}', '"extra"', 'inputs'],
    ['{"x":1,"id":"7"}', '"id"'],
    ['{}', 'missing', '"x"'],
    ['{"instances":{"x":1}}', 'instances', 'array'],
    ['{"instances":null}', 'instances', 'array'],
    ['[1,2]', 'x must', '[1]', '[2]', '[[0],[0]]'],
    ['{"inputs":1}', 'x must', '[N,1]'],
  ],
  add: [
    ['{"dataframe_records":[],"dataframe_split":{}}', 'dataframe_records', 'dataframe_split'],
    ['{"dataframe_split":{"columns":[],"data":[],"rows":1}}', '"rows"', 'dataframe_split'],
    ['{"feature1":1}', 'missing', '"feature2"'],
    ['{"feature1":1,"feature2":2,"feature3":3}', 'unknown', '"feature3"'],
    ['{"Feature1":1,"feature2":2}', '"Feature1"'],
    ['{"instances":[{"feature1":1,"feature2":1},{"feature1":1}]}', '"feature2"', 'instances[1]'],
    ['[{"feature1":1,"feature2":1,"z":1}]', '"z"', '[0]'],
    ['{"inputs":{"feature1":[1]}}', '"feature2"', 'inputs'],
    ['{"inputs":{"feature1":[1],"feature2":[1],"z":[1]}}', '"z"', 'inputs'],
    ['{"dataframe_split":{"columns":["feature1","z"],"data":[]}}', '"z"', 'dataframe_split.columns'],
    ['{"dataframe_split":{"columns":["feature1"],"data":[[1]]}}', '"feature2"'],
    ['[1,2]', '2 inputs', 'object'],
    ['{"instances":[[1,2]]}', 'instances[0]', 'object'],
    ['null', 'object', 'not null'],
    ['{"feature1":3,"feature2":[[1],[2]]}', 'holds a batch', 'feature1'],
    ['{"dataframe_records":{}}', 'dataframe_records', 'array'],
    ['{"dataframe_records":[[1,2]]}', 'dataframe_records[0]', 'object'],
    ['{"dataframe_split":[]}', 'dataframe_split', 'object'],
    ['{"dataframe_split":{"data":[]}}', 'columns'],
    ['{"dataframe_split":{"columns":["feature1","feature2"]}}', 'data'],
    ['{"dataframe_split":{"columns":["feature1","feature2"],"data":[[1,2],[1]]}}', 'data[1]', '2'],
    ['{"inputs":null}', 'inputs', 'object'],
    ['{"feature1":[[1],[2]],"feature2":3}', 'feature1', 'feature2', 'batch'],
    ['{"feature1":[[1],[2]],"feature2":[3,4]}', 'feature1', 'feature2', 'batch'],
    ['{"feature1":[[1],[2]],"feature2":[[3]]}', 'feature2 has 1', 'feature1 has 2'],
  ],
  column: [
    ['["a","b"]', 'x must', '[["a"],["b"]]'],
    ['{"x":["a","b"]}', 'x must', '[["a"],["b"]]'],
  ],
  'identity-float32': [
    ['{"inputs":[1,2]}', 'x must', '[N,2]', '[2]'],
    // A list of no tensors is the Open Inference Protocol's on every path.
    ['{"inputs":[]}', 'missing input "x" in inputs'],
    ['{"instances":[[1,2],[[3,4]]]}', 'instances[1]', '[2]', '[1,2]'],
    ['[1,2,3]', 'x must', '[2]', '[3]'],
    ['[[1,2],[3]]', 'x[1]', '[2]', '[1]'],
    ['5', 'x must', '[2]', 'single value'],
    ['[[[[1]]]]', 'x must', '[2]'],
    ['[[1,2],3]', 'x[1]'],
    ['[[1,2],[3,[4]]]', 'x[1][1]'],
  ],
  single: [
    ['[[1,2,3],[4,5,6]]', 'x must be an array of shape [3], not [2,3]'],
    ['{"instances":[[1,2,3],[[1,2,3],[4,5,6]]]}', 'instances[1]', 'shape [3], not [2,3]'],
    ['{"inputs":[1,2,3]}', 'x must', '[1,3]', '[3]'],
  ],
  whole: [['{"a":[[1,2,3]],"b":[[1,0],[0,1],[2,2]]}', 'a must', '[2,3]', '[1,3]']],
  'unknown-rank': [
    ['[[1,2],[3]]', 'x[1] must', '[2]', '[1]'],
    ['[[[1,2],[3,4]],[[5,6],[7]]]', 'x[1][1] must', '[2]', '[1]'],
  ],
  'no-inputs': [['[1]', 'object']],
};

test.each(
  Object.entries(refused).flatMap(([model, rows]) =>
    rows.map(([body, ...words]) => ({ model, body, words })),
  ),
)('POST /predict to $model with $body is a 400 that says $words', async ({ model, body, words }) => {
  const reply = await ask(model, body);
  expect(reply.status).toBe(400);
  for (const word of words) expect(reply.body.error).toContain(word);
  expect(reply.body.error).toMatch(/ The model takes .+\. Try ./);
});

test.each<[string, string, number, string]>([
  ['Python’s True', '{"x": True}', 6, 'json.dumps'],
  ['None among many rows', `{"x": [${'[1, 2],'.repeat(5000)} [1, None]]}`, 35_012, 'json.dumps'],
  ['False behind NaN', '[NaN, False]', 6, 'json.dumps'],
  ['single quotes', "{'x': 1}", 1, 'double quotes'],
  ['a form', 'x=1&y=2', 0, 'json='],
  ['a form with escapes', 'sepal%20length=5.1&b=2', 0, 'json='],
  ['a form in parts', '--d74496d66958873e\r\nContent-Disposition: form-data; name="x"\r\n\r\n1', 1, 'json='],
  ['no end', '{"x": [1, 2', 11, 'ends early'],
  ['no end of a text', '{"x', 3, 'ends early'],
  ['an end behind NaN', '{"x": [NaN', 10, 'ends early'],
  ['nothing but a space', ' ', 1, 'ends early'],
  ['nan', '[nan, 1]', 1, 'NaN, Infinity'],
  ['-inf', '[1,-inf]', 4, 'NaN, Infinity'],
  ['undefined', '{"x": undefined}', 6, ''],
  ['a number without a digit before its point', '[.5]', 1, ''],
  ['a number without one behind it', '[5.]', 3, ''],
  ['a number with a zero before it', '[05]', 2, ''],
  ['a plus', '[+5]', 1, ''],
  ['a comma too many', '[1,2,]', 5, ''],
  ['a name without quotes', '{x: 1}', 1, ''],
  ['a name alone', '{"x"}', 4, ''],
  ['a literal for a name', '{NaN: 1}', 1, ''],
  ['a literal for a name behind one', '{"x": NaN, Infinity: 1}', 11, ''],
  ['a bracket that is not open', '[1]]', 3, ''],
  ['a brace for a bracket', '[1}', 2, ''],
  ['two values', '1 2', 2, ''],
  ['a line end in a text', '{"x": "a\nb"}', 8, ''],
  ['an escape that is none', '{"x": "a\\qb"}', 8, ''],
])('POST /predict with a body of %s is a 400 with the position', async (_what, body, position, hint) => {
  for (const model of ['identity-float32', 'identity-int64']) {
    const { status, body: reply } = await ask(model, body);
    expect(status).toBe(400);
    expect(reply.error).toMatch(new RegExp(`^the body is not JSON at position ${position}[:.] `));
    expect(reply.error).toContain(hint);
  }
});

test.each(['gzip', 'x-gzip', 'X-GZIP'])(
  'POST /predict with Content-Encoding: %s is read',
  async (encoding) => {
    const { agent } = await serveOnce('log');
    const reply = await agent
      .post('/predict')
      .set('Content-Encoding', encoding)
      .serialize((sent) => sent)
      .send(gzipSync('[[1],[1]]'));
    expect(reply.body).toEqual({ predictions: [0, 0] });
  },
);

test('POST /predict with no rows of an input that may have none runs the rows of another', async () => {
  const { body } = await ask('top-of-second', '{"inputs":{"a":[],"b":[[1,2,4,3],[7,6,5,4]]}}');
  expect(body).toEqual({ outputs: { y: [], z: [[4], [7]] } });
});

test('POST /predict of a model that takes one row is a 400 that suggests no batch', async () => {
  const { status, body } = await ask('slow-single', '{"inputs":[1,2]}');
  expect(status).toBe(400);
  expect(body.error).toMatch(/^n must be an array of shape \[1\], not \[2\]\. /);
});

test('POST /predict with outputs beside whole tensors is a 400 that names them', async () => {
  for (const inputs of ['[[1,2]]', '{"x":[[1,2]]}']) {
    const { status, body } = await ask('identity-float32', `{"inputs":${inputs},"outputs":["y"]}`);
    expect(status).toBe(400);
    expect(body.error).toContain('unknown key "outputs" beside inputs');
  }
});

test('POST /predict with an encoding named as what every object has is a 415, and the next large body is answered', async () => {
  const { agent } = await serveOnce('log');
  const post = (body: string, headers: Record<string, string>) =>
    agent.post('/predict').set(headers).send(body);
  for (const encoding of ['constructor', '__proto__']) {
    expect((await post('[1]', { 'Content-Encoding': encoding })).status).toBe(415);
  }
  expect((await post(`[${'[1],'.repeat(2000)}[1]]`, {})).status).toBe(200);
});

test.each([
  ['urlencoded', express.urlencoded({ extended: true }), 'application/x-www-form-urlencoded', '{"x":1}'],
  ['urlencoded, as a form', express.urlencoded(), 'application/x-www-form-urlencoded', 'x=1'],
])('behind an outer app’s %s a form is a 400 that names the type', async (_what, parse, type, body) => {
  const { app } = await serveOnce('log');
  const outer = express().use(parse).use(app);
  const reply = await request(outer).post('/predict').set('Content-Type', type).send(body);
  expect(reply.status).toBe(400);
  expect(reply.body.error).toContain('send JSON with Content-Type: application/json');
  expect(reply.body.error).not.toContain(body);
});

test('POST /predict with millions of quotes that end no text is a 400 within seconds', async () => {
  for (const quote of ['"', '\\"', "'"]) {
    const { status } = await ask('identity-float32', `[NaN,${quote.repeat(2_000_000)}`);
    expect(status).toBe(400);
  }
});
