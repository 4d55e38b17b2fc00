import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, killServers, launchAndEnd, startServer } from './process';
import { modelPath, root } from './serve';

afterEach(killServers);

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

test.each(['--version', '-v'])('%s prints the version', async (option) => {
  expect(await launchAndEnd([option])).toEqual({ stdout: `${version}\n`, stderr: '', code: 0 });
});

test.each([['--help'], ['-h'], ['model.onnx', '--help'], ['--version', '--help']])(
  '%s prints how to start it, and every variable of README.md',
  async (...args) => {
    const { stdout, stderr, code } = await launchAndEnd(args, { PORT: 'nonsense' });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const variables = [...readme.matchAll(/^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|/gm)].flatMap(
      ([, names]) => names.match(/[A-Z_]+/g) ?? [],
    );
    expect(variables.length).toBeGreaterThan(10);
    for (const name of variables) expect(stdout).toMatch(new RegExp(`^ {2}.*\\b${name}\\b.* {2}`, 'm'));
    expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(110);
  },
);

test.each([
  [['--port'], '--port'],
  [['--port', '80'], '--port'],
  [['--port=80'], '--port'],
  [['-p', '80'], '-p'],
  [['model.onnx', '--verbose'], '--verbose'],
  [['--help=yes'], '--help'],
  [['--no-help'], '--no-help'],
  [['--__proto__'], '--__proto__'],
])('%j is one line that names the option, and exit code 1', async (args, named) => {
  for (const env of [{}, { WEB_CONCURRENCY: '2' }]) {
    const { stdout, stderr, code } = await launchAndEnd(args, env);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toContain(named);
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  }
});

test('What stands behind -- is a model', async () => {
  const { stderr, code } = await launchAndEnd(['--', '--help']);
  expect(stderr).toMatch(/^--help: there is no such file/);
  expect(code).toBe(1);
  const server = await startServer(modelPath('single'));
  expect((await ask(server.port, '/predict', { x: [1, 2, 3] })).status).toBe(200);
});
