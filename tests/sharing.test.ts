import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Batcher } from '../model/batcher';
import { loadRuntime } from '../model/runtime/session';
import { Sampler } from '../model/samples';
import type { Signature } from '../model/signature';
import type { Tensor } from '../model/values/tensor';
import { near } from './near';
import { until } from './process';
import { closeModels, modelPath, openModel, root, serveModel } from './serve';

afterAll(closeModels);
afterEach(() => jest.restoreAllMocks());

/** A random value for an input, from a small range: whole numbers may be indices. */
function randomValue(type: string): unknown {
  if (type === 'string') return 'abcdefgh'.slice(Math.floor(Math.random() * 8));
  if (type === 'bool') return Math.random() < 0.5;
  return type.startsWith('float') ? (Math.random() - 0.5) * 10 : Math.floor(Math.random() * 2);
}

/** One random row for each input, as columns. */
function randomColumns({ inputs }: Signature): Record<string, unknown[]> {
  const row = (dims: readonly (number | string)[], type: string): unknown =>
    dims.length === 0
      ? randomValue(type)
      : Array.from({ length: typeof dims[0] === 'number' ? dims[0] : 4 }, () => row(dims.slice(1), type));
  return Object.fromEntries(inputs.map(({ name, dims, type }) => [name, [row(dims.slice(1), type)]]));
}

/**
 * Asks a model by many clients at once, several times over, with random rows; gives whether any were run together, and
 * how many had another answer than alone.
 */
async function countWrong(
  name: string,
  waves = 8,
  clients = 24,
): Promise<{ shared: boolean; wrong: number }> {
  // One after the other, since a load beside another measures that, too; on a busy machine, once more.
  const alone = await openModel(modelPath(name), { MAX_BATCH: '1' });
  let model = await openModel(modelPath(name));
  for (let i = 0; i < 5 && model.notes.join().includes('about as long together'); i++)
    model = await openModel(modelPath(name));
  let [mostRows, wrong] = [0, 0];
  model.status.watchers.push((rows) => {
    mostRows = Math.max(mostRows, rows);
  });
  const answerOf = async (one: typeof model, columns: Record<string, unknown[]>) => {
    const answer = await one.predict(columns).catch((error) => String(error));
    return JSON.parse(JSON.stringify(answer));
  };
  for (let wave = 0; wave < waves; wave++) {
    const asked = Array.from({ length: clients }, () => randomColumns(model.signature));
    const answers = await Promise.all(asked.map((columns) => answerOf(model, columns)));
    for (const [i, columns] of asked.entries()) {
      const expected = await answerOf(alone, columns);
      if (JSON.stringify(near(answers[i], expected, 1e-3)) !== JSON.stringify(expected)) wrong++;
    }
  }
  return { shared: mostRows > 1, wrong };
}

test.each([
  'model',
  'logreg',
  'forest',
  'zipmap-hand',
  'zipmap-off',
  'regression',
  'multi-output',
  'kmeans',
  'mixed',
  'text',
  'counts',
  'column',
  'mlp-dynamic',
  'add',
  'unnamed',
  'two-outputs',
  'image',
  'saturated',
  'log',
  'identity-float16',
  'identity-int8',
  'identity-uint64',
  'identity-string',
  'external',
])('requests to %s share runs, and are answered rightly', async (name) => {
  expect(await countWrong(name)).toEqual({ shared: true, wrong: 0 });
});

// How the reason begins in the boot log, for one of each kind.
test.each([
  ['softmax0', 'Softmax in y goes across rows'],
  ['cumsum0', 'CumSum in y goes across rows'],
  ['center', 'ReduceMean in mean goes across rows'],
  ['four-rows', 'Slice in y goes across rows'],
  ['zipmap-columns', 'Slice in Slice cuts to a length that is not known'],
  ['lstm-seq', 'LSTM in y is not known'],
  ['random', 'RandomNormalLike in noise is not known'],
  ['dynamic-quant', 'DynamicQuantizeLinear in quantized is not known'],
  ['twice', 'Concat in y goes across rows'],
  ['one-each', 'NonZero in nz gives as many entries as the values say'],
  ['no-batch-output', 'ReduceMean in mean goes across rows'],
  ['ids', 'rows of input_ids have no fixed shape'],
  ['single', 'x has no open first dimension that counts rows'],
  ['whole', 'a has no open first dimension that counts rows'],
  ['slow-batched', 'Loop in last is not known to keep rows apart'],
])('requests to %s do not share runs, and are answered rightly: %s', async (name, reason) => {
  const { notes } = await openModel(modelPath(name));
  expect(notes.join()).toContain(`requests do not share runs: ${reason}`);
  if (!name.startsWith('random') && name !== 'slow-batched') {
    expect(await countWrong(name, 2)).toEqual({ shared: false, wrong: 0 });
  }
});

