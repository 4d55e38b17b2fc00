import { Worker } from 'node:worker_threads';
import { ask, expectError, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

const flower = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}';
const takes =
  'The model takes sepal_length: float32[N,1], sepal_width: float32[N,1], petal_length: float32[N,1], petal_width: float32[N,1]. Try {"sepal_length":0,"sepal_width":0,"petal_length":0,"petal_width":0}';

test.each<[string, string, string[]]>([
  ['nothing', '', ['empty', 'JSON']],
  ['a space', ' ', ['JSON']],
  ['JSON that stops half way', '{"sepal_length":', ['JSON']],
  ['JSON with something behind it', `${flower}x`, ['JSON']],
  ['single quotes', "{'sepal_length':5.1}", ['JSON']],
  ['a form', 'sepal_length=5.1&sepal_width=3.5', ['JSON']],
  ['a literal that is none', '{"sepal_length":nan}', ['JSON']],
  ['a literal with a letter too many', '{"sepal_length":NaNs}', ['JSON']],
  ['a sum of literals', '{"sepal_length":Infinity+1}', ['JSON']],
  ['null', 'null', ['object']],
  ['true', 'true', ['object']],
  ['an empty object', '{}', ['missing', '"sepal_length"']],
  ['a missing input', flower.replace('"petal_width"', '"width"'), ['"width"']],
  ['text for a number', flower.replace('5.1', '"5.1"'), ['sepal_length must be', 'number']],
  ['an object for a number', flower.replace('5.1', '{}'), ['sepal_length must be', 'number']],
  ['true for a number', flower.replace('0.2', 'true'), ['petal_width must be', 'number']],
  ["a number beyond float32's range", flower.replace('5.1', '1e39'), ['sepal_length must be', 'float32']],
  [
    'text in an instance',
    `{"instances":[${flower},${flower},${flower.replace('1.4', '"x"')}]}`,
    ['instances[2].petal_length must be'],
  ],
  [
    'text in an array of objects',
    `[${flower},${flower.replace('1.4', '"x"')}]`,
    ['[1].petal_length must be'],
  ],
  [
    'text in dataframe_records',
    `{"dataframe_records":[${flower.replace('1.4', '"x"')}]}`,
    ['dataframe_records[0].petal_length must be'],
  ],
  [
    'text in dataframe_split',
    '{"dataframe_split":{"columns":["petal_width","petal_length","sepal_width","sepal_length"],"data":[[1,2,3,4],[1,"x",3,4]]}}',
    ['dataframe_split.data[1]', 'petal_length'],
  ],
  [
    'text in inputs',
    '{"inputs":{"sepal_length":[1,2],"sepal_width":[1,"x"],"petal_length":[1,2],"petal_width":[1,2]}}',
    ['sepal_width[1] must be'],
  ],
  [
    'text in a batch',
    '{"sepal_length":[[1]],"sepal_width":[["x"]],"petal_length":[[1]],"petal_width":[[1]]}',
    ['sepal_width[0][0] must be'],
  ],
])('POST /predict with %s is a 400 that says so, and how to ask', async (_what, body, words) => {
  const reply = await ask('model', body);
  expectError(reply, 400);
  for (const word of words) expect(reply.body.error).toContain(word);
  expect(reply.body.error).toContain(`. ${takes}`);
});

const deep = 100_000;

