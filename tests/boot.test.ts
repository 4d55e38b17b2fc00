import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { integerField, messageField } from '../model/graph/protobuf';
import { bootLog } from '../routes/http/boot-log';
import { readOptions } from '../routes/http/options';
import { ask, killServers, launch, launchAndEnd, startServer, until } from './process';
import { closeModels, modelPath, serveModel } from './serve';

afterEach(killServers);
afterAll(closeModels);

const shell = promisify(execFile);
const taken = net.createServer();
const folder = mkdtempSync(join(tmpdir(), 'boot-'));
const garbage = join(folder, 'garbage.onnx');
const empty = join(folder, 'empty.onnx');

beforeAll(async () => {
  writeFileSync(garbage, 'This is a text, not a model.');
  writeFileSync(empty, '');
  taken.listen(0);
  await once(taken, 'listening');
});

afterAll(() => {
  taken.close();
  rmSync(folder, { recursive: true });
});

test('The boot log shows the inputs, the outputs and a request', async () => {
  const server = await startServer('model');
  const log = server.stdout();
  for (const name of ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'])
    expect(log).toContain(`${name}: float32[N,1]`);
  for (const label of ['setosa', 'versicolor', 'virginica']) expect(log).toContain(label);
  expect(log).toMatch(/^Try: curl /m);
  expect(server.stderr()).toBe('');
});

test('The boot log has a line for what has a line break in its name', async () => {
  const { model } = await serveModel('model');
  const { signature } = model;
  const outputs = signature.outputs.map((output) => ({ ...output, labels: ['one', 'the\r\nother'] }));
  const log = bootLog([{ ...model, signature: { ...signature, outputs } }], readOptions(), 3000);
  expect(log.split('\n')).toHaveLength(bootLog([model], readOptions(), 3000).split('\n').length);
  expect(log).toContain('{one, the other}');
});

test('An opset that is newer than the runtime, by one, is served', async () => {
  // onnx.proto: ModelProto.opset_import is 8, whose version is 2; of two, the last one counts.
  const newer = join(folder, 'newer.onnx');
  writeFileSync(
    newer,
    Buffer.concat([readFileSync(modelPath('identity-float32')), messageField(8, integerField(2, 27))]),
  );
  const server = await startServer(newer);
  expect((await ask(server.port, '/predict', { x: [1, 2] })).body).toEqual({ prediction: [1, 2] });
});

/** Runs the boot log's `Try:` line as a user would who pastes it, and gives status and reply. */
async function paste(log: string, env: NodeJS.ProcessEnv = {}) {
  const line = /^Try: (.*)$/m.exec(log)?.[1] ?? 'false';
  const { stdout, stderr } = await shell(
    'bash',
    ['-c', `curl() { command curl -sS -w '%{stderr}%{http_code}' "$@"; }; set -o pipefail; ${line}`],
    { env: { PATH: process.env.PATH, ...env } },
  );
  return { line, status: Number(stderr.slice(-3)), body: JSON.parse(stdout) };
}

/** A model's bytes with some of them replaced by as many others. */
function replaced(name: string, some: string, others: string): Buffer {
  return Buffer.from(readFileSync(modelPath(name)).toString('hex').replaceAll(some, others), 'hex');
}

test.each([
  ['the bundled model', 'model', {}],
  ['a single model', 'single', {}],
  ['a whole model', 'whole', {}],
  ['a string column', 'column', {}],
  ['a text model', 'text', {}],
  ['token ids', 'ids', {}],
  ['a mixed pipeline', 'mixed', {}],
  ['an int8 model', 'identity-int8', {}],
  ['a bool model', 'identity-bool', {}],
  ['a model that takes nothing', 'no-inputs', {}],
  ['a scalar', 'scalar', {}],
  ['an unknown rank', 'unknown-rank', {}],
  ['an input with a wrapper’s name', 'wrapper-name', {}],
  ['an input that is optional', 'default-input', {}],
  ['an image', 'cnn-fixed', {}],
  ['an image of open height and width', 'conv-open', {}],
  ['recurrent state', 'gru-state', {}],
  ['FEATURES', 'four_features', { FEATURES: "a,b,it's,d $HOME" }],
  ['a model that divides by its input', 'divide', {}],
  ['an API_KEY', 'model', { API_KEY: 'secret,"other"' }],
  ['a MODEL_NAME', 'model', { MODEL_NAME: "it's" }],
  ['a HOST of its own', 'model', { HOST: '127.0.0.1' }],
])('The Try line for %s is answered with 200 as it stands', async (_what, name, env) => {
  const server = await startServer(name, env);
  const key = 'API_KEY' in env ? { API_KEY: 'secret' } : {};
  const { line, status, body } = await paste(server.stdout(), key);
  expect({ status, line }).toEqual({ status: 200, line });
  expect(body).not.toHaveProperty('error');
  expect(server.stdout()).not.toContain('secret');
});

test('The Try line for a body above 1 KB asks for it', async () => {
  // Eight rows and columns become 64: dim_value is field 1 of a dimension, which is field 1 of a shape.
  const image = join(folder, 'image.onnx');
  writeFileSync(image, replaced('image', '0a020808', '0a020840'));
  const server = await startServer(image);
  expect(server.stdout()).toContain('float32[N,3,64,64]');
  const { line, status } = await paste(server.stdout());
  expect(line).toMatch(/^curl -s \S+\/predict \| curl -d @- \S+\/predict$/);
  expect(line.length).toBeLessThan(1024);
  expect(status).toBe(200);
});

test.each(["it's $HM", 'a"b`id`\\', '€ %s\\n'])(
  'The Try line for an input named %j is answered with 200',
  async (name) => {
    const model = join(folder, 'quoted.onnx');
    const hex = (text: string) => Buffer.from(text).toString('hex');
    writeFileSync(model, replaced('add', hex('feature1'), hex(name).slice(0, 16)));
    const server = await startServer(model);
    const { status } = await paste(server.stdout());
    expect(status).toBe(200);
  },
);

test.each(["it's", 'model (1)', 'a b&c;d', '$(id)`'])(
  'The Try lines of two models, one of them named %j, are answered with 200',
  async (name) => {
    const models = mkdtempSync(join(folder, 'names-'));
    for (const file of [name, 'z']) cpSync(modelPath('add'), join(models, `${file}.onnx`));
    const server = await startServer(models);
    const lines = server.stdout().match(/^Try: .*$/gm) ?? [];
    expect(lines).toHaveLength(2);
    for (const line of lines) expect((await paste(line)).status).toBe(200);
  },
);

test('A command-line argument wins over MODEL_PATH, and MODEL_PATH over the bundled model', async () => {
  const both = await startServer('single', { MODEL_PATH: modelPath('whole') });
  expect(both.stdout()).toMatch(/^single /m);
  const child = launch([], { MODEL_PATH: modelPath('whole') });
  const [log] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  expect(String(log)).toContain('whole.onnx');
});

test.each([
  ['127.0.0.1', /^Try: .* http:\/\/127\.0\.0\.1:\d+\/predict$/m],
  ['::1', /^Try: .* http:\/\/\[::1\]:\d+\/predict$/m],
  ['0.0.0.0', /^Try: .* http:\/\/localhost:\d+\/predict$/m],
])('The Try line names HOST=%s unless it is a wildcard', async (host, line) => {
  const child = launch([modelPath('single')], { HOST: host });
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += chunk;
  });
  await until(() => /^Try: /m.test(log));
  expect(log).toMatch(line);
});

