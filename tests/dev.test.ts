import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, freePort, until } from './process';
import { modelPath, root } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'dev-'));
let port: number;
let dev: ChildProcess;
let output = '';

beforeAll(async () => {
  for (const part of ['app.ts', 'routes', 'model', 'package.json', 'tsconfig.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  port = await freePort();
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: String(port) };
  dev = spawn('npm', ['run', 'dev'], { cwd: folder, env, stdio: 'pipe', detached: true });
  for (const stream of [dev.stdout, dev.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
});

afterAll(() => {
  try {
    process.kill(-(dev.pid as number), 'SIGKILL');
  } catch {
    // Ctrl-C has ended them all.
  }
  rmSync(folder, { recursive: true });
});

/** What the server says of itself; undefined where none answers. */
async function usage(): Promise<string | undefined> {
  return ask(port, '/').then(
    ({ body }) => body.usage,
    () => undefined,
  );
}

/** Changes a source file, as an editor does that saves it. */
function edit(file: string, from: string, to: string): void {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
}

// The steps of one sitting: each goes on where the one before has ended.
test('npm run dev serves, and goes on after errors, changes and a new model until Ctrl-C', async () => {
  await until(async () => (await usage())?.includes('sepal_length') === true);

  edit('routes/predict.ts', "status: 'alive'", "status: 'alive");
  await until(() => /routes\/predict\.ts.*error TS1002: Unterminated string/.test(output));
  expect(dev.exitCode).toBe(null);

  edit('routes/predict.ts', "status: 'alive", "status: 'mended'");
  await until(async () => (await ask(port, '/').catch(() => undefined))?.body.status === 'mended');

  edit('routes/predict.ts', "status: 'mended'", "status: 'mended' * 2");
  await until(() => /routes\/predict\.ts.*error TS2362:/.test(output));
  edit('routes/predict.ts', "status: 'mended' * 2", "status: 'alive'");
  await until(async () => (await ask(port, '/').catch(() => undefined))?.body.status === 'alive');

  copyFileSync(modelPath('single'), join(folder, 'model', 'model.onnx'));
  await until(async () => (await usage())?.includes('x: float32[1,3]') === true);

  // A model that cannot be loaded is told, and no end.
  writeFileSync(join(folder, 'model', 'model.onnx'), 'This is no model.');
  await until(() => /model\.onnx.* cannot be loaded|model\.onnx is not/.test(output));
  copyFileSync(modelPath('add'), join(folder, 'model', 'model.onnx'));
  await until(async () => (await usage())?.includes('feature1') === true);

  // A terminal sends it to the whole group.
  process.kill(-(dev.pid as number), 'SIGINT');
  await once(dev, 'exit');
  await until(async () => (await usage()) === undefined);
  await until(() => {
    try {
      return !process.kill(-(dev.pid as number), 0);
    } catch {
      return true;
    }
  });
});
