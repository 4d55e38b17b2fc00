import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { near } from './near';
import { killServers, startServer } from './process';
import { modelPath, root } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'readme-'));

afterAll(() => {
  killServers();
  rmSync(folder, { recursive: true });
});

const readme = ['README.md', 'routes/README.md']
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n');
const shell = promisify(execFile);

/** A shell block that asks with curl, the JSON block behind it and, in a comment before, the model and environment. */
const example = /(?:<!-- (\S+) (?:(\w+)=(\S+) )?-->\n)?```sh\n([^`]*curl [^`]*)```\n```json\n([^`]*)```/g;

const examples = [...readme.matchAll(example)].map(
  ([, model = 'model', variable, value, command, reply]) => ({
    model,
    env: variable ? { [variable]: value } : {},
    command,
    reply: JSON.parse(reply),
  }),
);

test('README.md and routes/README.md have their examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(8);
});

test.each(examples)('$command', async ({ model, env, command, reply }) => {
  const { port } = await startServer(model, env);
  const asked = command.replaceAll('localhost:3000', `localhost:${port}`).replaceAll('curl ', 'curl -sS ');
  const got = JSON.parse(execFileSync('bash', ['-c', asked], { encoding: 'utf8' }));
  expect(near(got, reply, 1e-5)).toEqual(reply);
});

describe('their TypeScript, as it stands', () => {
  const [flower, photo, withRatio] = [...readme.matchAll(/```ts\n([^`]*(?:`[^`\n]+`[^`]*)*)```/g)].map(
    ([, code]) => code,
  );
  const [, served] = /^served where `app.ts` has `(const models = .*?)`/m.exec(readme) ?? [];

  test('is ten lines at most for a route', () => {
    expect(flower.trim().split('\n').length).toBeLessThanOrEqual(10);
  });

  /** Compiles app.ts with the code put where README.md says, and serves a model with it. */
  async function serveWith(name: string, change: (app: string) => string, model: string) {
    const path = join(folder, name);
    for (const part of ['app.ts', 'routes', 'model', 'package.json', 'tsconfig.json'])
      cpSync(join(root, part), join(path, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'));
    const app = readFileSync(join(root, 'app.ts'), 'utf8');
    const changed = change(app);
    expect(changed).not.toBe(app);
    writeFileSync(join(path, 'app.ts'), changed);
    await shell(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc')], { cwd: path });
    return startServer(modelPath(model), {}, { app: join(path, 'dist', 'app.js') });
  }

  /** Routes go to their place, imports to the top. */
  const withRoute = (code: string) => (app: string) => {
    const imports = code.match(/^import .*$/gm) ?? [];
    const rest = code.replaceAll(/^import .*$/gm, '');
    const [interpreter, ...lines] = app.replace('  // Routes of your own go here.\n', () => rest).split('\n');
    return [interpreter, ...imports, ...lines].join('\n');
  };

  const curl = async (port: number, path: string, ...args: string[]) =>
    JSON.parse((await shell('curl', ['-sS', ...args, `http://localhost:${port}${path}`])).stdout);

  test('adds a route of one’s own', async () => {
    const { port } = await serveWith('flower', withRoute(flower), 'model');
    const [asked] = /^curl .*\/flower$/m.exec(readme) ?? [];
    const command = asked?.replace('localhost:3000', `localhost:${port}`).replace('curl', 'curl -sS');
    expect(JSON.parse((await shell('bash', ['-c', String(command)])).stdout)).toEqual({
      flower: 'virginica',
    });
    expect(await curl(port, '/flower', '-d', '6.3,3.3')).toEqual({
      error: 'petal_length must be an array of one value a row',
    });
  });

  test('adds a photo’s', async () => {
    const { port } = await serveWith('photo', withRoute(photo), 'image');
    const file = join(folder, 'photo.jpg');
    await sharp({ create: { width: 64, height: 48, channels: 3, background: { r: 255, g: 0, b: 128 } } })
      .jpeg({ quality: 100 })
      .toFile(file);
    const { means } = await curl(port, '/photo', '--data-binary', `@${file}`);
    expect(near(means, [1, 0, 128 / 255], 0.02)).toEqual([1, 0, 128 / 255]);
  });

  test('wraps a model', async () => {
    const wrap = (app: string) => `${app.replace('const models = loaded', () => served)}\n${withRatio}`;
    const server = await serveWith('ratio', wrap, 'model');
    const { port } = server;
    const flower = { sepal_length: 6.3, sepal_width: 3.3, petal_length: 6, petal_ratio: 0.42 };
    expect((await curl(port, '/predict', '-d', JSON.stringify(flower))).prediction).toBe('virginica');
    expect(
      (await curl(port, '/invocations', '-d', JSON.stringify({ instances: [flower] }))).predictions,
    ).toEqual(['virginica']);
    expect((await curl(port, '/predict', '-d', '{}')).error).toContain('petal_ratio: float32[N,1]');
    const [, line = 'false'] = /^Try: (.*)$/m.exec(server.stdout()) ?? [];
    expect(JSON.parse((await shell('bash', ['-c', line])).stdout)).toMatchObject({ prediction: 'setosa' });
  });
});
