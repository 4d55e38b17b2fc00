import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import request from 'supertest';
import { createApp } from '../app';
import type { Model } from '../model/model';
import { loadModels } from '../model/models';
import { readOptions } from '../routes/http/options';
import { expectError } from './ask';
import { ask, killServers, launchAndEnd, startServer, until } from './process';
import { modelPath } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'several-'));
let models: Model[];
let agent: ReturnType<typeof request>;

beforeAll(async () => {
  models = await loadModels(['add', 'single', 'slow-single'].map(modelPath));
  agent = request(createApp(models, { logFormat: 'off' }));
});

afterAll(async () => {
  killServers();
  await Promise.all(models.map((model) => model.close()));
  rmSync(folder, { recursive: true });
});

const sum = { feature1: 1, feature2: 2 };

test.each<[string, object, object]>([
  ['/predict', sum, { prediction: 3 }],
  ['/predict/add', sum, { prediction: 3 }],
  ['/predict/single', { x: [1, 2, 3] }, { prediction: [2, 4, 6] }],
  ['/invocations', sum, { prediction: 3 }],
  ['/predictions/single', { x: [1, 2, 3] }, { prediction: [2, 4, 6] }],
  ['/v1/models/single:predict', { instances: [[1, 2, 3]] }, { predictions: [[2, 4, 6]] }],
  [
    '/v2/models/single/infer',
    { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] },
    { model_name: 'single', outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 3], data: [2, 4, 6] }] },
  ],
])('POST %s asks the model of that name, or the first', async (path, body, reply) => {
  expect((await agent.post(path).send(body)).body).toEqual(reply);
});

test('GET /v1/models lists all, and each says what it is', async () => {
  expect((await agent.get('/v1/models')).body).toEqual({ models: ['add', 'single', 'slow-single'] });
  expect((await agent.get('/v1/models/single')).body.name).toBe('single');
  expect((await agent.get('/v2/models/single')).body).toMatchObject({
    name: 'single',
    inputs: [{ shape: [1, 3] }],
  });
  expect((await agent.get('/v2/models/slow-single/ready')).body).toEqual({
    name: 'slow-single',
    ready: true,
  });
});

test.each([
  ['post', '/predict/other'],
  ['post', '/predict/__proto__'],
  ['get', '/v2/models/other'],
  ['post', '/v1/models/other:predict'],
  ['post', '/v1/models/other:classify'],
] as const)('%s %s is a 404 that lists them', async (method, path) => {
  const reply = await agent[method](path);
  expectError(reply, 404);
  expect(reply.body.error).toContain('add, single, slow-single');
});

test.each([
  ['post', '/predict/single', 400],
  ['post', '/v2/models/single/infer', 400],
  ['put', '/predict/single', 405],
  ['post', '/v1/models/single:classify', 404],
  ['get', '/v1/models/single/versions/2', 404],
] as const)('%s %s, a %i, is told what its own model takes', async (method, path, status) => {
  const reply = await agent[method](path).send('{"x":[1]}');
  expectError(reply, status);
  expect(reply.body.error).toContain('The model takes x: float32[1,3]');
});

test('A slow model holds up no other', async () => {
  const order: string[] = [];
  const slow = agent
    .post('/predict/slow-single')
    .send({ n: 6000 })
    .then(() => order.push('slow'));
  for (let i = 0; i < 5; i++) {
    expect((await agent.post('/predict').send(sum)).body).toEqual({ prediction: 3 });
    order.push('quick');
  }
  await slow;
  expect(order).toEqual(['quick', 'quick', 'quick', 'quick', 'quick', 'slow']);
});

test('MAX_QUEUE is for all models together', async () => {
  const one = request(createApp(models, { logFormat: 'off', maxQueue: 1 }));
  const slow = one
    .post('/predict/slow-single')
    .send({ n: 6000 })
    .then(({ status }) => status);
  await until(() => models[2].status.runningSince !== undefined);
  expectError(await one.post('/predict/add').send(sum), 503);
  expect(await slow).toBe(200);
  expect((await one.post('/predict/add').send(sum)).body).toEqual({ prediction: 3 });
});

