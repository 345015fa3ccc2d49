// What a language model gets of a report: small, rounded, the selected and the lowest first, and no verdict.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ModuleReport, type Report } from '../../src/core/report';
import { type Selection } from '../../src/core/rules';
import { compactReport } from '../../src/host/automation/compact-report';

const overrides = { added: [], removed: [] };
const atThreshold = (threshold: number): Selection => ({ mode: 'threshold', threshold, overrides });

/** `count` modules whose similarity falls from the first to the last. */
function reportOf(count: number): Report {
  const modules = Array.from({ length: count }, (_, layer): ModuleReport => ({
    name: `model.layers.${layer}.self_attn.q_proj`,
    stack: null,
    layer,
    kind: 'q_proj',
    expert: null,
    shape: [4096, 4096],
    rank: 16,
    similarity: 1 - (layer + 1 / 3) / count,
    nullSimilarity: 0.123456789,
    nullSpread: 0.01,
    direction: -0.000123456789,
    gain: layer === 0 ? null : 0.0512345,
    alignmentNorm: 1,
    updateNorm: 1,
    participationRatio: 10,
    selected: false,
    notice: null,
  }));
  return {
    schema: 'safe-lora/report@2',
    tool: { version: '0.0.0' },
    adapter: { path: '/w/a', name: 'a', rank: 16, alpha: 32, targetModules: ['q_proj'] },
    base: { path: '/m/base', name: 'org/base' },
    aligned: { path: '/m/aligned', name: 'org/aligned' },
    safeLora: null,
    device: { requested: 'auto', provider: 'cpu', fallbackReason: null },
    selection: { mode: 'count', count: 1000, overrides },
    replacement: 'safe-lora',
    modules,
    totals: { modules: count, selected: count, direction: -0.1234567, bytesRead: 1, seconds: 1 },
    notices: [
      { code: 'count-capped', message: '1000 modules were asked for; 12 can be selected.', modules: [] },
      { code: 'trained-on-base', message: 'Trained on the base.', modules: [modules[0]!.name] },
    ],
  };
}

describe('a report for a language model', () => {
  it('has the names, the totals under the selection that was asked for, and rounded rows with their columns', () => {
    const compact = compactReport('adapters/a', reportOf(4), atThreshold(0.5), []);
    const { adapter, base, aligned, selection, totals, columns, modules } = compact;
    assert.deepEqual(
      { adapter, base, aligned, selection, totals },
      {
        adapter: 'adapters/a',
        base: 'org/base',
        aligned: 'org/aligned',
        selection: { threshold: 0.5 },
        totals: { modules: 4, selected: 2, direction: -0.1235 },
      },
    );
    assert.deepEqual(columns, ['module', 'similarity', 'null', 'direction', 'gain', 'selected']);
    assert.deepEqual(modules, [
      ['model.layers.3.self_attn.q_proj', 0.1667, 0.1235, -0.0001235, 0.05123, true],
      ['model.layers.2.self_attn.q_proj', 0.4167, 0.1235, -0.0001235, 0.05123, true],
      ['model.layers.1.self_attn.q_proj', 0.6667, 0.1235, -0.0001235, 0.05123, false],
      ['model.layers.0.self_attn.q_proj', 0.9167, 0.1235, -0.0001235, null, false],
    ]);
  });

  it('says nothing of another selection than its own', () => {
    const codes = (selection: Selection): string[] =>
      compactReport('a', reportOf(4), selection, []).notices.map(({ code }) => code);
    assert.deepEqual(codes(atThreshold(0.5)), ['trained-on-base']);
    assert.deepEqual(codes(reportOf(4).selection), ['count-capped', 'trained-on-base']);
  });

  it('stays small with 560 modules: the selected and the lowest, and how many are left out', () => {
    const report = reportOf(560);
    const compact = compactReport(
      'a',
      report,
      atThreshold(0.1),
      report.modules.map(({ name }) => name),
    );
    assert.equal(compact.totals.selected, 56);
    assert.equal(compact.modules.length + compact.leftOut!, 560);
    assert.equal(compact.modules.filter((row) => row[5] === true).length, 56);
    assert.equal(compact.modules[0]![0], 'model.layers.559.self_attn.q_proj');
    assert.deepEqual(compact.projected.modules, 560);
    assert.ok(JSON.stringify(compact).length < 15_000, `${JSON.stringify(compact).length} characters`);
  });

  it('passes no verdict on the adapter', () => {
    const text = JSON.stringify(compactReport('a', reportOf(12), atThreshold(0.5), []));
    assert.doesNotMatch(text, /\b(?:un)?safe\b|healed|drifted/i);
    assert.match(text, /does not say what the model does/);
  });
});
