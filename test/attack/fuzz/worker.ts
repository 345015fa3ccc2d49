// Runs every so many-th case of a seed in this process: worker.ts PLAN, with `Plan` as JSON.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SafeLoraError } from '../../../src/core/errors';
import { MOST_CPU_MS, MOST_MEMORY, type Oracle, oracles, Violation } from './oracles';
import { plants } from './plants';
import { type FromWorker, type Plan, progressFile } from './protocol';
import { Random } from './random';
import { Range, type Target, targets } from './targets';
import { Case } from './walk';

class Worker {
  private readonly outcomes: Record<string, number> = {};
  private readonly watched: ReadonlySet<Oracle>;
  private readonly progress: number;
  private mostCpu = 0;
  /** An error that nobody waited for. */
  private stray: unknown;

  constructor(
    private readonly plan: Plan,
    private readonly range: Range,
    private readonly fifo: string,
  ) {
    this.watched = new Set(oracles.filter((oracle) => !plan.without.includes(oracle)));
    this.progress = openSync(progressFile(plan.folder), 'w');
    for (const event of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(event, (error: unknown) => {
        this.stray ??= error;
      });
  }

  async run(): Promise<void> {
    const { first, end, step } = this.plan;
    const before = process.memoryUsage.rss();
    for (let at = first; at < end; at += step) {
      writeSync(this.progress, String(at).padEnd(12), 0);
      await this.one(at);
    }
    closeSync(this.progress);
    const memory = process.memoryUsage.rss() - before;
    if (memory > MOST_MEMORY) await this.tell('memory', end - step, 'all', `${memory} bytes more after all cases`, []);
    await send({ type: 'done', outcomes: this.outcomes, mostCpu: this.mostCpu, memory });
  }

  private async one(at: number): Promise<void> {
    let cpu = await this.timed(at);
    // A second time: the first may have paid for code that was compiled, or garbage that was collected.
    if (cpu > MOST_CPU_MS) cpu = Math.min(cpu, await this.timed(at, false));
    this.mostCpu = Math.max(this.mostCpu, cpu);
    if (cpu > MOST_CPU_MS) await this.tell('slow', at, this.targetOf(at), `${Math.round(cpu)} ms of the processor`, []);
  }

  /** @returns milliseconds of the processor */
  private async timed(at: number, tells = true): Promise<number> {
    const [started, peak, rss] = [process.cpuUsage(), process.resourceUsage().maxRSS, process.memoryUsage.rss()];
    const root = join(this.plan.folder, 'case');
    const random = new Random(this.plan.seed, at);
    const target = this.targetOf(at, random);
    mkdirSync(root);
    const c = new Case(root, random, this.watched, this.fifo);
    try {
      await (this.plan.plant ? plants[this.plan.plant](c) : this.range.run(target as Target, c));
      c.around.check();
      this.throwStray();
    } catch (error) {
      const oracle = error instanceof Violation ? error.oracle : 'exception';
      const message = error instanceof Violation ? error.message : stackOf(error);
      if (tells && this.watched.has(oracle)) await this.tell(oracle, at, target, message, c.trace);
    } finally {
      process.chdir(this.plan.folder);
      rmSync(root, { recursive: true, force: true });
    }
    const { user, system } = process.cpuUsage(started);
    if (tells) this.count(target, c.refusals);
    const now = process.resourceUsage().maxRSS;
    const grown = 1024 * now - rss;
    if (tells && now > peak && grown > MOST_MEMORY)
      await this.tell('memory', at, target, `${grown} bytes more`, c.trace);
    return (user + system) / 1000;
  }

  private targetOf(at: number, random = new Random(this.plan.seed, at)): string {
    const drawn = random.pick(targets);
    return this.plan.plant ?? this.plan.only ?? drawn;
  }

  private throwStray(): void {
    const { stray } = this;
    this.stray = undefined;
    if (stray instanceof SafeLoraError) throw new Error('an error that nobody waited for', { cause: stray });
    if (stray !== undefined) throw stray as Error;
  }

  private count(target: string, refusals: readonly string[]): void {
    const key = `${target}: ${refusals[0] ?? 'done'}`;
    this.outcomes[key] = (this.outcomes[key] ?? 0) + 1;
  }

  private tell(oracle: Oracle, at: number, target: string, message: string, trace: readonly string[]): Promise<void> {
    return send({ type: 'failure', failure: { oracle, case: at, target, message, trace } });
  }
}

/** An error with the lines of its stack that are in the product. */
function stackOf(error: unknown): string {
  const { stack = '' } = error instanceof Error ? error : new Error(String(error));
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${String(error).slice(0, 300)}${cause} ${stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 4)
    .map((line) => line.trim())
    .join(' ')}`;
}

function send(message: FromWorker): Promise<void> {
  return new Promise((resolve) => process.send!(message, () => resolve()));
}

async function main(): Promise<void> {
  const plan = JSON.parse(process.argv[2]!) as Plan;
  const fifo = join(plan.folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const range = await Range.make(plan.folder);
  const worker = new Worker(plan, range, fifo);
  // What was made with the range is collected before the first case is timed.
  await delay(0);
  await worker.run();
  range.stop();
  process.disconnect();
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exit(1);
});