// Of runs that take so many milliseconds for each row that is beside the first.
test.each([
  [0.4, true],
  [0.5, false],
  [1, false],
])(
  'where another row takes %d of what the first one does, that requests share runs is %s',
  async (more, shares) => {
    const { run } = Sampler.prototype;
    jest.spyOn(Sampler.prototype, 'run').mockImplementation(async function (this: Sampler, rows, size) {
      const done = await run.call(this, rows, size);
      return done && { ...done, ms: 1 + more * (rows.length - 1) };
    });
    const { notes } = await openModel(modelPath('add'));
    const reason = 'requests do not share runs: rows take about as long together as alone';
    expect(notes).toEqual(shares ? [] : [reason]);
  },
);

test('requests share runs from the first on, and none is run twice', async () => {
  const model = await openModel(modelPath('add'));
  const rows = watchRuns();
  const answers = await Promise.all(
    Array.from({ length: 32 }, () => model.predict({ feature1: [1], feature2: [2] })),
  );
  expect(answers.map(({ sum }) => sum.at(0))).toEqual(Array(32).fill([3]));
  expect(rows).toEqual([32]);
});

test('MAX_BATCH=1 turns sharing off', async () => {
  const model = await openModel(modelPath('add'), { MAX_BATCH: '1' });
  const rows = watchRuns();
  await Promise.all(Array.from({ length: 3 }, () => model.predict({ feature1: [1], feature2: [2] })));
  expect(rows).toEqual([1, 1, 1]);
});