test.each<[string, string, string]>([
  ['arrays nested 100,000 deep', 'model', '['.repeat(deep) + ']'.repeat(deep)],
  ['arrays nested 100,000 deep for a vector', 'identity-float32', '['.repeat(deep) + ']'.repeat(deep)],
  ['arrays nested 100,000 deep for any rank', 'unknown-rank', '['.repeat(deep) + ']'.repeat(deep)],
  ['arrays nested 100,000 deep in instances', 'log', `{"instances":${'['.repeat(deep)}${']'.repeat(deep)}}`],
  [
    'arrays nested 100,000 deep in inputs',
    'ids',
    `{"inputs":{"input_ids":${'['.repeat(deep)}${']'.repeat(deep)},"attention_mask":[]}}`,
  ],
  ['arrays nested 100,000 deep as a text', 'column', '['.repeat(deep) + ']'.repeat(deep)],
  ['a million open brackets', 'model', '['.repeat(1e6)],
  ['objects nested 100,000 deep', 'log', `${'{"x":'.repeat(deep)}1${'}'.repeat(deep)}`],
  [
    'objects nested 100,000 deep in instances',
    'log',
    `{"instances":[${'{"x":'.repeat(deep)}1${'}'.repeat(deep)}]}`,
  ],
  ['10 MB of digits', 'log', '1'.repeat(10 * 2 ** 20)],
  ['10 MB of digits for an integer', 'identity-int64', `[1,${'1'.repeat(10 * 2 ** 20 - 10)}]`],
  ['10 MB of digits as a string for an integer', 'identity-int64', `[1,"${'1'.repeat(10 * 2 ** 20 - 10)}"]`],
  ['200,000 empty instances', 'model', `{"instances":[${Array(2e5).fill('{}')}]}`],
  ['100,000 unknown keys', 'model', `{${Array.from({ length: 1e5 }, (_, i) => `"k${i}":1`)}}`],
  ['a key of 1 MB', 'model', `{"${'k'.repeat(2 ** 20)}":1}`],
  ['__proto__', 'model', '{"__proto__":{"sepal_length":1}}'],
  ['__proto__ beside the inputs', 'model', flower.replace('}', ',"__proto__":null}')],
  ['__proto__ in an instance', 'log', '{"instances":[{"__proto__":{"x":1}}]}'],
  ['__proto__ as a column', 'add', '{"dataframe_split":{"columns":["__proto__","feature1"],"data":[[1,2]]}}'],
  ['__proto__ in inputs', 'log', '{"inputs":{"__proto__":[1]}}'],
  ["an object's own methods", 'log', '{"constructor":1,"toString":1,"hasOwnProperty":1}'],
  ['a lone surrogate as a key', 'log', '{"\\ud800":1}'],
  ['a lone surrogate as a text', 'column', '"\\udfff"'],
  ['a NUL as a key', 'log', '{"\\u0000":1}'],
  [
    'a huge declared shape',
    'identity-float32',
    '{"inputs":[{"name":"x","datatype":"FP32","shape":[9007199254740991,2],"data":[1,2]}]}',
  ],
  [
    'a huge declared shape of no values',
    'unknown-rank',
    '{"inputs":[{"name":"x","datatype":"FP32","shape":[0,9007199254740991],"data":[]}]}',
  ],
  ['20,000,000 rows of nothing', 'zero-width', '{"inputs":{"b64":"","shape":[20000000,0]}}'],
  ['20,000,000 vectors of nothing', 'unknown-rank', '{"b64":"","shape":[20000000,0]}'],
  ['a long first row and many empty ones', 'open-width', `[[${Array(3e5).fill(1)}]${',[]'.repeat(3e5)}]`],
  [
    'a long first row and many ragged ones',
    'trailing',
    `[[${Array(1e5).fill('[1]')}]${',[[]]'.repeat(1e5)}]`,
  ],
  [
    'an instance of a long first row and many empty ones',
    'conv-open',
    `{"instances":[[[[${Array(1e5).fill(0)}]${',[]'.repeat(1e5)}]]]}`,
  ],
  ['200,000 rows of two shapes', 'open-width', `[[1,1]${',[1],[1,1]'.repeat(1e5)}]`],
  ['200,000 rows for a model that takes one', 'single', `{"instances":[[1,2,3]${',[1,2,3]'.repeat(2e5)}]}`],
  ['an open string of escapes beside NaN', 'log', `NaN "${'\\"'.repeat(2e6)}`],
  [
    'records that do not fit the first',
    'identity-float32',
    `{"dataframe_records":[{${Array.from({ length: 2e4 }, (_, i) => `"${i}":0`)}}${',{"0":0}'.repeat(6e4)}]}`,
  ],
  ['a shape out of every range', 'image', '{"x":{"b64":"AACAPw==","shape":[1e400,3,8,8]}}'],
  ['an image without pixels', 'style', '{"x":{"b64":"","shape":[1,2,0,0]}}'],
  ['rows without values', 'largest', '[[],[]]'],
  ['one row without values', 'largest', '{"instances":[[]]}'],
  // The runtime ends the process where a GRU has no steps.
  ['a sequence of no steps', 'gru-rows', '{"x":[],"state":[[1,2,3]]}'],
  ['a sequence of no steps in inputs', 'gru-state', '{"inputs":{"x":[[]],"state":[[[1,2,3]]]}}'],
  ['no rows of the second input', 'top-of-second', '{"inputs":{"a":[[1]],"b":[]}}'],
  ['no sequences', 'gru-state', '{"inputs":{"x":[],"state":[[]]}}'],
  [
    'a declared shape of 10,000 dimensions',
    'unknown-rank',
    `{"inputs":[{"name":"x","datatype":"FP32","shape":[${Array(1e4).fill(1)}],"data":[1]}]}`,
  ],
])('POST /predict with %s to %s is a 400, and the server serves on', async (_what, model, body) => {
  const reply = await ask(model, body);
  expectError(reply, 400);
  expect(reply.body.error.length).toBeLessThan(1500);
  expect((await ask('model', flower)).body.prediction).toBe('setosa');
});

