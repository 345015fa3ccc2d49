// Which modules a rule selects.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { unmeasured } from '../../src/core/measure-names';
import {
  fitsRule,
  mayTake,
  parseRule,
  readSelection,
  ruleModes,
  ruleNumber,
  ruleOf,
  select,
  type Selectable,
  selectionBy,
} from '../../src/core/rules';

const none = { added: [], removed: [] };
const modules = fc
  .array(fc.record({ similarity: fc.option(fc.double({ min: 0, max: 1, noNaN: true })), selectable: fc.boolean() }), {
    maxLength: 30,
  })
  .map((list): Selectable[] => list.map((module, index) => ({ ...unmeasured, ...module, name: `m${index}` })));

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
        ...select([{ ...unmeasured, name: 'edge', similarity: 0.35, selectable: true }], {
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
    const equal = ['a', 'b', 'c'].map((name) => ({ ...unmeasured, name, similarity: 0.2, selectable: true }));
    assert.deepEqual([...select(equal, { mode: 'count', count: 2, overrides: none })], ['a', 'b']);
  });

  it('adds and removes by hand what can be projected at all', () => {
    const list = [
      { name: 'low', similarity: 0.1, selectable: true },
      { name: 'high', similarity: 0.9, selectable: true },
      { name: 'done', similarity: 0.9, selectable: false },
      { name: 'undefined', similarity: null, selectable: true },
    ].map((module) => ({ ...unmeasured, ...module }));
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

describe('a rule', () => {
  it('may take each module that it takes', () => {
    fc.assert(
      fc.property(
        modules,
        fc.constantFrom(...ruleModes),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (list, mode, part) => {
          const { min, max } = ruleNumber(mode);
          const number = mode === 'count' ? 1 + Math.floor(part * 30) : min + part * (max - min);
          const selection = { ...ruleOf(mode, number), overrides: { added: ['m1'], removed: ['m2'] } };
          const taken = select(list, selection);
          for (const module of list) if (taken.has(module.name)) assert.ok(mayTake(selection, module), module.name);
        },
      ),
    );
  });

  it('is read from a text and from a file by the same limits', () => {
    const cases: [text: string, mode: 'threshold' | 'count', fits: boolean][] = [
      ['0', 'threshold', true],
      ['0.35', 'threshold', true],
      ['1', 'threshold', true],
      ['1.01', 'threshold', false],
      ['-0.1', 'threshold', false],
      ['', 'threshold', false],
      ['x', 'threshold', false],
      ['1', 'count', true],
      ['0', 'count', false],
      ['1.5', 'count', false],
      ['9007199254740993', 'count', false],
    ];
    for (const [text, mode, fits] of cases) {
      assert.equal(parseRule(mode, text) !== null, fits, `${mode} ${text}`);
      if (text === '') continue;
      assert.equal(fitsRule(mode, Number(text)), fits);
      const written = JSON.stringify({ mode, [mode]: Number(text), overrides: none, more: 1 });
      assert.deepEqual(readSelection(JSON.parse(written)), fits ? selectionBy(ruleOf(mode, Number(text))) : null);
    }
    for (const other of [
      null,
      {},
      { mode: 'x', x: 1, overrides: none },
      { ...ruleOf('count', 1), overrides: { added: [1], removed: [] } },
    ])
      assert.equal(readSelection(other), null);
  });
});
