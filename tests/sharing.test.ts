import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Batcher } from '../model/batcher';
import { runtime } from '../model/runtime/load';
import type { Signature } from '../model/signature';
import { agree } from '../model/values/compare';
import { copyOf, type Tensor } from '../model/values/tensor';
import { near } from './near';
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

/** Asks a model by many clients at once, several times over, with random rows; gives how many had another answer than alone. */
async function countWrong(
  name: string,
  waves = 8,
  clients = 24,
): Promise<{ batches: boolean; wrong: number }> {
  const [model, alone] = await Promise.all([
    openModel(modelPath(name)),
    openModel(modelPath(name), { MAX_BATCH: '1' }),
  ]);
  let wrong = 0;
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
  return { batches: model.status.batches, wrong };
}

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
  'saturated',
  'log',
  'identity-float16',
  'identity-int8',
  'identity-uint64',
  'identity-string',
  'external',
])('requests to %s share runs, and are answered rightly', async (name) => {
  expect(await countWrong(name)).toEqual({ batches: true, wrong: 0 });
});

test.each([
  ['softmax0', 'rows depend on each other'],
  ['cumsum0', 'rows depend on those before'],
  ['center', 'rows depend on their mean'],
  ['four-rows', 'more rows than four are cut'],
  ['lstm-seq', 'the rows are one sequence'],
  ['dynamic-quant', 'the scale is that of all rows'],
  ['twice', 'the output has twice the rows'],
  ['no-batch-output', 'an output has no row for each'],
  ['unnamed-outputs', 'an output has no row for each'],
  ['single', 'there is one row'],
  ['cnn-fixed', 'there is one row'],
  ['whole', 'there are no rows'],
])('requests to %s do not share runs, and are answered rightly: %s', async (name) => {
  jest.spyOn(console, 'log').mockImplementation(() => {});
  expect(await countWrong(name, 2)).toEqual({ batches: false, wrong: 0 });
});

test.each([
  ['random', 'RandomNormal'],
  ['random-inside', 'RandomNormal'],
  ['dynamic-quant', 'DynamicQuantizeLinear'],
])('the boot log of %s says that %s forbids sharing', async (name, op) => {
  const { notes, status } = await openModel(modelPath(name));
  expect(status.batches).toBe(false);
  expect(notes.join()).toContain(op);
});

test('a dependence that shows is said once, in a line', async () => {
  const log = jest.spyOn(console, 'log').mockImplementation(() => {});
  await countWrong('center', 2);
  expect(log.mock.calls).toEqual([[expect.stringMatching(/^center: requests no longer share runs: .+$/)]]);
});

test('a load of one repeated body shares runs', async () => {
  const model = await openModel(modelPath('add'));
  for (let wave = 0; wave < 60; wave++) {
    const answers = await Promise.all(
      Array.from({ length: 32 }, () => model.predict({ feature1: [1], feature2: [2] })),
    );
    expect(answers.map(({ sum }) => sum.at(0))).toEqual(Array(32).fill([3]));
  }
  const rows = watchRuns();
  for (let wave = 0; wave < 20; wave++) {
    await Promise.all(Array.from({ length: 32 }, () => model.predict({ feature1: [1], feature2: [2] })));
  }
  // Probation is over: hardly any is run alone as well.
  expect(rows.filter((count) => count === 32).length).toBeGreaterThan(15);
  expect(rows.filter((count) => count === 1).length).toBeLessThan(100);
});

test('MAX_BATCH=1 turns sharing off', async () => {
  expect((await serveModel('add', { MAX_BATCH: '1' })).model.status.batches).toBe(false);
});

