import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BootError } from '../model/errors';
import type { Kind } from '../model/signature';
import { bootLog } from '../routes/http/boot-log';
import { readOptions } from '../routes/http/options';
import { near } from './near';
import { closeModels, modelPath, root, serveModel } from './serve';

// Models as today's exporters leave them; tests/models/exporters/ has the scripts that made them.

const shell = promisify(execFile);
const servers: Server[] = [];

afterAll(async () => {
  for (const server of servers) server.close();
  await closeModels();
});

type Row = Record<string, unknown>;

/** Rows as a client sends them, and the training code's own answers: for each output one value a row. */
interface Answers {
  rows: Row[];
  outputs: Record<string, unknown[]>;
}

function answersOf(name: string): Answers {
  return JSON.parse(readFileSync(join(root, 'tests', 'models', 'exporters', `${name}.json`), 'utf8'));
}

const fixed = /no open first dimension that counts rows .*dynamic_shapes/;
const notByRow = /does not count rows by its first dimension/;
const openRows = /rows of \w+ have no fixed shape/;

/** The models with their kinds, and what the log notes of them. */
const models: [name: string, kind: Kind, note?: RegExp][] = [
  ['frame', 'batched'],
  ['frame-doubles', 'batched'],
  ['one-hot', 'batched'],
  ['one-hot-matrix', 'batched'],
  ['one-hot-integers', 'batched'],
  ['ordinal', 'batched'],
  ['names', 'batched'],
  ['tfidf', 'batched'],
  ['forest-scaled', 'batched'],
  ['forest-doubles', 'batched'],
  ['zipmap-false', 'batched'],
  ['multi-output', 'batched'],
  ['multi-forest', 'batched', notByRow],
  ['outliers', 'batched'],
  ['hist-boosting', 'batched'],
  ['linear', 'batched'],
  ['lightgbm', 'batched'],
  ['lightgbm-regression', 'batched'],
  ['xgboost', 'batched'],
  ['xgboost-regression', 'batched'],
  ['catboost', 'batched'],
  ['catboost-regression', 'batched'],
  ['one-row', 'single', fixed],
  ['two-rows', 'unbatched', fixed],
  ['dynamic-shapes', 'batched'],
  ['external-data', 'batched'],
  ['torchscript', 'batched'],
  ['dictionary', 'batched'],
  ['squeezed', 'batched', /Squeeze in node_squeeze is given no axes/],
  ['two-inputs', 'batched'],
  ['two-inputs-dynamic', 'batched'],
  ['two-inputs-axes', 'batched'],
  ['lstm', 'batched', openRows],
  ['time-first', 'batched', openRows],
  ['photo', 'batched', openRows],
  ['voice', 'unbatched', fixed],
  ['bert', 'batched', openRows],
  ['bert-torchscript', 'batched', openRows],
  ['keras-two-inputs', 'batched'],
  ['keras-dense', 'batched'],
  ['keras-lstm', 'batched', openRows],
  ['keras-photo', 'batched'],
  ['tf2onnx', 'batched'],
];

/** A server of a model, its boot log, and the reply to a body. */
async function listen(name: string) {
  const { app, model } = await serveModel(`exporters/${name}`);
  const server = app.listen(0);
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const log = bootLog([model], readOptions({}, [modelPath(`exporters/${name}`)]), port);
  const predict = async (body: unknown): Promise<Row> => {
    const reply = await fetch(`http://localhost:${port}/predict`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return (await reply.json()) as Row;
  };
  return { model, log, port, predict };
}

/** `[x]` shown as `x`, wherever it stands: forms differ in the dimensions of 1 that they show. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 1 ? bare(value[0]) : value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bare(item)]));
}

function expectNear(actual: unknown, expected: unknown): void {
  expect(near(bare(actual), bare(expected))).toEqual(bare(expected));
}

describe.each(models)('%s', (name, kind, note) => {
  const { rows, outputs } = answersOf(name);
  let served: Awaited<ReturnType<typeof listen>>;
  beforeAll(async () => {
    served = await listen(name);
  });

  /** The reply to rows: the primary output under `key`, the others beside it. */
  function reply(key: 'prediction' | 'predictions', change = (values: unknown[]): unknown => values): Row {
    const { prediction } = served.model.signature;
    const entries = Object.entries(outputs).map(([output, values]) => [output, change(values)]);
    const { [prediction]: primary, ...others } = Object.fromEntries(entries);
    return { [key]: primary, ...others };
  }

  test(`is ${kind}, with ${note ? 'one note' : 'nothing to note'}, and its Try line runs`, async () => {
    expect(served.model.signature.kind).toBe(kind);
    expect(served.model.notes).toEqual(note ? [expect.stringMatching(note)] : []);
    const [, line] = /^Try: (.*)$/m.exec(served.log) ?? [];
    const command = line.replace('curl ', 'curl -sS --fail-with-body ');
    const { stdout } = await shell('bash', ['-c', command]);
    expect(Object.keys(JSON.parse(stdout))).toContain('prediction');
  });

  test('POST /predict with instances', async () => {
    expectNear(await served.predict({ instances: rows }), reply('predictions'));
  });

  test('POST /predict with rows by name', async () => {
    expectNear(await served.predict(rows), reply('predictions'));
  });

  test('POST /predict with a frame', async () => {
    const [{ dims }, ...others] = served.model.signature.inputs;
    const isMatrix = others.length === 0 && dims.length === 2 && Number(dims[1]) > 1 && kind === 'batched';
    // The columns of a matrix have no names of their own: pandas numbers them.
    const data = isMatrix ? rows.map((row) => Object.values(row)[0] as unknown[]) : rows.map(Object.values);
    const columns = isMatrix ? Object.keys(data[0]) : Object.keys(rows[0]);
    expectNear(await served.predict({ dataframe_split: { columns, data } }), reply('predictions'));
  });

  test('POST /predict with whole tensors', async () => {
    if (kind !== 'batched') {
      for (const [i, inputs] of rows.entries())
        expectNear(await served.predict({ inputs }), { outputs: whole((values) => values[i]) });
      return;
    }
    const inputs = Object.fromEntries(Object.keys(rows[0]).map((key) => [key, rows.map((row) => row[key])]));
    const byRow = new Map(served.model.signature.outputs.map((output) => [output.name, output.batch]));
    // Where rows are not first, they are second; or else, as squeeze() leaves them, the only ones.
    const expected = whole((values, output) => (byRow.get(output) ? values : transposed(values)));
    expectNear(await served.predict({ inputs }), { outputs: expected });
  });

  /** Whole outputs, which stand bare where there is one. */
  function whole(change: (values: unknown[], output: string) => unknown): unknown {
    const entries = Object.entries(outputs).map(([output, values]) => [output, change(values, output)]);
    return entries.length === 1 ? entries[0][1] : Object.fromEntries(entries);
  }

  test('POST /predict by 8 clients at once, each row alone', async () => {
    const client = async () => {
      for (const [i, row] of rows.entries())
        expectNear(
          await served.predict(row),
          reply('prediction', (values) => values[i]),
        );
    };
    await Promise.all(Array.from({ length: 8 }, client));
  });
});

