import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Model } from '../model/model';
import { runtime } from '../model/runtime';
import type { Feeds, Tensor } from '../model/tensor';
import { near } from './near';
import { closeModels, root, serveModel } from './serve';

afterAll(closeModels);
afterEach(() => jest.restoreAllMocks());

test.each([
  'model',
  'logreg',
  'forest',
  'zipmap-hand',
  'zipmap-off',
  'zipmap-columns',
  'regression',
  'multi-output',
  'kmeans',
  'mixed',
  'text',
  'counts',
  'column',
  'mlp-dynamic',
  'text-encoder',
  'gru-rows',
  'ids',
  'add',
  'unnamed',
  'two-outputs',
  'image',
  'conv-open',
  'identity-float16',
  'identity-int8',
  'identity-uint64',
  'identity-string',
  'external',
])('requests to %s share runs', async (name) => {
  expect(await (await serveModel(name)).model.sharing).toBe(true);
});

test.each([
  ['softmax0', 'rows depend on each other'],
  ['cumsum0', 'rows depend on those before'],
  ['center', 'rows depend on their mean'],
  ['lstm-seq', 'the rows are one sequence'],
  ['random', 'rows differ by chance'],
  ['random-inside', 'rows differ by chance, too little to see'],
  ['dynamic-quant', 'the scale is that of all rows'],
  ['saturated', 'all answers are the same'],
  ['twice', 'the output has twice the rows'],
  ['no-batch-output', 'an output has no row for each'],
  ['unnamed-outputs', 'an output has no row for each'],
  ['zero-width', 'there is nothing in a row'],
  ['single', 'there is one row'],
  ['cnn-fixed', 'there is one row'],
  ['whole', 'there are no rows'],
  ['gru-state', 'the state has its rows elsewhere'],
])('requests to %s never share a run: %s', async (name) => {
  expect(await (await serveModel(name)).model.sharing).toBe(false);
});

test('MAX_BATCH=1 turns sharing off', async () => {
  expect(await (await serveModel('add', { MAX_BATCH: '1' })).model.sharing).toBe(false);
});

/** The number of rows of each run from now on, on this thread or on a model's own. */
function watchRuns(): number[] {
  const rows: number[] = [];
  const sessions = runtime.InferenceSession as unknown as {
    prototype: { run(feeds: Record<string, { dims: number[] }>, ...rest: unknown[]): unknown };
  };
  const { run } = sessions.prototype;
  jest.spyOn(sessions.prototype, 'run').mockImplementation(function (this: unknown, feeds, ...rest) {
    rows.push(Object.values(feeds)[0].dims[0]);
    return run.call(this, feeds, ...rest);
  });
  const { postMessage } = Worker.prototype;
  jest.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, message, ...rest) {
    rows.push(message.feeds[0].shape[0]);
    return postMessage.call(this, message, ...rest);
  });
  return rows;
}

const float = (...values: number[]): Tensor => ({
  type: 'float32',
  shape: [values.length, 1],
  data: Float32Array.from(values),
});

/** What `add` answers to requests that arrive in one turn of the event loop, each with so many rows. */
async function sums(model: Model, sizes: number[]): Promise<number[][]> {
  const asked = sizes.map((size, i) => {
    const values = Array.from({ length: size }, (_, row) => 100 * i + row);
    return model.ask([[float(...values), float(...values)]]).answer;
  });
  return (await Promise.all(asked)).map(([[sum]]) => Array.from(sum.data as Float32Array));
}

test.each([
  ['32', [1, 1, 1, 1], [4]],
  ['1', [1, 1, 1, 1], [1, 1, 1, 1]],
  ['3', [1, 1, 1, 1], [3, 1]],
  ['4', [1, 2, 3, 1], [4, 3]],
  ['4', [9, 2, 2], [9, 4]],
])('with MAX_BATCH=%s, waiting requests of %j rows make runs of %j', async (maxBatch, sizes, runs) => {
  const { model } = await serveModel('add', { MAX_BATCH: maxBatch });
  const rows = watchRuns();
  const answers = await sums(model, sizes);
  expect(rows).toEqual(runs);
  expect(answers).toEqual(
    sizes.map((size, i) => Array.from({ length: size }, (_, row) => 2 * (100 * i + row))),
  );
});

test('a lone request does not wait for company', async () => {
  const { model } = await serveModel('add');
  const rows = watchRuns();
  expect(await sums(model, [1])).toEqual([[0]]);
  expect(await sums(model, [1])).toEqual([[0]]);
  expect(rows).toEqual([1, 1]);
});

/** What the mean of embeddings [2i, 2i + 1] is for these ids. */
function pooled(ids: number[]): number[] {
  const mean = ids.reduce((sum, id) => sum + id, 0) / ids.length;
  return [2 * mean, 2 * mean + 1];
}

function idFeeds(ids: number[]): Feeds {
  const tensor = (values: number[]): Tensor => ({
    type: 'int64',
    shape: [1, values.length],
    data: BigInt64Array.from(values.map(BigInt)),
  });
  return [tensor(ids), tensor(ids.map(() => 1))];
}

