import { spawnSync } from 'node:child_process';
import os from 'node:os';

const taskset = spawnSync('taskset', ['--version']).status === 0;

export const pinned = taskset && os.availableParallelism() > 1;

/** The command as it runs on the core kept for servers, where there is a second one. */
export function onServerCore(command: string[]): string[] {
  return pinned ? ['taskset', '-c', '0', ...command] : command;
}

/** Moves this process, and so the load generator it starts, away from the servers' core. */
export function leaveServerCore(): void {
  if (pinned) spawnSync('taskset', ['-acp', '1', String(process.pid)]);
}
