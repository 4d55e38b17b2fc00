import { type ExecFileSyncOptions, execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';

/** The first interpreter that can import all of these modules. */
export function findPython(modules: string[]): string | undefined {
  const names = [process.env.PYTHON, '/usr/bin/python3', 'python3'];
  return names.find((python) => python && spawnSync(python, ['-c', `import ${modules}`]).status === 0);
}

/** Runs a script and gives what it prints. */
export function runPython(python: string, ...args: string[]): string {
  const run = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (run.status !== 0) throw new Error(`${python} ${args.join(' ')} failed`);
  return run.stdout.trim();
}

/** Versions of the interpreter and of those of the packages that are installed. */
export function pythonVersions(python: string, packages: string[]): string {
  const script = `
import importlib.metadata, platform, sys
found = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
names = [f"{name} {found[name]}" for name in sys.argv[1:] if name in found]
print("Python", ", ".join([platform.python_version(), *names]))`;
  return runPython(python, '-c', script, ...packages);
}

/** The Python of a new environment in a folder that has the packages of a file. Throws where PyPI does not answer. */
export function installPackages(folder: string, requirements: string): string {
  const environment = path.join(folder, 'venv');
  const quietly: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync(process.env.PYTHON ?? 'python3', ['-m', 'venv', environment], quietly);
  const python = path.join(environment, 'bin', 'python');
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements], quietly);
  return python;
}
