// A process that is killed before each call that changes the disk, and at random moments: the adapter is the old one or the new
// one, its first file can be given back, and the same operation is done by running it again. KILLS=10000 tries ten thousand.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashBytes } from '../../src/core/safetensors';
import { root, temporaryFolder } from '../fixtures/make';
import { operations, pathsIn, restore } from './operations';
import { bundleProgram, makeAdapter } from './setting';

/** As a rule the calls alone are more; what is left of this number is for random moments. */
const KILLS = Number(process.env.KILLS ?? 300);
const AT_ONCE = 2;
const folder = temporaryFolder();
const killer = join(root, 'test/attack/killer.cjs');

describe('a kill', () => {
  let program: string;
  before(async () => {
    program = await bundleProgram(folder);
  });
  const perOperation = Math.ceil(KILLS / Object.keys(operations).length);
  for (const name of Object.keys(operations)) {
    it(`of "${name}"`, async () => {
      const attack = await Attack.prepare(program, name);
      const points = Array.from({ length: attack.calls }, (_, i) => i + 1);
      const moments = Array.from({ length: Math.max(0, perOperation - points.length) }, () => Math.random());
      const trials = [
        ...points.map((call) => () => attack.killBefore(call)),
        ...moments.map((moment) => () => attack.killAt(moment)),
      ];
      let next = 0;
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          while (next < trials.length) await trials[next++]!();
        }),
      );
      process.stdout.write(`# ${name}: ${points.length} calls, ${moments.length} random moments\n`);
    });
  }
});

/** Names of files and the hashes of what they hold. */
type Snapshot = Record<string, string>;

class Attack {
  private trials = 0;

  private constructor(
    private readonly program: string,
    private readonly operation: string,
    /** A folder as it is before. */
    private readonly before: string,
    private readonly first: Buffer,
    private readonly after: Snapshot,
    readonly calls: number,
    private readonly takes: number,
  ) {}

  static async prepare(program: string, name: string): Promise<Attack> {
    const trial = join(folder, name.replaceAll(' ', '-'));
    const before = join(trial, 'before');
    mkdirSync(before, { recursive: true });
    makeAdapter(before);
    const first = readFileSync(pathsIn(before).weights);
    await operations[name]!.prepare(before);
    const whole = join(trial, 'whole');
    cpSync(before, whole, { recursive: true, preserveTimestamps: true });
    const count = join(trial, 'count');
    const child = start(program, name, whole, { COUNT_TO: count });
    await once(child.stdout, 'data');

    const started = performance.now();
    const [status] = (await once(child, 'close')) as [number | null];
    assert.equal(status, 0);
    return new Attack(
      program,
      name,
      before,
      first,
      snapshot(whole),
      Number(readFileSync(count, 'utf8')),
      performance.now() - started,
    );
  }

  async killBefore(call: number): Promise<void> {
    const trial = this.fresh();
    const child = start(this.program, this.operation, trial, { KILL_AT: String(call) });
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.equal(signal, 'SIGKILL', `call ${call}`);

    await this.check(trial, `killed before call ${call}`);
  }

  async killAt(moment: number): Promise<void> {
    const trial = this.fresh();
    const child = start(this.program, this.operation, trial, {});
    const closed = once(child, 'close');
    await once(child.stdout, 'data');
    await sleep(moment * this.takes);
    child.kill('SIGKILL');
    await closed;
    await this.check(trial, `killed after ${(moment * this.takes).toFixed(1)} ms`);
  }

  private fresh(): string {
    const trial = join(folder, this.operation.replaceAll(' ', '-'), String(this.trials++));
    cpSync(this.before, trial, { recursive: true, preserveTimestamps: true });
    return trial;
  }

  private async check(trial: string, at: string): Promise<void> {
    const old = snapshot(this.before);
    const now = snapshot(trial);
    for (const path of new Set([...Object.keys(old), ...Object.keys(this.after)])) {
      if (
        path.endsWith('report.json') ||
        path.includes('safe_lora_original') ||
        (now[path] ?? null) === (old[path] ?? null)
      )
        continue;
      // Between its two renames a folder that is replaced lies beside its path, from where the next run takes it.
      if (now[path] === undefined && Object.keys(now).some((name) => name.includes('.safe-lora-old-'))) continue;
      assert.equal(now[path], this.after[path], `${at}: ${path} is neither the old one nor the new one`);
    }
    const restored = `${trial}-restored`;
    cpSync(trial, restored, { recursive: true });
    await restore(restored);
    assert.deepEqual(readFileSync(pathsIn(restored).weights), this.first, `${at}: the first file is not given back`);
    try {
      await operations[this.operation]!.act(trial);
    } catch (error) {
      const isDone =
        ['save as', 'project'].includes(this.operation) &&
        ((error as { code?: string }).code ?? '').includes('output-exists');
      if (!isDone) throw new Error(`${at}: cannot be run again`, { cause: error });
    }
    assert.deepEqual(snapshot(trial), this.after, `${at}: run again it gives something else`);
    for (const path of [trial, restored]) rmSync(path, { recursive: true });
  }
}

function start(program: string, operation: string, trial: string, environment: Record<string, string>) {
  return spawn(process.execPath, ['-r', killer, program, 'act', operation, trial], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
}

function snapshot(trial: string): Snapshot {
  const found: Snapshot = {};
  for (const name of readdirSync(trial, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(trial, name);
    if (statSync(path).isFile()) found[name] = hashBytes(readFileSync(path));
  }
  return found;
}
