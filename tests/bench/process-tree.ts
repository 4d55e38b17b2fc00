import { readdirSync, readFileSync } from 'node:fs';

/** A process and all its descendants. */
export function processTree(pid: number): number[] {
  // Each thread has children of its own.
  const children = threads(pid).flatMap((id) => readProc(`${pid}/task/${id}/children`).match(/\d+/g) ?? []);
  return [pid, ...children.map(Number).flatMap(processTree)];
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** User and system time in seconds; NaN without /proc. */
export function cpuSeconds(pids: number[]): number {
  const ticks = pids.map((pid) => {
    // utime and stime are fields 14 and 15 of proc(5); the second, the name, may hold spaces.
    const [utime, stime] = readProc(`${pid}/stat`).replace(/.*\)/s, '').split(' ').slice(12);
    return Number(utime) + Number(stime);
  });
  // USER_HZ is 100 on every Linux platform of Node.js.
  return sum(ticks) / 100;
}

/** Time that the first core spent on any process, or was taken from it by the host, in seconds. */
export function firstCoreSeconds(): number {
  const [user, nice, system, , , , , steal] = (/^cpu0 (.*)$/m.exec(readProc('stat'))?.[1] ?? '').split(' ');
  return sum([user, nice, system, steal].map(Number)) / 100;
}

/**
 * Resident memory in MB; NaN without /proc. Pages that forked processes share count once: of all but
 * the largest process, only the private ones count.
 */
export function megabytes(pids: number[]): number {
  const sizes = pids.map((pid) => ({ pid, rss: kilobytes(`${pid}/status`, 'VmRSS') }));
  const [largest, ...others] = sizes.sort((a, b) => b.rss - a.rss);
  const more = others.map(({ pid }) => kilobytes(`${pid}/smaps_rollup`, 'Private_(?:Clean|Dirty)'));
  return ((largest?.rss ?? Number.NaN) + sum(more)) / 1024;
}

function kilobytes(file: string, name: string): number {
  const lines = [...readProc(file).matchAll(new RegExp(`^${name}:\\s+(\\d+)`, 'gm'))];
  return lines.length > 0 ? sum(lines.map((line) => Number(line[1]))) : Number.NaN;
}

function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
