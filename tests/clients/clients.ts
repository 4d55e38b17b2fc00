import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installPackages } from '../bench/python';
import { bundledModel } from '../bench/scenarios';
import { startServer } from '../process';
import { modelPath, root } from '../serve';

// Drives the built server with other servers' own Python clients and the usual HTTP ones, installed from PyPI: npm run clients

const scripts = path.join(root, 'tests', 'clients');

/** Which client asks which models; the first model of the server is the bundled one. */
const asks: Record<string, string[]> = {
  ask_by_triton: [
    ...['float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64'],
    ...['uint8', 'uint16', 'uint32', 'uint64', 'bool', 'string'],
  ]
    .map((type) => `identity-${type}`)
    .concat('add', 'two-outputs', 'logreg', 'mixed', 'whole'),
  ask_by_kserve: ['identity-float32'],
  ask_by_mlflow: ['0-iris'],
  ask_by_http: ['identity-float32'],
};

async function main(): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-clients-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const python = installPackages(path.join(folder, 'venv'), path.join(scripts, 'requirements.txt'));
  const models = path.join(folder, 'models');
  mkdirSync(models);
  // By name the first.
  symlinkSync(bundledModel, path.join(models, '0-iris.onnx'));
  for (const name of new Set(Object.values(asks).flat())) {
    if (name !== '0-iris') symlinkSync(modelPath(name), path.join(models, `${name}.onnx`));
  }
  const server = await startServer(models, { LOG_FORMAT: 'off' });
  for (const [script, names] of Object.entries(asks)) {
    for (const name of names) {
      const args = [path.join(scripts, `${script}.py`), `127.0.0.1:${server.port}`, name];
      const { status, stdout, stderr } = spawnSync(python, args, { encoding: 'utf8' });
      console.log(script.padEnd(14), name.padEnd(17), status === 0 ? stdout.trim() : stderr.trim());
      if (status !== 0) process.exitCode = 1;
    }
  }
  // README.md's own example.
  const examples = readFileSync(path.join(root, 'routes', 'README.md'), 'utf8').matchAll(
    /```python\n(.*?)```/gs,
  );
  const example = [...examples].map(([, text]) => text).find((text) => text.includes('tritonclient'));
  const code = String(example)
    .replace('localhost:3000', `127.0.0.1:${server.port}`)
    .replace('"model"', '"0-iris"');
  const { status, stdout, stderr } = spawnSync(python, ['-c', code], { encoding: 'utf8' });
  // Two rows of three probabilities.
  const isRight = status === 0 && stdout.trim().split('\n').length === 2;
  console.log('README.md'.padEnd(14), isRight ? 'all is well' : stdout + stderr);
  if (!isRight) process.exitCode = 1;
  server.child.kill('SIGTERM');
  await server.exited;
}

void main().catch((error) => {
  console.error(error);
  process.exit(1);
});
