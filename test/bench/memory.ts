// How much memory a process and its descendants hold together, watched from outside.
import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds between two looks. */
const INTERVAL = 25;

/**
 * Watches the proportional set size (Pss of /proc/PID/smaps_rollup) of a process and all its descendants, so that pages which they
 * share, such as onnxruntime's library, count once. The page cache of files that are read does not count.
 */
export class PeakMemory {
  private peak = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly pid: number) {
    this.timer = setInterval(() => {
      this.look();
    }, INTERVAL);
  }

  /** @returns MiB, or null where the system has no /proc */
  stop(): number | null {
    clearInterval(this.timer);
    return this.peak === 0 ? null : this.peak / 2 ** 20;
  }

  private look(): void {
    const sum = descendants(this.pid).reduce((bytes, pid) => bytes + proportionalSize(pid), 0);
    this.peak = Math.max(this.peak, sum);
  }
}

function descendants(pid: number): number[] {
  return [pid, ...listed(`/proc/${pid}/task`).flatMap((task) => childrenOf(pid, task).flatMap(descendants))];
}

function childrenOf(pid: number, task: string): number[] {
  return (read(`/proc/${pid}/task/${task}/children`).match(/\d+/g) ?? []).map(Number);
}

function proportionalSize(pid: number): number {
  return 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** A process may end between two reads, and then holds nothing. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
