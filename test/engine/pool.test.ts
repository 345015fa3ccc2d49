// The pool when things do not go their way: children that die, several jobs, cancelling.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openCheckpoint } from '../../src/core/checkpoint';
import { makePlan, type Plan, type PlannedModule } from '../../src/core/plan';
import { columnsMemory } from '../../src/engine/memory';
import { Engine } from '../../src/engine/pool';
import { type ModuleTask, valueOf } from '../../src/engine/protocol';
import { measurePlans, type Progress } from '../../src/engine/run';
import { childPath, sample } from '../fixtures/make';
import { sampleTasks } from './tasks';

function engineOf(workers: number): Engine {
  const engine = new Engine({ childPath, memory: 2 ** 29, workers });
  after(() => {
    engine.dispose();
  });
  return engine;
}

/** Ends the engine's only child while it is at work. */
function killOnly(engine: Engine): void {
  const [pid] = engine.pids;
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
}

describe('the pool of children', () => {
  it('takes a module up again whose child died, once', async () => {
    const engine = engineOf(1);
    const [task] = await sampleTasks();
    const computed = engine.compute(task!);
    killOnly(engine);
    assert.ok(valueOf((await computed).updates[0]!).measurement.similarity! > 0);
  });

  it('gives a module up whose second child died, and computes the next', async () => {
    const engine = engineOf(1);
    const [first, second] = await sampleTasks();
    const computed = engine.compute(first!);
    const [pid] = engine.pids;
    killOnly(engine);
    const again = setInterval(() => {
      const [other] = engine.pids;
      if (other === undefined || other === pid) return;
      clearInterval(again);
      process.kill(other, 'SIGKILL');
    }, 1);
    await assert.rejects(computed, /was ended by SIGKILL while it computed model\.layers\.0/);
    assert.ok((await engine.compute(second!)).updates.length === 1);
  });

  it('does not let a short job wait for the end of a long one', async () => {
    const engine = engineOf(1);
    const all = await sampleTasks();
    const [long, short] = [new AbortController(), new AbortController()].map(({ signal }) => signal);
    const order: string[] = [];
    const run = (task: ModuleTask, job: AbortSignal, name: string): Promise<void> =>
      engine.compute(task, job).then(() => void order.push(name));
    const running = all.map((task) => run(task, long!, 'long'));
    running.push(run(all[0]!, short!, 'short'));
    await Promise.all(running);
    assert.ok(order.indexOf('short') <= 2, order.join(' '));
  });

  it('rejects what is cancelled with the reason, at once, and goes on with others', async () => {
    const engine = engineOf(2);
    const all = await sampleTasks();
    const [given, kept] = [new AbortController(), new AbortController()];
    const reason = new Error('given up');
    const pending = all.map((task) =>
      engine.compute(task, given.signal).then(
        () => null,
        (error: unknown) => error,
      ),
    );
    const other = engine.compute(all[0]!, kept.signal);
    const started = performance.now();
    given.abort(reason);
    const results = await Promise.all(pending);
    assert.ok(performance.now() - started < 200);
    assert.ok(results.every((result) => result === null || result === reason));
    assert.ok((await other).updates.length === 1);
  });
});

describe('several adapters in one pass', () => {
  const plansOf = async (...names: string[]): Promise<Plan[]> => {
    const [base, aligned] = [await openCheckpoint(join(sample, 'base')), await openCheckpoint(join(sample, 'aligned'))];
    return Promise.all(
      names.map(async (name) => makePlan(await openAdapter(join(sample, 'adapters', name)), base, aligned)),
    );
  };
  const weights = ({ modules }: Plan): number =>
    modules.reduce((sum, module) => sum + module.weights!.base.length + module.weights!.aligned.length, 0);

  it('tells whose fault a failure is, and measures the others', async () => {
    const plans = await plansOf('harmful', 'mixed');
    // Its update lies where there is none.
    const broken = plans[0]!.modules[0]!;
    plans[0]!.modules[0] = { ...broken, a: { ...broken.a, path: join(sample, 'gone') } };
    const progress: Progress[] = [];
    const [harmful, mixed] = await measurePlans(plans, engineOf(2), { onProgress: (step) => progress.push(step) });
    assert.ok('failure' in harmful! && (harmful.failure as Error).message.includes('gone: cannot read it'));
    assert.ok('measured' in mixed! && mixed.measured.modules.every(({ measurement }) => measurement?.similarity));
    const { modulesDone, modulesTotal, bytesDone, bytesTotal, bytesRead } = progress.at(-1)!;
    assert.deepEqual([modulesDone, bytesDone], [modulesTotal, bytesTotal]);
    assert.equal(bytesRead, weights(plans[0]!), 'no weight was read again for the failure');
  });

  it('fails everyone whose weights cannot be read', async () => {
    const plans = await plansOf('harmful', 'mixed');
    for (const { modules } of plans) {
      const [first] = modules as [PlannedModule];
      modules[0] = {
        ...first,
        weights: { ...first.weights!, base: { ...first.weights!.base, path: join(sample, 'gone') } },
      };
    }
    const outcomes = await measurePlans(plans, engineOf(2));
    for (const outcome of outcomes) {
      assert.ok('failure' in outcome && (outcome.failure as Error).message.includes('gone: cannot read it'));
    }
  });

  it('counts what was read once, with a share for each', async () => {
    const plans = await plansOf('harmful', 'mixed');
    const outcomes = await measurePlans(plans, engineOf(2));
    for (const outcome of outcomes) {
      assert.ok('measured' in outcome);
      assert.equal(outcome.measured.bytesRead, weights(plans[0]!) / 2);
    }
  });

  it('reads the weights again where the columns of all adapters together are too many for the memory', async () => {
    const plans = await plansOf('harmful', 'mixed');
    const [{ rank, shape }] = plans[0]!.modules as [PlannedModule];
    const roomy = await measurePlans(plans, engineOf(1));
    const memory = 128 * 2 ** 20 + 2 * columnsMemory(2 * rank - 1, shape);
    const engine = new Engine({ childPath, memory, workers: 1 });
    try {
      const tight = await measurePlans(plans, engine);
      for (const [i, outcome] of tight.entries()) {
        const other = roomy[i]!;
        assert.ok('measured' in outcome && 'measured' in other);
        assert.ok(outcome.measured.bytesRead > other.measured.bytesRead);
        assert.deepEqual(outcome.measured.modules, other.measured.modules);
      }
    } finally {
      engine.dispose();
    }
  });
});