function transposed(rows: unknown[]): unknown[] {
  const [first] = rows;
  if (!Array.isArray(first)) return rows;
  return first.map((_, i) => rows.map((row) => (row as unknown[])[i]));
}

test('A pipeline that the runtime cannot run in doubles does not boot: one line says what to do', async () => {
  const error = await serveModel('exporters/imputer-doubles').catch((error) => error);
  expect(error).toBeInstanceOf(BootError);
  expect(error.message).toMatch(/^[^\n]*imputer-doubles\.onnx cannot be loaded: .* no Imputer .*float32/);
});

test.each([
  ['one-hot', 'city', 'Bergen'],
  ['one-hot-integers', 'shop', 9],
  ['one-hot-matrix', 'X', [1010, 9]],
])('POST /predict to %s with a category that it does not know is a 400', async (name, input, value) => {
  const { post } = await serveModel(`exporters/${name}`);
  const { status, body } = await post('/predict', { ...answersOf(name).rows[0], [input]: value });
  expect(status).toBe(400);
  expect(body.error).toMatch(/^the model rejects these values: a category is none/);
});

const sound = (rows: number, length: number) => Array(rows).fill(Array(length).fill(0));
const columnsOfNames = {
  'sepal length (cm)': [1, 1],
  'sepal width (cm)': [2],
  'petal length (cm)': [3],
  'petal width (cm)': [4],
};
const state = (rows: number) => Array(2).fill(sound(rows, 8));

test.each<[name: string, what: string, body: object, words: string]>([
  ['voice', 'a state of two rows for one', { input: sound(1, 64), state: state(2) }, 'sizes of the inputs'],
  ['voice', 'too short a sound', { input: sound(1, 3), state: state(1) }, 'sizes of the inputs'],
  ['photo', 'an empty photo', { image: { b64: '', shape: [0, 0, 3] } }, 'a dimension of length 0'],
  ['bert', 'no tokens', { input_ids: [], attention_mask: [], token_type_ids: [] }, 'a dimension of length 0'],
  ['bert', 'too long a text', tokens(30), 'sizes of the inputs'],
  ['names', 'columns of several lengths', { inputs: columnsOfNames }, 'sizes of the inputs'],
])('POST /predict to %s with %s is a 400', async (name, _what, body, words) => {
  const { post } = await serveModel(`exporters/${name}`);
  const { status, body: reply } = await post('/predict', name === 'voice' ? { ...body, sr: 16000 } : body);
  expect(reply.error).toContain(words);
  expect(status).toBe(400);
});

function tokens(length: number): object {
  const ones = Array(length).fill(1);
  return { input_ids: ones, attention_mask: ones, token_type_ids: ones };
}

test.each([
  ['lightgbm', 'gives label: int64[N], probabilities: {0, 1, 2};'],
  ['bert', 'the prediction is last_hidden_state (OUTPUTS, or outputs in its metadata, chooses others)'],
  ['time-first', 'gives y: float32[?,'],
  ['voice', 'gives output: float32[?,1], stateN: float32[2,batch,8]'],
])('The log of %s shows what its runs give', async (name, words) => {
  expect((await listen(name)).log).toContain(words);
});

test('GET /v2/models/lightgbm shows the shapes that its runs give', async () => {
  const { agent } = await serveModel('exporters/lightgbm');
  expect((await agent.get('/v2/models/lightgbm')).body.outputs).toMatchObject([
    { name: 'label', shape: [-1] },
    { name: 'probabilities', shape: [-1, 3] },
  ]);
});
