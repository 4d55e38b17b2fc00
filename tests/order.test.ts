import { ask, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

// An object of JavaScript would have keys that are like integers first: replies are compared as texts.
const infer = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }] };

test.each<[string, string, unknown, string]>([
  ['numbered-outputs', '/predict', { x: 1 }, '{"prediction":1,"24":2,"54":-1}'],
  ['numbered-outputs', '/predict', { instances: [1, 2] }, '{"predictions":[1,2],"24":[2,4],"54":[-1,-2]}'],
  ['numbered-outputs', '/predict', { inputs: [1] }, '{"outputs":{"56":[[1]],"24":[[2]],"54":[[-1]]}}'],
  [
    'numbered-outputs',
    '/invocations',
    { inputs: [1] },
    '{"predictions":{"56":[[1]],"24":[[2]],"54":[[-1]]}}',
  ],
  [
    'numbered-outputs',
    '/v1/models/numbered-outputs:predict',
    { instances: [1, 2] },
    '{"predictions":[{"56":[1],"24":[2],"54":[-1]},{"56":[2],"24":[4],"54":[-2]}]}',
  ],
  [
    'numbered-outputs',
    '/v2/models/numbered-outputs/infer',
    infer,
    '{"model_name":"numbered-outputs","outputs":[{"name":"56","datatype":"FP32","shape":[1,1],"data":[1]},{"name":"24","datatype":"FP32","shape":[1,1],"data":[2]},{"name":"54","datatype":"FP32","shape":[1,1],"data":[-1]}]}',
  ],
  ['zipmap-only', '/predict', [1, 2, 3], '{"prediction":{"10":1,"-20":2,"30":3}}'],
  [
    'zipmap-only',
    '/predict',
    { instances: [[1, 2, 3], [0, 1, 0]] }, // biome-ignore format: rows
    '{"predictions":[{"10":1,"-20":2,"30":3},{"10":0,"-20":1,"30":0}]}',
  ],
  ['zipmap-only', '/predict', { inputs: [[1, 2, 3]] }, '{"outputs":[{"10":1,"-20":2,"30":3}]}'],
  ['zipmap-only', '/v1/models/zipmap-only:predict', [1, 2, 3], '{"prediction":{"10":1,"-20":2,"30":3}}'],
])('%s at %s with %j has its keys in the file’s order', async (name, path, body, text) => {
  const { post } = await serveOnce(name);
  expect((await post(path, body)).text).toBe(`${text}\n`);
});

test('Many rows have their keys in the file’s order, too', async () => {
  const { text } = await ask('zipmap-only', { instances: Array(30_000).fill([1, 2, 3]) });
  expect(text).toBe(`{"predictions":[${Array(30_000).fill('{"10":1,"-20":2,"30":3}')}]}\n`);
});

test('OUTPUTS chooses the order', async () => {
  const { text } = await ask('numbered-outputs', { inputs: [1] }, { OUTPUTS: '54,24' });
  expect(text).toBe('{"outputs":{"54":[[-1]],"24":[[2]]}}\n');
});
