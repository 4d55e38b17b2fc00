import { serveOnce } from './ask';
import { closeModels } from './serve';

afterAll(closeModels);

const page = 'https://example.com';
const setosa = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

/** The headers of a reply that browsers read, and its `Vary`. */
function corsIn(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => /^(access-control-|vary$)/.test(name)),
  );
}

const exposed = { 'access-control-expose-headers': 'X-Request-Id' };

test.each<[string, string, object]>([
  ['*', page, { 'access-control-allow-origin': '*', ...exposed }],
  [page, page, { 'access-control-allow-origin': page, vary: 'Origin', ...exposed }],
  [
    `${page}, https://example.org`,
    'https://example.org',
    { 'access-control-allow-origin': 'https://example.org', vary: 'Origin', ...exposed },
  ],
  [page, 'https://example.org', { vary: 'Origin', ...exposed }],
  [
    'capacitor://localhost',
    'capacitor://localhost',
    { 'access-control-allow-origin': 'capacitor://localhost', vary: 'Origin', ...exposed },
  ],
  ['', page, {}],
])(
  'With CORS_ORIGIN=%s a page of %s is told what it may read, of errors too',
  async (CORS_ORIGIN, origin, expected) => {
    const { agent } = await serveOnce('model', { CORS_ORIGIN });
    for (const [path, body, status] of [
      ['/predict', setosa, 200],
      ['/predict', {}, 400],
      ['/nothing', {}, 404],
    ] as const) {
      // biome-ignore format: rows
      const reply = await agent.post(path).set('Origin', origin).send(body);
      expect(reply.status).toBe(status);
      expect(reply.headers['x-request-id']).toBeDefined();
      expect(corsIn(reply.headers)).toEqual(expected);
    }
  },
);

/** What a browser asks before it sends JSON with a key. */
const preflight = { Origin: page, 'Access-Control-Request-Headers': 'content-type,x-api-key' };

test.each([
  ['POST', '/predict'],
  ['POST', '/v1/models/model:predict'],
  ['PUT', '/predictions/model'],
  ['POST', '/nothing'],
])('A preflight of %s %s is answered, without the key', async (method, path) => {
  const { agent } = await serveOnce('model', { CORS_ORIGIN: page, API_KEY: 'secret' });
  const reply = await agent.options(path).set({ ...preflight, 'Access-Control-Request-Method': method });
  expect(reply.status).toBe(204);
  expect(reply.headers['access-control-allow-methods'].split(',')).toContain(method);
  expect(corsIn(reply.headers)).toEqual({
    'access-control-allow-origin': page,
    'access-control-allow-methods': expect.any(String),
    'access-control-allow-headers': 'content-type,x-api-key',
    vary: 'Origin, Access-Control-Request-Headers',
    ...exposed,
  });
  const refused = await agent.post('/predict').set('Origin', page).send(setosa);
  expect(refused.status).toBe(401);
  expect(refused.headers['access-control-allow-origin']).toBe(page);
});
