import { expectError, serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

test.each([
  ['model', {}],
  ['single', {}],
  ['whole', {}],
  ['ids', {}],
  ['identity-bool', {}],
  ['identity-string', {}],
  ['no-inputs', {}],
  ['scalar', {}],
  ['wrapper-name', {}],
  ['conv-open', {}],
  ['city-and-sound', {}],
  ['named-0', {}],
  ['empty-beside', {}],
  ['four_features', { FEATURES: 'a,b,c,d' }],
])('GET /predict of %s is a body that it takes', async (name, env) => {
  const { agent, post } = await serveOnce(name, env);
  for (const path of ['/predict', `/predict/${name}`]) {
    const example = await agent.get(path);
    expect(example.status).toBe(200);
    const reply = await post(path, example.text);
    expect(reply.body.error).toBeUndefined();
    expect(reply.status).toBe(200);
  }
});

test('GET /predict of a model that no made-up instance fits is a 404 that says what it takes, and no body to try', async () => {
  const { agent, post } = await serveOnce('parse-number');
  const reply = await agent.get('/predict');
  expectError(reply, 404);
  expect(reply.body.error).toMatch(/The model takes x: string\[N,1\]$/);
  expect((await post('/predict', { x: 1 })).body.error).toMatch(/The model takes x: string\[N,1\]$/);
  expect((await post('/v2/models/parse-number/infer', {})).body.error).not.toContain('Try');
});
