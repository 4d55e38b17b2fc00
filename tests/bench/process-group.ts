import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();

/** Starts a command in a process group of its own, which is killed when this process ends. */
export function startGroup([file = '', ...args]: string[], options: SpawnOptions): ChildProcess {
  const leader = spawn(file, args, { ...options, detached: true });
  running.add(leader);
  leader.once('exit', () => running.delete(leader) && kill(leader));
  leader.on('error', () => running.delete(leader));
  return leader;
}

export function isRunning(leader: ChildProcess): boolean {
  return running.has(leader);
}

/** Kills the command with all that it started. */
export async function stopGroup(leader: ChildProcess): Promise<void> {
  if (!isRunning(leader)) return;
  kill(leader);
  await once(leader, 'exit');
}

function kill({ pid }: ChildProcess): void {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: nothing of the group is left.
  }
}

process.on('exit', () => running.forEach(kill));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