test('requests of different trailing shapes wait together and run apart', async () => {
  const { model } = await serveModel('ids');
  const asked = [[1, 2], [3], [4, 5], [6], [7, 8, 9]];
  const rows = watchRuns();
  const answers = await Promise.all(asked.map((ids) => model.ask([idFeeds(ids)]).answer));
  expect(answers.map(([[{ data }]]) => Array.from(data as Float32Array))).toEqual(asked.map(pooled));
  expect(rows).toEqual([2, 2, 1]);
});

test.each<[string, string, Feeds[]]>([
  ['ids', 'an index that the model does not have', [[1], [99], [2], [3]].map(idFeeds)],
  ['fails', 'a value for which the model fails', [1, 2000, 2, 3].map((x) => [float(x)])],
])('of requests to %s in one run, only the one with %s fails', async (name, _what, asked) => {
  const { model } = await serveModel(name);
  const rows = watchRuns();
  const results = await Promise.allSettled(asked.map((feeds) => model.ask([feeds]).answer));
  expect(rows[0]).toBe(4);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});

/** POSTs all bodies at once, and gives the replies in their order. */
async function postAll(name: string, bodies: unknown[]) {
  const { model, post } = await serveModel(name);
  await model.sharing;
  return Promise.all(bodies.map((body) => post('/predict', JSON.stringify(body))));
}

test('64 clients with distinct rows get the answers that the rows get alone', async () => {
  const answers = JSON.parse(readFileSync(join(root, 'tests', 'models', 'sklearn.json'), 'utf8'));
  const { instances, outputs } = answers.mixed;
  const place = (i: number) => i % instances.length;
  const replies = await postAll(
    'mixed',
    Array.from({ length: 64 }, (_, i) => instances[place(i)]),
  );
  const expected = replies.map((_, i) => ({
    prediction: outputs.output_label[place(i)],
    output_probability: outputs.output_probability[place(i)],
  }));
  expect(
    near(
      replies.map(({ body }) => body),
      expected,
    ),
  ).toEqual(expected);
});

test('clients with batches of 0 to 40 rows each get their own', async () => {
  const batches = Array.from({ length: 41 }, (_, size) =>
    Array.from({ length: size }, (_, row) => [size, row, -1]),
  );
  const replies = await postAll(
    'two-outputs',
    batches.map((instances) => ({ instances })),
  );
  expect(replies.map(({ body }) => body)).toEqual(
    batches.map((batch) => ({
      predictions: batch.map((row) => row.map((value) => 2 * value)),
      ...(batch.length > 0 && { total: batch.map(([size, row]) => size + row - 1) }),
    })),
  );
});

test('clients with strings each get their own', async () => {
  const texts = Array.from({ length: 40 }, (_, i) => `${'é'.repeat(i)} ${i}`);
  const replies = await postAll('column', texts);
  expect(replies.map(({ body }) => body.prediction)).toEqual(texts);
});

test('of many clients, the one with an unknown index gets 400, the others their answers', async () => {
  const asked = Array.from({ length: 24 }, (_, i) => (i === 7 ? [99] : i % 2 ? [i % 10] : [i % 10, 1]));
  const replies = await postAll(
    'ids',
    asked.map((ids) => ({ input_ids: ids, attention_mask: ids.map(() => 1) })),
  );
  expect(replies.map(({ status }) => status)).toEqual(asked.map((_, i) => (i === 7 ? 400 : 200)));
  expect(replies.map(({ body }) => body.prediction)).toEqual(
    asked.map((ids, i) => (i === 7 ? undefined : pooled(ids))),
  );
  expect(replies[7].body.error).not.toContain('99');
});

test('of many clients, the one for which the model fails gets 500, the others their answers', async () => {
  jest.spyOn(console, 'error').mockImplementation(() => {});
  const replies = await postAll(
    'fails',
    Array.from({ length: 24 }, (_, i) => ({ x: i === 11 ? 2000 : i })),
  );
  expect(replies.map(({ status }) => status)).toEqual(replies.map((_, i) => (i === 11 ? 500 : 200)));
  expect(replies.map(({ body }) => body.prediction)).toEqual(
    replies.map((_, i) => (i === 11 ? undefined : 2 * i)),
  );
});

test('requests that arrive during a slow run share the next ones', async () => {
  const { model, post } = await serveModel('slow-batched');
  expect(await model.sharing).toBe(true);
  const rows = watchRuns();
  const replies = await Promise.all(Array.from({ length: 16 }, (_, x) => post('/predict', { x })));
  expect(replies.map(({ body }) => body)).toEqual(replies.map((_, x) => ({ prediction: 2 * x })));
  expect(rows.length).toBeLessThan(16);
  expect(rows.reduce((sum, row) => sum + row)).toBe(16);
});

test('GET /health answers before a slow prediction does', async () => {
  const { agent, post } = await serveModel('slow-single');
  const order: string[] = [];
  const slow = post('/predict', { n: 2000 }).then(({ body }) => {
    order.push('prediction');
    return body;
  });
  for (let i = 0; i < 5; i++) {
    expect((await agent.get('/health')).status).toBe(200);
    order.push('health');
  }
  expect(near(await slow, { prediction: 2000, y: 256 })).toEqual({ prediction: 2000, y: 256 });
  expect(order).toEqual(['health', 'health', 'health', 'health', 'health', 'prediction']);
});