test('PORT=0 takes a free port and logs which', async () => {
  const servers = await Promise.all([startServer('single'), startServer('single')]);
  expect(servers[0].port).not.toBe(servers[1].port);
  for (const { port } of servers) expect((await ask(port, '/health')).body).toEqual({ status: 'ok' });
});

test('A server on all interfaces answers over IPv4 and IPv6', async () => {
  const { port } = await startServer('single');
  for (const host of ['127.0.0.1', '::1'])
    expect((await ask(port, '/health', undefined, { host })).status).toBe(200);
});

test('A model that no made-up input fits is served, and the boot log says so', async () => {
  const server = await startServer('parse-number');
  expect(server.stdout()).toContain('no made-up input fits');
  expect(server.stdout()).not.toMatch(/^Try:/m);
  const reply = await ask(server.port, '/predict', { x: '1.5' });
  expect(reply.body).toEqual({ prediction: 1.5 });
});

test.each([
  ['an input with a wrapper’s name', 'wrapper-name', /^ {2}note: send the input inputs as \{"instances": /m],
  ['an output that is left out', 'sequence-and-tensor', /^ {2}note: .*parts/m],
])('The boot log notes %s', async (_what, model, note) => {
  expect((await startServer(model)).stdout()).toMatch(note);
});

const failures: [what: string, args: string[], env: NodeJS.ProcessEnv, named: string][] = [
  ['a missing file', ['no/such.onnx'], {}, 'no/such.onnx'],
  ['a MODEL_PATH that is missing', [], { MODEL_PATH: 'no/such.onnx' }, 'no/such.onnx'],
  ['a directory', [folder], {}, folder],
  ['a garbage file', [garbage], {}, garbage],
  ['an empty file', [empty], {}, empty],
  ['a path through a file', [join(garbage, 'x.onnx')], {}, garbage],
  ['an unknown operator', [modelPath('unknown-op')], {}, 'Magic'],
  ['an unknown domain', [modelPath('unknown-domain')], {}, 'com.example'],
  ['missing external data', [modelPath('external-missing')], {}, 'gone.onnx.data'],
  ['a bfloat16 input', [modelPath('bfloat16')], {}, 'bfloat16'],
  ['a float8 input', [modelPath('float8')], {}, 'float8'],
  ['an int4 input', [modelPath('int4-input')], {}, 'int4'],
  ['an int4 output', [modelPath('int4-output')], {}, 'int4'],
  ['a uint4 output', [modelPath('uint4-output')], {}, 'uint4'],
  ['a sequence input', [modelPath('sequence-input')], {}, 'input'],
  ['a map input', [modelPath('map-input')], {}, 'input'],
  ['no output that can be served', [modelPath('sequence-only')], {}, 'output'],
  ['a PORT that is text', [], { PORT: 'http' }, 'PORT'],
  ['a HOST that is not here', [], { HOST: '203.0.113.1' }, '203.0.113.1'],
  ['a HOST that conda has set', [], { HOST: 'x86_64-conda-linux-gnu' }, 'HOST to an address of this machine'],
  ['a HOST that does not exist', [], { HOST: 'no-such-host.invalid' }, 'no-such-host.invalid'],
  ['a MODEL_NAME with a slash', [], { MODEL_NAME: 'a/b' }, 'MODEL_NAME'],
  ['a MODEL_NAME with a colon', [], { MODEL_NAME: 'iris:2' }, 'MODEL_NAME'],
  ['FEATURES with a name twice', [modelPath('four_features')], { FEATURES: 'a,b,c,a' }, 'FEATURES'],
  ['FEATURES of a wrong count', [modelPath('four_features')], { FEATURES: 'a,b' }, 'FEATURES'],
  ['FEATURES with the input’s name', [modelPath('four_features')], { FEATURES: 'a,b,c,x' }, 'FEATURES'],
  ['FEATURES for rows of a fixed number', [modelPath('fixed-rows')], { FEATURES: 'a,b' }, 'FEATURES'],
  ['FEATURES for a model of several inputs', [], { FEATURES: 'a,b,c,d' }, 'FEATURES'],
  ['an empty key in API_KEY', [], { API_KEY: 'a,,b' }, 'API_KEY'],
  ['a BODY_LIMIT that is text', [], { BODY_LIMIT: 'much' }, 'BODY_LIMIT'],
  ['a MAX_BATCH of 0', [], { MAX_BATCH: '0' }, 'MAX_BATCH'],
  ['a MAX_QUEUE of 0', [], { MAX_QUEUE: '0' }, 'MAX_QUEUE'],
  ['a TIMEOUT of 0', [], { TIMEOUT: '0' }, 'TIMEOUT'],
  ['a WEB_CONCURRENCY of 0', [], { WEB_CONCURRENCY: '0' }, 'WEB_CONCURRENCY'],
  ['a LOG_FORMAT without a token', [], { LOG_FORMAT: 'xml' }, 'LOG_FORMAT'],
];

test.each(failures)('%s is one line on stderr and exit code 1', async (_what, args, env, named) => {
  const { stdout, stderr, code } = await launchAndEnd(args, env);
  expect(stderr).toContain(named);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).not.toMatch(/^ {2,}at |node:internal|dist\/|Error:/m);
  expect(stdout).toMatch(/^(Loading [^\n]+\n)?$/);
  expect(code).toBe(1);
});