/** The number of rows of each run from now on, on this thread or on a model's own. */
function watchRuns(): number[] {
  const rows: number[] = [];
  const { prototype } = runtime.InferenceSession as unknown as {
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
  const batcher = new Batcher(
    (feeds) => {
      runs.push(Array.from(feeds[0].data as Float32Array));
      return run(feeds);
    },
    { maxBatch, mayBatch: true, onDependence: () => {} },
  );
  return { batcher, runs };
}

function double(x: Tensor): Tensor {
  return { ...x, data: (x.data as Float32Array).map((value) => 2 * value) };
}

test.each([
  [32, [1, 1, 1, 1], [4]],
  [1, [1, 1, 1, 1], [1, 1, 1, 1]],
  [3, [1, 1, 1, 1], [3]],
  [4, [1, 2, 3, 1], [4]],
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

const ordinary = () => Array.from({ length: 32 }, () => Math.floor(Math.random() * 1000));

/** A batcher whose probation is over, before a model that labels all rows 0 until `change` is called. */
async function beyondProbation(label: (values: Float32Array, value: number) => number) {
  let isOn = false;
  const { batcher } = doubling(32, async ([x]) => {
    const data = x.data as Float32Array;
    const labels = BigInt64Array.from(data, (value) => BigInt(isOn ? label(data, value) : 0));
    return [{ type: 'int64', shape: x.shape, data: labels }];
  });
  const ask = async (values: number[]) => {
    const answers = await Promise.all(values.map((value) => batcher.run([float(value)])));
    return answers.map(([{ data }]) => Number(data[0]));
  };
  for (let i = 0; i < 100; i++) await ask(ordinary());
  expect(batcher.batches).toBe(true);
  const change = () => {
    isOn = true;
  };
  return { batcher, ask, change };
}

test.each([
  ['beyond all that were seen', 1e6],
  ['that is no number', Number.NaN],
])('a row %s that changes the answers beside it ends sharing before one is given', async (_what, odd) => {
  const isOdd = (value: number) => !(value < 1e5);
  const { batcher, ask, change } = await beyondProbation((values, value) =>
    !isOdd(value) && values.length > 1 && values.some(isOdd) ? 1 : 0,
  );
  change();
  // Of later runs one row is checked at random: the last.
  jest.spyOn(Math, 'random').mockReturnValue(0.9999);
  expect(await ask([...Array(31).fill(5), odd])).toEqual(Array(32).fill(0));
  expect(batcher.batches).toBe(false);
});

test('one row beside another that changes its answer ends sharing at once', async () => {
  const isOdd = (value: number) => !(value < 1e5);
  const { batcher, ask, change } = await beyondProbation((values, value) =>
    !isOdd(value) && values.some(isOdd) ? 1 : 0,
  );
  change();
  expect(await ask([5, 1e6])).toEqual([0, 0]);
  expect(batcher.batches).toBe(false);
});

test('a dependence that only rows made from real ones show ends sharing', async () => {
  const { batcher } = doubling(32, async ([x]) => {
    const data = x.data as Float32Array;
    const isSpoilt = data.some(Number.isNaN);
    const labels = BigInt64Array.from(data, (value) => (isSpoilt && !Number.isNaN(value) ? 1n : 0n));
    return [{ type: 'int64', shape: x.shape, data: labels }];
  });
  for (let i = 0; i < 100; i++) {
    await Promise.all(ordinary().map((value) => batcher.run([float(value)])));
  }
  expect(batcher.batches).toBe(false);
});

test('float16 answers that differ in their last bit are rounding', async () => {
  const { batcher } = doubling(32, async ([x]) => {
    const data = Uint16Array.from(x.data as Float32Array, (value, i) => 0x3c00 + (value % 512) + (i % 2));
    return [{ type: 'float16', shape: x.shape, data }];
  });
  for (let i = 0; i < 60; i++) {
    await Promise.all(ordinary().map((value) => batcher.run([float(value)])));
  }
  expect(batcher.batches).toBe(true);
});

test('infinities hide no other difference', () => {
  const row = (...values: number[]): Tensor => ({
    type: 'float32',
    shape: [1, 2],
    data: Float32Array.from(values),
  });
  const [one, other] = [row(Number.POSITIVE_INFINITY, 1), row(Number.POSITIVE_INFINITY, 2)];
  expect(agree(one, other, 0)).toBe(false);
  expect(agree(one, row(Number.POSITIVE_INFINITY, 1), 0)).toBe(true);
});

test('labels that change together in a run are no rounding', async () => {
  // By a vote of 25: alone each has another label, and so among copies of itself.
  const { batcher, ask, change } = await beyondProbation((values, value) =>
    value > 500 && values.filter((one) => one > 500).length > 24 ? 1 : 0,
  );
  change();
  jest.spyOn(Math, 'random').mockReturnValue(0);
  const votes = Array.from({ length: 32 }, (_, i) => (i < 28 ? 501 + i : i));
  expect(await ask(votes)).toEqual(Array(32).fill(0));
  expect(batcher.batches).toBe(false);
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
  expect(batcher.bytes).toBe(0);
});

test('the memory of many that have left is given up while a run goes on', async () => {
  let end = () => {};
  const { batcher } = doubling(1, async ([x]) => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    return [double(x)];
  });
  const first = batcher.run([float(1)]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (let i = 0; i < 1000; i++) {
    const controller = new AbortController();
    batcher.run([float(...Array(1000).fill(i))], controller.signal).catch(() => {});
    controller.abort(new Error('gone'));
  }
  expect(batcher.bytes).toBeLessThan(64 * 4000 + 1);
  end();
  await first;
});

test('rows of more than 20,000 values do not share runs', async () => {
  const { batcher, runs } = doubling(32);
  const row = (value: number): Tensor => ({
    type: 'float32',
    shape: [1, 20_001],
    data: new Float32Array(20_001).fill(value),
  });
  await Promise.all([1, 2, 3].map((value) => batcher.run([row(value)])));
  expect(runs.map(({ length }) => length)).toEqual([20_001, 20_001, 20_001]);
});

test('requests of different trailing shapes wait together and run apart', async () => {
  const model = await openModel(modelPath('ids'));
  const asked = [[1, 2], [3], [4, 5], [6], [7, 8, 9]];
  const answers = await Promise.all(
    asked.map((ids) => model.predict({ input_ids: [ids], attention_mask: [ids.map(() => 1)] })),
  );
  expect(answers.map((answer) => Object.values(answer)[0].at(0))).toEqual(asked.map(pooled));
});

/** What the mean of embeddings [2i, 2i + 1] is for these ids. */
function pooled(ids: number[]): number[] {
  const mean = ids.reduce((sum, id) => sum + id, 0) / ids.length;
  return [2 * mean, 2 * mean + 1];
}

test('of requests in one run, only the one for which the model fails fails', async () => {
  const { batcher, runs } = doubling(32, async ([x]) => {
    if ((x.data as Float32Array).includes(2000)) throw new Error('too large');
    return [double(copyOf(x))];
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
  const { post } = await serveModel('slow-batched');
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
