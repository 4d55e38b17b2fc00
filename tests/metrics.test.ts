import { execFileSync } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import request from 'supertest';
import { createApp } from '../app';
import { expectError } from './ask';
import { ask, killServers, startServer, until } from './process';
import { closeModels, modelPath, openModel, root, serveModel } from './serve';

const servers: http.Server[] = [];

function listen(app: http.RequestListener): number {
  const server = http.createServer(app).listen(0);
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  killServers();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});
afterAll(closeModels);

/** The samples of a text: the value of each name with its labels. */
function samplesOf(text: string): Map<string, number> {
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

async function scrape(agent: ReturnType<typeof request>): Promise<Map<string, number>> {
  const { status, text } = await agent.get('/metrics');
  expect(status).toBe(200);
  return samplesOf(text);
}

const requests = (method: string, path: string, status: number) =>
  `http_request_duration_seconds_count{method="${method}",path="${path}",status="${status}"}`;

const setosa = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

test.each<['get' | 'post' | 'head' | 'delete', string, object | undefined, string]>([
  ['post', '/predict', setosa, requests('POST', '/predict{/:name}', 200)],
  ['post', '/predict/model', setosa, requests('POST', '/predict{/:name}', 200)],
  ['post', '/predict', {}, requests('POST', '/predict{/:name}', 400)],
  ['post', '/predict/other', setosa, requests('POST', '/predict{/:name}', 404)],
  ['get', '/predict', undefined, requests('GET', '/predict{/:name}', 200)],
  ['delete', '/predict', undefined, requests('DELETE', '/predict{/:name}', 405)],
  ['get', '/health', undefined, requests('GET', '/health', 200)],
  ['head', '/health', undefined, requests('HEAD', '/health', 200)],
  [
    'get',
    '/v2/models/model/ready',
    undefined,
    requests('GET', '/v2/models/:name{/versions/:version}/ready', 200),
  ],
  ['get', '/nothing/here', undefined, requests('GET', 'none', 404)],
  ['get', '/predict/%zz', undefined, requests('GET', 'none', 400)],
])('%s %s with %j counts once, under its path’s pattern', async (method, path, body, name) => {
  const { agent } = await serveModel('model');
  await agent[method](path).send(body);
  const samples = await scrape(agent);
  expect([...samples.keys()].filter((key) => key.startsWith('http_request_duration_seconds_count'))).toEqual([
    name,
  ]);
  expect(samples.get(name)).toBe(1);
  expect(samples.get(name.replace('_count', '_sum'))).toBeGreaterThan(0);
  expect(samples.get(name.replace('_count{', '_bucket{le="+Inf",'))).toBe(1);
});

test('GET /metrics is Prometheus’ text, with the process’ usual figures', async () => {
  const { agent } = await serveModel('model');
  const { headers, text } = await agent.get('/metrics');
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(text).toMatch(/^# TYPE http_request_duration_seconds histogram$/m);
  expect(text.endsWith('\n')).toBe(true);
  const samples = samplesOf(text);
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_heap_size_used_bytes',
  ])
    expect(samples.get(name)).toBeGreaterThan(0);
  expect(samples.get('nodejs_eventloop_lag_p99_seconds')).toBeDefined();
  // It counts itself once it is answered.
  expect((await scrape(agent)).get(requests('GET', '/metrics', 200))).toBe(1);
  expectError(await agent.post('/metrics'), 405);
});

test('Made-up paths, names and methods add nothing', async () => {
  const { app, agent } = await serveModel('model');
  const port = listen(app);
  const keep = new http.Agent({ keepAlive: true });
  const send = async (n: number) => {
    await ask(port, `/made/up/${n}`, undefined, { agent: keep });
    await ask(port, `/predict/name${n}`, setosa, { agent: keep });
    await ask(port, `/v2/models/name${n}/infer?n=${n}`, setosa, { agent: keep });
    await ask(port, '/health', undefined, { agent: keep, method: ['PROPFIND', 'LOCK', 'PURGE'][n % 3] });
  };
  for (let n = 0; n < 3; n++) await send(n);
  await scrape(agent);
  const before = await scrape(agent);
  for (let n = 3; n < 1002; n++) await send(n);
  const after = await scrape(agent);
  // Node.js' own kinds of garbage collection and of handles come as they are seen.
  const ours = (samples: Map<string, number>) =>
    [...samples.keys()].filter((name) => /^(http|model)_/.test(name));
  expect(ours(after)).toEqual(ours(before));
  expect(after.get(requests('GET', 'none', 404))).toBe(1002);
  expect(before.get(requests('LOCK', '/health', 405))).toBe(1);
  expect(after.get(requests('LOCK', '/health', 405))).toBe(334);
  keep.destroy();
});

