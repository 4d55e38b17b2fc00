import { spawnSync } from 'node:child_process';

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
