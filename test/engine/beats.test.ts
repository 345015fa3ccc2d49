// Children that fall silent: told from those that compute for long, and from those whose host has slept itself.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { build } from 'esbuild';
import { MISSED_BEATS } from '../../src/engine/beats';
import { Engine } from '../../src/engine/pool';
import { type ModuleTask, valueOf } from '../../src/engine/protocol';
import { childPath, root, temporaryFolder } from '../fixtures/make';
import { sampleTasks } from './tasks';

/** A child is lost after 3 s, more than ten times what it takes to start. */
const beatMs = 250;
const limitMs = beatMs * (MISSED_BEATS + 1);
const folder = temporaryFolder();

function engineOf(program: string, told: string[] = []): Engine {
  const onWait = (text: string): void => void told.push(text);
  const engine = new Engine({ childPath: program, memory: 2 ** 29, workers: 1, beatMs, onWait });
  after(() => {
    engine.dispose();
  });
  return engine;
}

/** Blocks this process's only thread. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

describe('a child', () => {
  let task: ModuleTask;
  before(async () => {
    [task] = (await sampleTasks()) as [ModuleTask];
  });

  it('that is stopped is ended, and its module taken up again', async () => {
    const told: string[] = [];
    const engine = engineOf(childPath, told);
    const computed = engine.compute(task);
    const [pid] = engine.pids;
    process.kill(pid!, 'SIGSTOP');
    assert.ok(valueOf((await computed).updates[0]!).measurement.similarity! > 0);
    assert.notEqual(engine.pids[0], pid);
    assert.ok(
      told.includes(`waiting for the engine's process ${pid}, which does not respond; it is stopped after 3 seconds`),
    );
    assert.throws(() => process.kill(pid!, 0), { code: 'ESRCH' });
  });

  it('that never answers is said to be waited for, and given up after its second', async () => {
    const program = join(folder, 'mute.cjs');
    writeFileSync(program, 'setInterval(() => undefined, 1000);');
    const told: string[] = [];
    const engine = engineOf(program, told);
    const computed = engine.compute(task);
    const [pid] = engine.pids;
    await assert.rejects(computed, {
      code: 'engine-failed',
      message:
        /^The engine's process did not respond for 3 seconds while it computed model\.layers\.0\S+; nothing was written; try again\.$/,
    });
    assert.ok(told.includes(`waiting for the engine's process ${pid} to start`));
  });

  it('that computes for long is left alone, though its first thread answers nothing meanwhile', async () => {
    const program = join(folder, 'busy.cjs');
    const contents = `
      import { beat } from './src/engine/beats';
      beat(Number(process.argv[2]));
      process.on('message', ({ type }) => {
        if (type !== 'module') return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${1.5 * limitMs});
        process.send({ type: 'result', reply: { ok: true, value: { updates: [], bytesRead: process.pid } } });
      });`;
    await build({
      stdin: { contents, resolveDir: root, loader: 'ts' },
      outfile: program,
      bundle: true,
      platform: 'node',
    });
    const engine = engineOf(program);
    const computed = engine.compute(task);
    const [pid] = engine.pids;
    assert.equal((await computed).bytesRead, pid);
  });

  it('is not ended because the host itself was stopped for long', async () => {
    const engine = engineOf(childPath);
    await engine.compute(task);
    const [pid] = engine.pids;
    process.kill(pid!, 'SIGSTOP');
    block(1.5 * limitMs);
    process.kill(pid!, 'SIGCONT');
    assert.equal((await engine.compute(task)).updates.length, 1);
    assert.deepEqual(engine.pids, [pid]);
  });
});
