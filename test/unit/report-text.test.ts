// A saved report that anybody may have edited: what no measurement gives is not shown.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { join } from 'node:path';
import { readReportText } from '../../src/host/inline/report-text';
import { everything } from '../fixtures/hostile';
import { cli, smallCase, temporaryFolder } from '../fixtures/make';

describe('a saved report', () => {
  let whole: Record<string, unknown> & { modules: Record<string, unknown>[] };
  before(async () => {
    const { base, aligned, adapter } = smallCase(join(temporaryFolder(), 'case'));
    const { stdout } = await cli(['inspect', adapter, '--base', base, '--aligned', aligned, '--json', '-']);
    whole = JSON.parse(stdout) as typeof whole;
  });

  const changed = (change: object): string => JSON.stringify({ ...whole, ...change }, null, 2);
  const withModule = (change: object): string => changed({ modules: [{ ...whole.modules[0], ...change }] });

  it('is read as it was written, with the offsets of its modules', () => {
    const text = changed({});
    const { report, offsets } = readReportText(text)!;
    assert.deepEqual(report.selection, whole.selection);
    assert.deepEqual(
      report.modules.map(({ name, similarity }) => ({ name, similarity })),
      whole.modules.map(({ name, similarity }) => ({ name, similarity })),
    );
    for (const [i, offset] of offsets.entries())
      assert.ok(text.slice(offset).startsWith(`{\n      "name": ${JSON.stringify(whole.modules[i]!.name)}`));
  });

  it('may be one of an earlier version, which had one replacement', () => {
    const { replacement, ...earlier } = whole;
    const { report } = readReportText(JSON.stringify({ ...earlier, schema: 'safe-lora/report@1' }))!;
    assert.equal(report.replacement, 'safe-lora');
    assert.deepEqual(report, whole);
    assert.equal(readReportText(JSON.stringify(earlier)), null, 'one of this version says it');
    assert.equal(replacement, 'safe-lora');
  });

  it('may have any names, and what is not defined', () => {
    assert.ok(readReportText(withModule({ name: everything, kind: everything, stack: everything })));
    assert.ok(readReportText(withModule({ layer: null, similarity: null, nullSimilarity: null, direction: null })));
  });

  it('is none where its numbers cannot be, or it is no report', () => {
    const overrides = { added: [], removed: [] };
    const cases = [
      withModule({ similarity: 7 }),
      withModule({ similarity: '0.1' }),
      withModule({ nullSimilarity: -1 }),
      withModule({ direction: -3 }),
      withModule({ selected: 'yes' }),
      withModule({ layer: {} }),
      withModule({ stack: 3 }),
      withModule({ kind: ['q_proj'] }),
      changed({ schema: 'safe-lora/report@3' }),
      changed({ replacement: 'another' }),
      changed({ modules: { length: 3 } }),
      changed({ modules: [null] }),
      changed({ totals: null }),
      changed({ totals: { direction: 2 } }),
      changed({ selection: { mode: 'threshold', threshold: 'low', overrides } }),
      changed({ selection: { mode: 'threshold', threshold: 1e99, overrides } }),
      changed({ selection: { mode: 'count', count: 0.5, overrides } }),
      changed({ selection: { mode: 'count', count: 1, overrides: { added: [{}], removed: [] } } }),
      changed({}).replace(/"similarity": [\d.]+/, '"similarity": NaN'),
      `{ "__proto__": ${changed({})} }`,
      JSON.stringify([whole]),
      '',
      'null',
      '['.repeat(1_000_000),
      `{ "modules": ${'{"a":'.repeat(1_000_000)}`,
      changed({}).padEnd(10_000_001),
    ];
    for (const text of cases) assert.equal(readReportText(text), null, text.slice(0, 300));
  });

  it('has for a key that is there twice one meaning', () => {
    const twice = changed({}).replace('{', `{ "modules": [], "selection": ${JSON.stringify(whole.selection)},`);
    const { report, offsets } = readReportText(twice)!;
    assert.equal(report.modules.length, offsets.length);
  });
});
