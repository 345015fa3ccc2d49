// The bench itself, on shapes so small that it takes seconds: it must run through, and its numbers must be complete.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { tinyCases } from '../bench/cases';
import { runCases } from '../bench/run';
import { measureScaling, scalingPlot } from '../bench/scaling';
import { tableLines } from '../bench/table';
import { Workspace } from '../bench/workspace';
import { bundle } from '../bundle';

describe('the bench', () => {
  const workspace = new Workspace();
  before(() => bundle('bench-worker'));
  after(() => {
    workspace.remove();
    assert.ok(!existsSync(workspace.folder));
  });

  it('measures every case, checks its numbers and says what --json promises', async () => {
    const results = await runCases(tinyCases, workspace, { keep: true, log: () => undefined });
    assert.equal(tableLines(results).length, 2 + tinyCases.length);
    for (const [i, { figures }] of results.entries()) {
      const { name, referenceRounds } = tinyCases[i]!;
      assert.equal(figures.name, name);
      assert.equal(figures.bytesRead, figures.bytesNeeded);
      assert.equal(figures.referenceMs !== null, referenceRounds > 0);
      const { readMs, engineMs, firstModuleMs, peakMiB } = figures;
      for (const value of [readMs, engineMs, firstModuleMs]) assert.ok(value !== null && value > 0, name);
      assert.ok(firstModuleMs <= engineMs, name);
      if (process.platform === 'linux') assert.ok(peakMiB !== null && peakMiB > 20, name);
      assert.deepEqual(Object.keys(figures), [
        'name',
        'readMs',
        'engineMs',
        'referenceMs',
        'peakMiB',
        'bytesRead',
        'bytesNeeded',
        'firstModuleMs',
        'provider',
        'cpuMs',
      ]);
    }
  });

  it('draws how time and memory grow', async () => {
    const spec = tinyCases[0]!;
    const points = await measureScaling(await workspace.tasks(spec), spec.kinds.length, [1, 3]);
    assert.deepEqual(
      points.map(({ layers }) => layers),
      [1, 3],
    );
    assert.doesNotMatch(scalingPlot(points), /NaN|undefined/);
  });
});