/** The number of rows of each run from now on, on this thread or on a model's own. */
function watchRuns(): number[] {
  const rows: number[] = [];
  const { prototype } = loadRuntime().InferenceSession as unknown as {
    prototype: { run(feeds: Record<string, { dims: number[] }>, ...rest: unknown[]): unknown };
  };
  const { run } = prototype;
  jest.spyOn(prototype, 'run').mockImplementation(function (this: unknown, feeds, ...rest) {
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

/** A batcher before a model that doubles its rows; notes the rows of each run. */
function doubling(
  maxBatch: number,
  run: (feeds: Tensor[]) => Promise<Tensor[]> = async ([x]) => [double(x)],
) {
  const runs: number[][] = [];
  const batcher = new Batcher((feeds) => {
    runs.push(Array.from(feeds[0].data as Float32Array));
    return run(feeds);
  }, maxBatch);
  return { batcher, runs };
}

function double(x: Tensor): Tensor {
  return { ...x, data: (x.data as Float32Array).map((value) => 2 * value) };
}

test.each([
  [32, [1, 1, 1, 1], [4]],
  [1, [1, 1, 1, 1], [1, 1, 1, 1]],
  [3, [1, 1, 1, 1], [3]],
  [4, [1, 2, 3, 1], [3, 4]],
  [4, [9, 2, 2], [9, 4]],
])(
  'with a MAX_BATCH of %i, waiting requests of %j rows begin with runs of %j',
  async (maxBatch, sizes, first) => {
    const { batcher, runs } = doubling(maxBatch);
    const asked = sizes.map((size, i) => Array.from({ length: size }, (_, row) => 100 * i + row));
    const answers = await Promise.all(asked.map((values) => batcher.run([float(...values)])));
    expect(runs.slice(0, first.length).map(({ length }) => length)).toEqual(first);
    expect(answers.map(([{ data }]) => Array.from(data as Float32Array))).toEqual(
      asked.map((values) => values.map((value) => 2 * value)),
    );
  },
);

test('of requests in a run that gives another number of rows, each is run alone', async () => {
  const { batcher, runs } = doubling(32, async ([x]) =>
    x.shape[0] > 1 ? [{ ...x, shape: [1, 1], data: x.data.slice(0, 1) }] : [double(x)],
  );
  const answers = await Promise.all([1, 2, 3].map((value) => batcher.run([float(value)])));
  expect(answers.map(([{ data }]) => data[0])).toEqual([2, 4, 6]);
  expect(runs).toEqual([[1, 2, 3], [1], [2], [3]]);
});

test('a lone request does not wait for others', async () => {
  const { batcher, runs } = doubling(32);
  for (const value of [1, 2]) await batcher.run([float(value)]);
  expect(runs).toEqual([[1], [2]]);
});

test('a request whose signal is aborted is not run', async () => {
  const { batcher, runs } = doubling(32);
  const [gone, late] = [new AbortController(), new AbortController()];
  const asked = [gone, late, undefined].map((controller, i) => batcher.run([float(i)], controller?.signal));
  gone.abort(new Error('gone'));
  late.abort(new Error('late'));
  const results = await Promise.allSettled(asked);
  expect(results.map((result) => ('reason' in result ? result.reason.message : 'answered'))).toEqual([
    'gone',
    'late',
    'answered',
  ]);
  expect(runs).toEqual([[2]]);
});

test('the memory of many that have left is given up while a run goes on', async () => {
  const model = await openModel(modelPath('slow-single'));
  const first = model.predict({ n: [5000] });
  await until(() => model.status.runningSince !== undefined);
  const alone = model.status.bytes;
  for (let i = 0; i < 1000; i++) {
    const controller = new AbortController();
    model.predict({ n: [1] }, controller.signal).catch(() => {});
    controller.abort(new Error('gone'));
  }
  await until(() => model.status.bytes <= 65 * alone);
  expect(model.status.runningSince).toBeDefined();
  await first;
  await until(() => model.status.bytes === 0);
});

/** What the mean of embeddings [2i, 2i + 1] is for these ids. */
function pooled(ids: number[]): number[] {
  const mean = ids.reduce((sum, id) => sum + id, 0) / ids.length;
  return [2 * mean, 2 * mean + 1];
}

test('of requests in one run, only the one for which the model fails fails', async () => {
  const { batcher, runs } = doubling(32, async ([x]) => {
    if ((x.data as Float32Array).includes(2000)) throw new Error('too large');
    return [double(x)];
  });
  const results = await Promise.allSettled([1, 2000, 2, 3].map((x) => batcher.run([float(x)])));
  expect(runs[0]).toEqual([1, 2000, 2, 3]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});

/** POSTs all bodies at once, and gives the replies in their order. */
async function postAll(name: string, bodies: unknown[]) {
  const { post } = await serveModel(name);
  return Promise.all(bodies.map((body) => post('/predict', JSON.stringify(body))));
}

test.each([
  ['model', 200_000],
  ['text', 400_000],
])('many rows for %s are run in parts, between which others are answered', async (name, rows) => {
  const model = await openModel(modelPath(name));
  const few = Array.from({ length: 7 }, () => randomColumns(model.signature));
  const columns = Object.fromEntries(
    model.signature.inputs.map(({ name }) => [
      name,
      Array.from({ length: rows }, (_, row) => few[row % 7][name][0]),
    ]),
  );
  let runs = 0;
  model.status.watchers.push(() => runs++);
  const order: string[] = [];
  const many = model.predict(columns).finally(() => order.push('many'));
  const one = model.predict(few[0]).finally(() => order.push('one'));
  const [answer] = await Promise.all([many, one]);
  expect(order).toEqual(['one', 'many']);
  expect(runs).toBeGreaterThan(2);
  const expected = await Promise.all(few.map((columns) => model.predict(columns)));
  for (const [output, column] of Object.entries(answer)) {
    expect(column).toHaveLength(rows);
    for (let row = 0; row < rows; row += 997) {
      expect(near(column.at(row), expected[row % 7][output].at(0), 1e-3)).toEqual(
        expected[row % 7][output].at(0),
      );
    }
  }
});

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
  let { model, post } = await serveModel('slow-shared');
  // On a busy machine, the runs at boot may end before they show that sharing pays.
  for (let i = 0; i < 5 && model.notes.length > 0; i++) ({ model, post } = await serveModel('slow-shared'));
  const rows = watchRuns();
  const replies = await Promise.all(Array.from({ length: 16 }, (_, x) => post('/predict', { x })));
  expect(replies.map(({ body }) => body)).toEqual(replies.map((_, x) => ({ prediction: 2 * x })));
  expect(Math.max(...rows)).toBeGreaterThan(8);
});

test('GET /health answers before a slow prediction does', async () => {
  const { agent, post } = await serveModel('slow-single');
  const order: string[] = [];
  const slow = post('/predict', { n: 6000 }).then(({ body }) => {
    order.push('prediction');
    return body;
  });
  for (let i = 0; i < 5; i++) {
    expect((await agent.get('/health')).status).toBe(200);
    order.push('health');
  }
  expect(near(await slow, { prediction: 6000, y: 256 })).toEqual({ prediction: 6000, y: 256 });
  expect(order).toEqual(['health', 'health', 'health', 'health', 'health', 'prediction']);
});
