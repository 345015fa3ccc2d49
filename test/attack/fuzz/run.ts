// Cases in worker processes, each watched from here: what a worker does not survive, or never ends, is a failure of its case.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../../bundle';
import { root } from '../../fixtures/make';
import { type Oracle } from './oracles';
import { type Plant } from './plants';
import { type Target } from './targets';
import { type Failure, type FromWorker, type Plan, progressFile } from './protocol';

export interface Options {
  cases: number;
  seed: number;
  /** That case alone. */
  only?: number;
  target?: Target;
  plant?: Plant;
  without?: readonly Oracle[];
  workers?: number;
  /** Without a new case for so long, by the clock, a worker hangs. */
  hangAfter?: number;
  onFailure?: (failure: Failure) => void;
}

export interface Result {
  failures: Failure[];
  outcomes: Record<string, number>;
  /** The most that a case took of the processor, in milliseconds. */
  mostCpu: number;
  seconds: number;
}

const HEAP_MB = 1024;
/** No case waits for anything: thousands of times what it takes, so that a busy machine fails none. */
const HANG_MS = 30_000;
const POLL_MS = 250;

export async function fuzz(options: Options): Promise<Result> {
  await bundle('fuzz-worker');
  const started = performance.now();
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'safe-lora-fuzz-'));
  const result: Result = { failures: [], outcomes: {}, mostCpu: 0, seconds: 0 };
  const workers = options.only === undefined ? Math.min(options.workers ?? 4, options.cases) : 1;
  try {
    await Promise.all(Array.from({ length: workers }, (_, i) => work(folder, i, workers, options, result)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  result.seconds = (performance.now() - started) / 1000;
  return result;
}

/** Workers one after the other, until every step-th case was run. */
async function work(parent: string, number: number, step: number, options: Options, result: Result): Promise<void> {
  const { seed, only, target, plant, without = [] } = options;
  const end = only === undefined ? options.cases : only + 1;
  let first = only ?? number;
  for (let turn = 0; first < end; turn++) {
    const folder = join(parent, `${number}-${turn}`);
    mkdirSync(folder);
    const plan: Plan = {
      folder,
      seed,
      first,
      end,
      step,
      without,
      ...(target ? { only: target } : {}),
      ...(plant ? { plant } : {}),
    };
    const died = await runWorker(plan, options.hangAfter ?? HANG_MS, (message) => {
      take(message, options, result);
    });
    if (died === null) return;
    take({ type: 'failure', failure: { ...died, target: target ?? plant ?? '', trace: [] } }, options, result);
    first = died.case + step;
  }
}

/** @returns what it died of; null where it came to its end */
async function runWorker(
  plan: Plan,
  hangAfter: number,
  onMessage: (message: FromWorker) => void,
): Promise<Pick<Failure, 'oracle' | 'case' | 'message'> | null> {
  const path = join(root, 'dist', 'fuzz-worker.cjs');
  const worker = fork(path, [JSON.stringify(plan)], {
    execArgv: [`--max-old-space-size=${HEAP_MB}`],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    cwd: plan.folder,
  });
  let [isDone, hangs, stderr] = [false, false, ''];
  worker.stderr!.on('data', (text: Buffer) => (stderr = (stderr + text.toString()).slice(-2000)));
  worker.on('message', (message: FromWorker) => {
    isDone ||= message.type === 'done';
    onMessage(message);
  });
  let [at, since] = ['', performance.now()];
  const timer = setInterval(() => {
    const now = progressOf(plan.folder);
    if (now !== at) [at, since] = [now, performance.now()];
    // Before the first case everything is made.
    if (at === '' || performance.now() - since < hangAfter) return;
    hangs = true;
    worker.kill('SIGKILL');
  }, POLL_MS);
  const [status, signal] = (await once(worker, 'close')) as [number | null, string | null];
  clearInterval(timer);
  if (isDone && status === 0) return null;
  at = progressOf(plan.folder);
  if (at === '') throw new Error(`a worker did not start: ${stderr}`);
  if (hangs) return { oracle: 'hang', case: Number(at), message: `no end after ${hangAfter / 1000} s` };
  const oracle = stderr.includes('out of memory') ? 'memory' : 'exception';
  return { oracle, case: Number(at), message: `the process ended with ${signal ?? status}: ${stderr.slice(0, 500)}` };
}

function progressOf(folder: string): string {
  try {
    return readFileSync(progressFile(folder), 'utf8').trim();
  } catch {
    return '';
  }
}

function take(message: FromWorker, { onFailure, without = [] }: Options, result: Result): void {
  if (message.type === 'failure') {
    if (without.includes(message.failure.oracle)) return;
    result.failures.push(message.failure);
    onFailure?.(message.failure);
    return;
  }
  result.mostCpu = Math.max(result.mostCpu, message.mostCpu);
  for (const [key, count] of Object.entries(message.outcomes))
    result.outcomes[key] = (result.outcomes[key] ?? 0) + count;
}
