// Which modules a rule selects.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { select, type Selectable } from '../../src/core/selection';

const none = { added: [], removed: [] };
const modules = fc
  .array(fc.record({ similarity: fc.option(fc.double({ min: 0, max: 1, noNaN: true })), selectable: fc.boolean() }), {
    maxLength: 30,
  })
  .map((list): Selectable[] => list.map((module, index) => ({ ...module, name: `m${index}` })));

describe('selecting modules', () => {
  it('by threshold takes those at or below it, and only such as can be projected', () => {
    fc.assert(
      fc.property(modules, fc.double({ min: 0, max: 1, noNaN: true }), (list, threshold) => {
        const expected = list
          .filter((module) => module.selectable && module.similarity !== null && module.similarity <= threshold)
          .map((module) => module.name);
        assert.deepEqual([...select(list, { mode: 'threshold', threshold, overrides: none })], expected);
      }),
    );
    assert.deepEqual(
      [
        ...select([{ name: 'edge', similarity: 0.35, selectable: true }], {
          mode: 'threshold',
          threshold: 0.35,
          overrides: none,
        }),
      ],
      ['edge'],
    );
  });

  it('by count agrees with the threshold of the last one taken', () => {
    fc.assert(
      fc.property(modules, fc.integer({ min: 1, max: 30 }), (list, count) => {
        const byCount = select(list, { mode: 'count', count, overrides: none });
        const candidates = list.filter((module) => module.selectable && module.similarity !== null);
        assert.equal(byCount.size, Math.min(count, candidates.length));
        const last = Math.max(...list.filter((module) => byCount.has(module.name)).map((module) => module.similarity!));
        const byThreshold = select(list, { mode: 'threshold', threshold: last, overrides: none });
        for (const name of byCount) assert.ok(byThreshold.has(name));
        const ties = candidates.filter((module) => module.similarity === last).length;
        if (ties === 1) assert.equal(byThreshold.size, byCount.size);
      }),
    );
  });

  it('takes the earlier of equals', () => {
    const equal = ['a', 'b', 'c'].map((name) => ({ name, similarity: 0.2, selectable: true }));
    assert.deepEqual([...select(equal, { mode: 'count', count: 2, overrides: none })], ['a', 'b']);
  });

  it('adds and removes by hand what can be projected at all', () => {
    const list = [
      { name: 'low', similarity: 0.1, selectable: true },
      { name: 'high', similarity: 0.9, selectable: true },
      { name: 'done', similarity: 0.9, selectable: false },
      { name: 'undefined', similarity: null, selectable: true },
    ];
    const selection = {
      mode: 'threshold',
      threshold: 0.5,
      overrides: { added: ['high', 'done', 'undefined', 'unknown'], removed: ['low'] },
    } as const;
    assert.deepEqual(
      [
        ...select(list, {
          ...selection,
          overrides: { added: [...selection.overrides.added], removed: [...selection.overrides.removed] },
        }),
      ],
      ['high'],
    );
  });
});
