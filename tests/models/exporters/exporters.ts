import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installPackages } from '../../bench/python';
import { root } from '../../serve';

// Makes the models of this folder anew, by exporters from PyPI, and runs the Python of model/README.md: npm run exporters

const scripts = path.join(root, 'tests', 'models', 'exporters');

function main(): void {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-exporters-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const python = installPackages(path.join(folder, 'venv'), path.join(scripts, 'requirements.txt'));
  // TensorFlow and PyTorch are kept apart.
  for (const family of ['sklearn', 'torch', 'keras']) {
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

main();