test.each(['1', '2'])(
  'A boot error is said once, under a parent with IPC too (WEB_CONCURRENCY=%s)',
  async (processes) => {
    const env = { WEB_CONCURRENCY: processes };
    const child = launch(['no/such.onnx'], env, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const [stderr, [code]] = await Promise.all([
      text(child.stderr as NodeJS.ReadableStream),
      once(child, 'exit'),
    ]);
    expect(stderr).toMatch(/^no\/such\.onnx: there is no such file[^\n]*\n$/);
    expect(code).toBe(1);
  },
);

test('A model that crashes the runtime is named before', async () => {
  const path = modelPath('crash');
  const { stdout, code } = await launchAndEnd([path]);
  expect({ stdout, code }).toEqual({ stdout: `Loading ${path}\n`, code: null });
});

test('A taken port is one line on stderr and exit code 1', async () => {
  const { port } = taken.address() as net.AddressInfo;
  const { stdout, stderr, code } = await launchAndEnd([], { PORT: String(port) });
  expect(stderr).toMatch(new RegExp(`^[^\\n]*port ${port}[^\\n]*PORT[^\\n]*\\n$`));
  expect(stdout).toMatch(/^(Loading [^\n]+\n)?$/);
  expect(code).toBe(1);
});

test.each([
  ['PORT', '65536'],
  ['PORT', '-1'],
  ['PORT', '3000.5'],
  ['FEATURES', 'a,,b'],
  ['API_KEY', 'schlüssel'],
  ['API_KEY', 'two words'],
  ['API_KEY', ','],
  ['BODY_LIMIT', '0'],
  ['BODY_LIMIT', '-1mb'],
  ['BODY_LIMIT', '10 megabytes'],
  ['BODY_LIMIT', '1e3'],
  ['MAX_BATCH', 'many'],
  ['MAX_BATCH', '-1'],
  ['MAX_QUEUE', '1.5'],
  ['MAX_QUEUE', 'NaN'],
  ['TIMEOUT', '25s'],
  ['TIMEOUT', '-1'],
  ['TIMEOUT', 'Infinity'],
  ['WEB_CONCURRENCY', 'auto'],
  ['WEB_CONCURRENCY', '1e9'],
  ['THREADS', '-2'],
  ['THREADS', '1.5'],
  ['CORS_ORIGIN', 'example.com'],
  ['CORS_ORIGIN', 'https://example.com/'],
  ['CORS_ORIGIN', 'https://example.com,https://Example.org'],
  ['CORS_ORIGIN', 'https://*.example.com'],
  ['CORS_ORIGIN', 'https://example.com?x=1'],
  ['CORS_ORIGIN', 'https://me:secret@example.com'],
  ['CORS_ORIGIN', 'https://example.com:port'],
  ['CORS_ORIGIN', 'https://müller.de'],
  ['CORS_ORIGIN', 'https://example.com,*.example.org'],
  ['KEEP_ALIVE', '0'],
  ['KEEP_ALIVE', 'long'],
  ['API_KEY', ' '],
  ['API_KEY', '"secret"'],
  ['HOST', "'0.0.0.0'"],
  ['PORT', '"3000"'],
  ['MODEL_PATH', '"a.onnx,b.onnx"'],
  ['MODEL_NAME', '"iris"'],
  ['FEATURES', "'a,b'"],
  ['LOG_FORMAT', '"json"'],
  ['LOG_FORMAT', "':method :url'"],
  ['CORS_ORIGIN', '"https://example.com"'],
  ['MODEL_PATH', 'a.onnx,,b.onnx'],
])('%s=%s makes no sense and is named', (variable, value) => {
  expect(() => readOptions({ [variable]: value })).toThrow(new RegExp(`^[^\\n]*${variable}[^\\n]*$`));
});

test.each(['xml', ':method :nonsense', 'none', ':tiny', ':compile', ':status :req', ':res[]'])(
  'LOG_FORMAT=%s makes no sense and stops the boot',
  async (format) => {
    await expect(serveModel('single', { LOG_FORMAT: format })).rejects.toThrow(/^LOG_FORMAT must be .*$/);
  },
);

test.each<[string, string, string, unknown]>([
  ['PORT', ' 8080\r', 'port', 8080],
  ['HOST', '127.0.0.1\r', 'host', '127.0.0.1'],
  ['HOST', ' ', 'host', undefined],
  ['PORT', ' ', 'port', 3000],
  ['MODEL_PATH', ' a.onnx , b.onnx\r\n', 'modelPaths', ['a.onnx', 'b.onnx']],
  ['MODEL_NAME', 'iris\r', 'modelName', 'iris'],
  ['API_KEY', ' old , new\r', 'apiKeys', ['old', 'new']],
  ['LOG_FORMAT', 'json\r', 'logFormat', 'json'],
  ['LOG_FORMAT', '":method" ":url"', 'logFormat', '":method" ":url"'],
  ['KEEP_ALIVE', '610', 'keepAlive', 610_000],
  ['TIMEOUT', '0.5 ', 'timeout', 500],
  ['FEATURES', 'a,"age_(20, 30]"', 'features', ['a', 'age_(20, 30]']],
  ['FEATURES', '"a, b" , "c ""d""",e "f" g', 'features', ['a, b', 'c "d"', 'e "f" g']],
  ['OUTPUTS', '"label, first",probabilities\r', 'outputs', ['label, first', 'probabilities']],
  ['OUTPUTS', '"label"', 'outputs', ['label']],
  ['CORS_ORIGIN', 'http://localhost:5173,capacitor://localhost', 'corsOrigins', ['http://localhost:5173', 'capacitor://localhost']], // biome-ignore format: rows
])('%s=%j is read', (variable, value, option, expected) => {
  expect(readOptions({ [variable]: value })).toHaveProperty(option, expected);
});

test.each<[NodeJS.ProcessEnv, number, string]>([
  [{}, 8080, '/opt/ml/model'],
  [{ PORT: '9000' }, 9000, '/opt/ml/model'],
  [{ MODEL_PATH: 'my.onnx', PORT: '' }, 8080, 'my.onnx'],
])('The argument serve means SageMaker, with %j', (env, port, path) => {
  expect(readOptions(env, ['serve'])).toMatchObject({ port, modelPaths: [path] });
});

test('A variable that is empty is as good as none', () => {
  const variables = ['PORT', 'HOST', 'MODEL_PATH', 'MODEL_NAME', 'FEATURES', 'API_KEY', 'BODY_LIMIT'];
  const more = [
    'MAX_BATCH',
    'MAX_QUEUE',
    'TIMEOUT',
    'KEEP_ALIVE',
    'WEB_CONCURRENCY',
    'THREADS',
    'LOG_FORMAT',
    'CORS_ORIGIN',
  ];
  const env = Object.fromEntries([...variables, ...more].map((name) => [name, '']));
  expect(readOptions(env)).toEqual(readOptions({}));
});
