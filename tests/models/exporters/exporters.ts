import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installPackages } from '../../bench/python';
import { root } from '../../serve';
import { checkConversions } from '../joblib/joblib';

// Makes the models of this folder anew, by exporters from PyPI, runs the Python of model/README.md, and converts saved
// models by model/convert.py: npm run exporters, or some of it, npm run exporters -- joblib sklearn torch keras

const scripts = path.join(root, 'tests', 'models', 'exporters');
const families = ['sklearn', 'torch', 'keras'];

async function main(parts: string[]): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-exporters-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  if (parts.includes('joblib') && (await checkConversions(folder)) > 0) process.exitCode = 1;
  if (families.some((family) => parts.includes(family))) makeModels(folder, parts);
}

function makeModels(folder: string, parts: string[]): void {
  const python = installPackages(path.join(folder, 'venv'), path.join(scripts, 'requirements.txt'));
  // TensorFlow and PyTorch are kept apart.
  for (const family of families.filter((family) => parts.includes(family))) {
    for (const args of [[`${family}_models.py`], ['snippets.py', family]]) {
      const { status, stderr } = spawnSync(python, args, {
        cwd: scripts,
        encoding: 'utf8',
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', TF_CPP_MIN_LOG_LEVEL: '3' },
      });
      console.log(args.join(' ').padEnd(20), status === 0 ? 'all is well' : stderr.trim());
      if (status !== 0) process.exitCode = 1;
    }
  }
}

const [, , ...parts] = process.argv;
void main(parts.length > 0 ? parts : ['joblib', ...families]).catch((error) => {
  console.error(error);
  process.exit(1);
});
