import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ask, killServers, launch, startServer, until } from './process';
import { modelPath, root } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'package-'));
const installed = join(folder, 'node_modules', 'onnx-model-server');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let tarball: string;

/** What the package needs is there as if npm had installed it; its types are the app's own business. */
const besides = ['@types/express', '@types/node'];

beforeAll(() => {
  const args = ['pack', '--silent', '--pack-destination', folder];
  tarball = join(folder, execFileSync('npm', args, { cwd: root, encoding: 'utf8' }).trim());
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), ...besides]) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
  copyFileSync(modelPath('single'), join(folder, 'my.onnx'));
});

afterEach(killServers);
afterAll(() => rmSync(folder, { recursive: true }));

test('The package is under 100 KB and holds the app, its types, the model and README.md', () => {
  expect(statSync(tarball).size).toBeLessThan(100 * 1024);
  const files = readdirSync(installed, { recursive: true }).map(String);
  expect(files).toEqual(
    expect.arrayContaining(['README.md', 'dist/app.js', 'dist/app.d.ts', 'model/model.onnx']),
  );
  expect(files.filter((file) => /^dist\/tests|\.ts$(?<!\.d\.ts)|\.py$|lock/.test(file))).toEqual([]);
  expect(readdirSync(installed).sort()).toEqual(['README.md', 'dist', 'model', 'package.json']);
});

test('package.json says what a package should', () => {
  expect(manifest).toMatchObject({ license: 'MIT', engines: { node: '>=20' }, main: 'dist/app.js' });
  expect(manifest.keywords.length).toBeGreaterThan(3);
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(manifest.license);
});

test('Its bin serves a model, and without one the bundled one', async () => {
  const bin = join(folder, manifest.name);
  symlinkSync(join(installed, manifest.bin['onnx-model-server']), bin);
  const mine = await startServer(join(folder, 'my.onnx'), {}, { app: bin });
  expect((await ask(mine.port, '/predict', { x: [1, 2, 3] })).body).toEqual({ prediction: [2, 4, 6] });
  const child = launch([], {}, { app: bin });
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += chunk;
  });
  await until(() => /^Try: /m.test(log));
  expect(log).toMatch(/^model \(batched\)/m);
  expect(readFileSync(bin, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

test('An Express app of one’s own mounts a model, as routes/README.md shows', async () => {
  const [code] = /const \{ createApp, loadModel \} = require\('onnx-model-server'\);\n[^`]*/.exec(
    readFileSync(join(root, 'routes', 'README.md'), 'utf8'),
  ) ?? ['throw new Error("routes/README.md does not show it")'];
  const main = join(folder, 'own.js');
  writeFileSync(
    main,
    code.replace(/listen\(\d+\)/, 'listen(0, function () { console.log("port", this.address().port); })'),
  );
  copyFileSync(modelPath('model'), join(folder, 'iris.onnx'));
  const child = launch([], {}, { app: main, script: `cd '${folder}' && exec "$@"` });
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += chunk;
  });
  await until(() => /^port \d+$/m.test(log));
  const port = Number(/^port (\d+)$/m.exec(log)?.[1]);
  const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
  expect((await ask(port, '/iris/predict', flower)).body.prediction).toBe('setosa');
  expect((await ask(port, '/iris/nothing')).body.error).toContain('POST /iris/predict');
});

test('Its types say what createApp and loadModel take', () => {
  const compile = (code: string) => {
    writeFileSync(join(folder, 'own.ts'), code);
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      'own.ts',
    ];
    execFileSync(process.execPath, [tsc, ...flags], { cwd: folder, encoding: 'utf8' });
  };
  const good = `import express from 'express';
import { createApp, loadModel, type Model } from 'onnx-model-server';
export async function mount(): Promise<string> {
  const model: Model = await loadModel('iris.onnx', { features: ['a', 'b'] });
  express().use('/iris', createApp(model, { timeout: 1000, apiKeys: ['secret'] }));
  const { label } = await model.predict({ x: [[1, 2]] });
  await model.close();
  return String(label.at(0));
}`;
  compile(good);
  for (const [from, to] of [
    ['1000', "'1000'"],
    ["'iris.onnx'", '1'],
    ['label.at', 'label.to'],
  ])
    expect(() => compile(good.replace(from, to))).toThrow();
});
