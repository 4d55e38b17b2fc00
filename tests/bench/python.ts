import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '../../..');
const requirements = path.join(root, 'tests/bench/requirements.txt');
const environment = path.join(root, 'node_modules/.cache/bench-venv');

let found: string | undefined;

/** The interpreter of a virtual environment with requirements.txt from PyPI, kept between runs; undefined without. */
export function findPython(): string | undefined {
  if (found === undefined) found = madeBefore() || make();
  return found || undefined;
}

const installed = path.join(environment, 'requirements.txt');

function madeBefore(): string {
  const python = pythonIn(environment);
  const isSame =
    existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(requirements, 'utf8');
  return isSame && run(python, '-c', '') === '' ? python : '';
}

function make(): string {
  console.error(`Installing ${requirements} into ${environment}`);
  try {
    const python = installPackages(environment, requirements);
    writeFileSync(installed, readFileSync(requirements));
    return python;
  } catch (error) {
    console.error(
      `Without Python 3.11 or newer and PyPI, only what runs on Node.js is measured (${(error as Error).message})`,
    );
    return '';
  }
}

/** The interpreter of a new virtual environment with the packages of a file. Throws where PyPI does not answer. */
export function installPackages(environment: string, requirements: string): string {
  const python = pythonIn(environment);
  const base = process.env.PYTHON ?? (process.platform === 'win32' ? 'python' : 'python3');
  const failure =
    run(base, '-m', 'venv', '--clear', environment) ||
    run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', requirements);
  if (failure !== '') throw new Error(failure);
  return python;
}

function pythonIn(environment: string): string {
  // Python for Windows has another folder.
  return path.join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
}

/** Runs a command, and gives the last line of what went wrong. */
function run(command: string, ...args: string[]): string {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return '';
  return error ? error.message : (`${stdout}${stderr}`.trim().split('\n').at(-1) ?? '') || `status ${status}`;
}

/** Runs a script and gives what it prints. */
export function runPython(python: string, ...args: string[]): string {
  const run = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (run.status !== 0) throw new Error(`${python} ${args.join(' ')} failed`);
  return run.stdout.trim();
}

/** Versions of the interpreter and of the packages. */
export function pythonVersions(python: string): string {
  const names = [...readFileSync(requirements, 'utf8').matchAll(/^([\w-]+)==(\S+)$/gm)];
  const version = runPython(python, '-c', 'import platform; print(platform.python_version())');
  return [`Python ${version}`, ...names.map(([, name, of]) => `${name} ${of}`)].join(', ');
}