test.each<[string, unknown, number]>([
  ['model', { instances: [setosa, setosa, setosa] }, 3],
  ['single', { x: [1, 2, 3] }, 1],
  ['single', { instances: [] }, 0],
  ['no-inputs', {}, 1],
])('A run of %s for %j counts %i rows', async (name, body, rows) => {
  const { agent, post } = await serveModel(name);
  expect((await post('/predict', body)).status).toBe(200);
  const samples = await scrape(agent);
  const runs = rows > 0 ? 1 : 0;
  expect(samples.get(`model_run_rows_count{model="${name}"}`)).toBe(runs);
  expect(samples.get(`model_run_rows_sum{model="${name}"}`)).toBe(rows);
  expect(samples.get(`model_run_seconds_count{model="${name}"}`)).toBe(runs);
  if (runs > 0) expect(samples.get(`model_run_seconds_sum{model="${name}"}`)).toBeGreaterThan(0);
});

test('A request that is not answered yet is in flight', async () => {
  const { agent, post } = await serveModel('slow-single');
  const slow = post('/predict', { n: 6000 }).then(({ status }) => status);
  // The one that asks is in flight, too.
  await until(async () => (await scrape(agent)).get('http_requests_in_flight') === 2);
  expect(await slow).toBe(200);
  expect((await scrape(agent)).get('http_requests_in_flight')).toBe(1);
});

test.each(['{"n":10000}', '{"n":'])(
  'A request whose client has gone after %s counts as 499',
  async (sent) => {
    const { app, agent } = await serveModel('slow-single');
    const port = listen(app);
    const gone = http.request({ port, path: '/predict', method: 'POST' }).on('error', () => {});
    gone.setHeader('Content-Length', 11).write(sent);
    await until(async () => (await scrape(agent)).get('http_requests_in_flight') === 2);
    gone.destroy();
    await until(async () => (await scrape(agent)).has(requests('POST', '/predict{/:name}', 499)));
  },
);

test('GET /metrics is behind the key', async () => {
  const { agent } = await serveModel('model', { API_KEY: 'secret' });
  expectError(await agent.get('/metrics'), 401);
  expect((await agent.get('/metrics').set('Authorization', 'Bearer secret')).status).toBe(200);
});

test('Two apps around one model count for themselves, and see its runs both', async () => {
  const model = await openModel(modelPath('single'));
  const [one, other] = [1, 2].map(() => request(createApp(model, { logFormat: 'off' })));
  await one.post('/predict').send({ x: [1, 2, 3] });
  for (const [agent, count] of [
    [one, 1],
    [other, undefined],
  ] as const) {
    // biome-ignore format: rows
    const samples = await scrape(agent);
    expect(samples.get(requests('POST', '/predict{/:name}', 200))).toBe(count);
    expect(samples.get('model_run_rows_count{model="single"}')).toBe(1);
  }
});

test('An app that nobody asks for metrics does not load what they alone need', () => {
  const code = `const { createApp, loadModel } = require('./dist/app');
    loadModel('model/model.onnx').then((model) => {
      createApp(model, { logFormat: 'off' });
      console.log(Object.keys(require.cache).filter((path) => path.includes('opentelemetry')).length);
    });`;
  expect(execFileSync(process.execPath, ['-e', code], { cwd: root, encoding: 'utf8' })).toBe('0\n');
});

test('With WEB_CONCURRENCY it speaks for all workers, also when one has died', async () => {
  const server = await startServer('single', { WEB_CONCURRENCY: '3', LOG_FORMAT: 'served by :pid :status' });
  const served = () => [...server.stdout().matchAll(/^served by (\d+) 200$/gm)].map(([, pid]) => pid);
  let sent = 0;
  const untilServing = (count: number) =>
    until(async () => {
      await ask(server.port, '/predict', { x: [1, 2, 3] }, { agent: false });
      sent++;
      return new Set(served()).size === count;
    });
  await untilServing(3);
  const predictions = requests('POST', '/predict{/:name}', 200);
  // Whichever worker is asked.
  for (let i = 0; i < 10; i++) {
    const samples = samplesOf((await ask(server.port, '/metrics', undefined, { agent: false })).text);
    expect(samples.get(predictions)).toBe(sent);
    expect(samples.get('model_run_rows_sum{model="single"}')).toBe(sent);
    expect(samples.get('http_requests_in_flight')).toBe(1);
  }
  const scrapes = await Promise.all(
    Array.from({ length: 40 }, () => ask(server.port, '/metrics', undefined, { agent: false })),
  );
  for (const { text } of scrapes) expect(samplesOf(text).get(predictions)).toBe(sent);
  expect(server.stderr()).toBe('');
  process.kill(Number(served()[0]), 'SIGKILL');
  await untilServing(4);
  const { status, text } = await ask(server.port, '/metrics', undefined, { agent: false });
  expect(status).toBe(200);
  expect(samplesOf(text).get(predictions)).toBeLessThan(sent);
  expect(text).not.toMatch(/null|undefined/);
});

test('A worker whose models are still loading keeps nobody waiting for the metrics', async () => {
  const start = performance.now();
  const folder = join(root, 'tests', 'models', 'mixing');
  const { port } = await startServer(folder, { WEB_CONCURRENCY: '2', LOG_FORMAT: 'off' });
  // The other worker starts when this one has, and takes as long.
  await wait((performance.now() - start) / 2);
  expect((await ask(port, '/metrics')).status).toBe(200);
});
