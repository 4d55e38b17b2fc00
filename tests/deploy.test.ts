import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parse } from 'yaml';
import { freePort, killServers, startServer } from './process';
import { root } from './serve';

const folder = mkdtempSync(join(tmpdir(), 'deploy-'));

afterEach(killServers);
afterAll(() => rmSync(folder, { recursive: true }));

const readme = ['README.md', 'routes/README.md']
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The code of README.md in a language. */
function codeIn(language: string): string {
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1] ?? '';
}

interface End {
  code: number;
  said: string;
}

/** Runs a command to its end, and gives all that it said. */
function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) {
  return new Promise<End>((resolve) => {
    execFile(command, args, options, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr }),
    );
  });
}

describe('The Dockerfile of README.md', () => {
  const dockerfile = codeIn('dockerfile');
  const lines = dockerfile.replaceAll('\\\n', '').trim().split('\n');
  const argument = (instruction: string) =>
    lines.find((line) => line.startsWith(`${instruction} `))?.slice(instruction.length + 1) ?? '';

  test('is eight lines, of glibc, and without root', () => {
    expect(dockerfile.trim().split('\n')).toHaveLength(8);
    expect(argument('FROM')).toMatch(/^node:\d+-slim$/);
    expect(argument('USER')).toBe('node');
    expect(JSON.parse(argument('CMD'))).toEqual(['node', 'dist/app.js']);
  });

  test('runs scripts that there are, and leaves the binaries of its own platform', () => {
    const steps = argument('RUN').split(' && ');
    for (const [, script] of argument('RUN').matchAll(/npm run (\w+)/g))
      expect(scripts).toHaveProperty(script);
    const binaries = join('node_modules', 'onnxruntime-node', 'bin');
    const there = readdirSync(join(root, binaries), { recursive: true, withFileTypes: true });
    for (const entry of there) {
      if (entry.isDirectory())
        mkdirSync(join(folder, entry.parentPath.slice(root.length), entry.name), { recursive: true });
    }
    const [api] = readdirSync(join(folder, binaries));
    expect(readdirSync(join(folder, binaries, api)).length).toBeGreaterThan(1);
    execFileSync('sh', ['-c', steps.at(-1) ?? 'false'], { cwd: folder });
    const left = readdirSync(join(folder, binaries, api), { recursive: true }).map(String);
    expect(left.filter((path) => path.includes('/'))).toEqual([`linux/${process.arch}`]);
  });

  test('has a health check that tells', async () => {
    const [command, ...args] = JSON.parse(argument('HEALTHCHECK').replace(/^.*?CMD /, ''));
    expect(command).toBe('node');
    const { port } = await startServer('single');
    const check = (to: number) => run(process.execPath, args, { env: { PORT: String(to) } });
    expect(await check(port)).toEqual({ code: 0, said: '' });
    expect(await check(await freePort())).toMatchObject({ code: 1 });
  });
});

test('The KServe YAML of README.md is an InferenceService whose ports and variables go together', () => {
  const { apiVersion, kind, metadata, spec } = parse(codeIn('yaml'));
  expect({ apiVersion, kind }).toEqual({ apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService' });
  expect(metadata.name).toMatch(/^[a-z][-a-z0-9]*$/);
  const { minReplicas, maxReplicas, containers } = spec.predictor;
  expect(minReplicas).toBeLessThan(maxReplicas);
  const [{ name, image, env, ports, readinessProbe }, ...others] = containers;
  expect(others).toEqual([]);
  expect({ name, image }).toEqual({ name: 'kserve-container', image: expect.stringMatching(/^\S+\/\S+$/) });
  const variables = Object.fromEntries(
    env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );
  for (const [variable, value] of Object.entries(variables)) {
    expect(readme).toMatch(new RegExp(`^\\| (\`\\w+\`, )?\`${variable}\``, 'm'));
    // Kubernetes takes no numbers here.
    expect(typeof value).toBe('string');
  }
  const port = Number(variables.PORT);
  expect(ports).toEqual([{ containerPort: port }]);
  expect(readinessProbe.httpGet).toEqual({ path: '/health', port });
});

describe('npm start', () => {
  // What npm puts before it would find the compiler.
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
  const env = { HOME: process.env.HOME, PATH: path.join(delimiter) };
  const checkout = (name: string): string => {
    const cwd = join(folder, name);
    mkdirSync(cwd);
    for (const file of ['package.json', 'tsconfig.json']) cpSync(join(root, file), join(cwd, file));
    return cwd;
  };

  test('without the compiler says how to get it', async () => {
    const { code, said } = await run('npm', ['start'], { cwd: checkout('bare'), env });
    expect(said).toMatch(/npm ci --include=dev\.\s*$/);
    expect(code).toBe(1);
  });

  test('with a mistake in the code says nothing of that', async () => {
    const cwd = checkout('mistake');
    symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'));
    writeFileSync(join(cwd, 'app.ts'), 'const port: number = "three thousand";\nconsole.log(port);\n');
    const { code, said } = await run('npm', ['start'], { cwd, env });
    expect(said).toContain('app.ts(1,7): error TS2322');
    expect(said).not.toContain('npm ci');
    expect(code).toBe(1);
  });
});