test('A model among several brings its own features and outputs', async () => {
  const both = await loadModels(['add', 'own-metadata'].map(modelPath));
  const reply = await request(createApp(both, { logFormat: 'off' }))
    .post('/predict/own-metadata')
    .send({ width: 2, height: 1 });
  await Promise.all(both.map((model) => model.close()));
  expect(reply.body).toEqual({ prediction: 1, largest: 2 });
});

/** A folder with copies of tests/models. */
function folderWith(name: string, ...files: string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const file of files) cpSync(modelPath(file), join(path, `${file}.onnx`));
  return path;
}

test('A folder is its .onnx files by name, not its subfolders’', async () => {
  const path = folderWith('many', 'single', 'add');
  mkdirSync(join(path, 'deeper'));
  mkdirSync(join(path, 'folder.onnx'));
  cpSync(modelPath('whole'), join(path, 'deeper', 'whole.onnx'));
  writeFileSync(join(path, 'notes.txt'), 'no model');
  // As macOS leaves them in archives.
  writeFileSync(join(path, '._add.onnx'), 'no model');
  const server = await startServer(path);
  expect((await ask(server.port, '/v1/models')).body).toEqual({ models: ['add', 'single'] });
  expect((await ask(server.port, '/predict', sum)).body).toEqual({ prediction: 3 });
  await server.wrote(/^Try: .*\/predict\/single$/m);
  expect(server.stdout().match(/^Try: /gm)).toHaveLength(2);
});

test('The log of several says how another output is chosen', async () => {
  const server = await startServer(folderWith('outputs', 'add', 'two-outputs'));
  await server.wrote(/the prediction is doubled \(OUTPUTS, or outputs in its metadata, chooses others\)$/m);
});

test('MODEL_PATH is a folder', async () => {
  const { modelPaths } = readOptions({ MODEL_PATH: folderWith('variable', 'whole', 'add') });
  const loaded = await loadModels(modelPaths);
  await Promise.all(loaded.map((model) => model.close()));
  expect(loaded.map(({ name }) => name)).toEqual(['add', 'whole']);
});

test('A folder’s files may end in capitals', async () => {
  const path = join(folder, 'capitals');
  mkdirSync(path);
  cpSync(modelPath('add'), join(path, 'ADD.ONNX'));
  const loaded = await loadModels([path]);
  await Promise.all(loaded.map((model) => model.close()));
  expect(loaded.map(({ name }) => name)).toEqual(['ADD']);
});

test('MODEL_PATH is several by commas', async () => {
  const { stdout, code } = await launchAndEnd([], {
    MODEL_PATH: `${modelPath('add')}, ${modelPath('single')}`,
    PORT: '1',
    HOST: '203.0.113.1',
  });
  expect(stdout).toMatch(/^Loading [^\n]+\n$/);
  expect(code).toBe(1);
});

test.each<[string, () => string[], NodeJS.ProcessEnv, RegExp]>([
  ['an empty folder', () => [folderWith('empty')], {}, /empty is a folder without \.onnx files/],
  [
    'two models of one name',
    () => [modelPath('add'), join(folderWith('twice', 'add'), 'add.onnx')],
    {},
    /both named add: rename/,
  ],
  [
    'MODEL_NAME',
    () => [modelPath('add'), modelPath('single')],
    { MODEL_NAME: 'a' },
    /^MODEL_NAME is for one model/,
  ],
  [
    'FEATURES',
    () => [modelPath('add'), modelPath('single')],
    { FEATURES: 'a' },
    /^FEATURES is for one model/,
  ],
  ['OUTPUTS', () => [modelPath('add'), modelPath('single')], { OUTPUTS: 'sum' }, /^OUTPUTS is for one model/],
  [
    'one that cannot be loaded',
    () => [modelPath('add'), modelPath('unknown-op')],
    {},
    /unknown-op\.onnx.*Magic/,
  ],
])('Several models with %s stop the boot with one line', async (_what, args, env, says) => {
  const { stdout, stderr, code } = await launchAndEnd(args(), env);
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stdout).toMatch(/^Loading [^\n]+\n$/);
  expect(code).toBe(1);
});