test.each([
  ['an index out of range', 'ids', '{"input_ids":[1,10],"attention_mask":[1,1]}'],
  ['sizes that do not go together', 'matmul-open', '{"a":[[1,2]],"b":[[1],[2],[3]]}'],
  ['more of the best than there are', 'best-of-k', '{"inputs":{"x":[1,2,3,4],"k":[5]}}'],
  ['less of the best than none', 'best-of-k', '{"inputs":{"x":[1,2,3,4],"k":[-1]}}'],
  ['a length beyond the row', 'reversed', '{"inputs":{"x":[[1,2,3,4]],"lengths":[5]}}'],
  ['more lengths than rows', 'reversed', '{"inputs":{"x":[[1,2,3,4]],"lengths":[1,1,1]}}'],
  ['a place out of range', 'scattered', '{"inputs":{"place":[[5]]}}'],
  ['a span of more memory than there is', 'span', '{"x":[0,0,0,1000000000000]}'],
  ['sizes beyond all numbers', 'filled', '{"shape":[4000000000,4000000000]}'],
  ['sizes beyond all memory', 'filled', '{"shape":[1000000,1000000]}'],
  ['two sizes left open', 'reshaped', '{"shape":[-1,-1]}'],
  ['a size below all', 'reshaped', '{"shape":[-2,2]}'],
  ['an image smaller than the kernel', 'conv-open', '{"x":[[[1,2],[3,4]]]}'],
  ['an image of nothing', 'conv-open', '{"x":{"b64":"","shape":[1,0,0]}}'],
  ['a text that is no number', 'parse-number', '"abc"'],
  ['a division by zero', 'divide', '{"a":1,"b":0}'],
  ['rows of another width', 'linear-open', '{"x":[1,2,3,4,5,6,7]}'],
  ['rows that are too narrow', 'scaler-open', '[[1],[2]]'],
  ['rows without the column that it picks', 'pick-open', '[1]'],
  ['a category that it does not know', 'onehot', '{"city":"abc","code":7}'],
  ['a code that it does not know', 'onehot', '{"city":"Oslo","code":8}'],
  ['a row shorter than its padding', 'reflect', '{"x":[1,2]}'],
  ['a text longer than the longest', 'longest', '{"ids":[1,2,3,4,5]}'],
  ['a sound shorter than its window', 'audio', JSON.stringify([Array(50).fill(0)])],
  ['a state of another batch', 'gru-state', '{"x":[[[1,2]]],"state":[[[1,2,3],[1,2,3]]]}'],
])('POST /predict with %s, which %s rejects, is a 400 in our own words', async (_what, model, body) => {
  const reply = await ask(model, body);
  expectError(reply, 400);
  expect(reply.body.error).toMatch(/the model rejects|this model does not take/);
  expect(reply.body.error).not.toMatch(/idx=|node|status code|abc/i);
});

test.each([
  'add',
  'cnn-fixed',
  'column',
  'conv-open',
  'counts',
  'gru-rows',
  'gru-state',
  'half_plus_two',
  'identity-bool',
  'identity-string',
  'ids',
  'image',
  'matmul-open',
  'many-inputs',
  'mixed',
  'no-inputs',
  'onehot',
  'scalar',
  'single',
  'trailing',
  'unknown-rank',
  'whole',
  'wrapper-name',
  'zero-width',
])('What the messages for %s tell to try is answered', async (model) => {
  const { agent, post } = await serveOnce(model);
  for (const path of ['/predict', `/v2/models/${model}/infer`]) {
    const { error } = (await post(path, '?')).body;
    const [, longer, example] = / Try (?:the body that GET (.+) gives|(.+))$/.exec(error) ?? [];
    const { body } = await post(path, example ?? (await agent.get(longer)).text);
    expect(body.error).toBeUndefined();
  }
});

test('A message for a model of many inputs shows some of them, and says how many more there are', async () => {
  const { post } = await serveOnce('many-inputs');
  const { error } = (await post('/predict', { x0: 1, y: 2 })).body;
  expect(error).toContain('The model takes x0: float32[N,1], x1:');
  expect(error).toContain('x5: float32[N,1], and 2 more. Try {"x0":0,');
});

test('An inference thread that dies fails its request with 500, and is replaced', async () => {
  const { post } = await serveOnce('slow-single');
  expect((await post('/predict', { n: 1 })).body).toEqual({ prediction: 1, y: 256 });
  const log = jest.spyOn(console, 'error').mockImplementation(() => {});
  const { postMessage } = Worker.prototype;
  // Not what it can read.
  jest.spyOn(Worker.prototype, 'postMessage').mockImplementationOnce(function (this: Worker) {
    postMessage.call(this, null);
  });
  expectError(await post('/predict', { n: 2 }), 500);
  expect(log.mock.calls.flat().join(' ')).toContain('null');
  jest.restoreAllMocks();
  expect((await post('/predict', { n: 3 })).body).toEqual({ prediction: 3, y: 256 });
});

test('POST /predict that makes the model fail is a 500 with the id, and what is wrong is logged only', async () => {
  const log = jest.spyOn(console, 'error').mockImplementation(() => {});
  const { agent } = await serveOnce('fails');
  const reply = await agent.post('/predict').set('X-Request-Id', 'r-500').send('{"x":[[1],[5000]]}');
  const logged = log.mock.calls.flat().join(' ');
  log.mockRestore();
  expectError(reply, 500);
  expect(reply.body.id).toBe('r-500');
  expect(JSON.stringify(reply.body)).not.toContain('5000');
  expect(logged).toContain('r-500');
  expect(logged.length).toBeGreaterThan(60);
  expect((await agent.post('/predict').send('{"x":1}')).body).toEqual({ prediction: 2 });
});
