// Two reports side by side: which modules meet, the difference, and the two scales.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alignModules, onSameModels } from '../../src/core/comparison';
import { positions } from '../../src/core/naming';
import { type ModuleReport } from '../../src/core/report';
import { numberRows } from '../../src/page/numbers';
import { ComparisonState } from '../../webview/comparison/state';
import { measureIds } from '../../webview/shared/measures';

/** What an adapter's report says of its modules, by their similarities. */
function modulesWith(similarities: Record<string, number | null>): ModuleReport[] {
  const found = positions(Object.keys(similarities));
  return Object.entries(similarities).map(([name, similarity], index) => ({
    name,
    ...found.get(name)!,
    shape: [8, 8],
    rank: 2,
    similarity,
    nullSimilarity: 0.25,
    nullSpread: 0.01,
    direction: index % 2 === 0 ? 0.125 : -0.5,
    gain: 0.0625,
    alignmentNorm: 3,
    updateNorm: 0.001 * (index + 1),
    participationRatio: 4,
    selected: false,
    notice: null,
  }));
}

function stateOf(a: ModuleReport[], b: ModuleReport[]): ComparisonState {
  const modules = alignModules(a, b);
  const adapter = (side: 'a' | 'b') => ({
    name: side,
    path: side,
    state: 'inspected' as const,
    changed: null,
    problem: null,
    finding: null,
    behaviour: null,
    values: numberRows(modules.map((module) => module[side])),
  });
  const state = new ComparisonState('similarity');
  state.setComparison({
    modules: modules.map((module) => ({ ...module, has: { a: module.a !== null, b: module.b !== null } })),
    adapters: { a: adapter('a'), b: adapter('b') },
    sameModels: true,
    samePrompts: false,
  });
  return state;
}

const a = modulesWith({ 'm.layers.0.q_proj': 0.5, 'm.layers.0.v_proj': 0.75, 'm.layers.10.q_proj': 0.125 });
const b = modulesWith({ 'm.layers.2.q_proj': 0.25, 'm.layers.0.v_proj': 0.5, 'm.layers.0.q_proj': null });

describe('comparing two reports', () => {
  it('pairs modules by name and drops none, in the order of the model', () => {
    const rows = alignModules(a, b).map(({ name, a: ofA, b: ofB }) => [name, ofA !== null, ofB !== null]);
    assert.deepEqual(rows, [
      ['m.layers.0.q_proj', true, true],
      ['m.layers.0.v_proj', true, true],
      ['m.layers.2.q_proj', false, true],
      ['m.layers.10.q_proj', true, false],
    ]);
  });

  it('gives a module one kind, also where its name alone would be read otherwise in each adapter', () => {
    const one = modulesWith({ 'm.layers.0.self.q': 0.1, 'm.layers.0.cross.q': 0.2 });
    const other = modulesWith({ 'm.layers.0.self.q': 0.1 });
    assert.deepEqual(
      alignModules(one, other).map(({ kind }) => kind),
      ['cross.q', 'self.q'],
    );
    assert.deepEqual(
      alignModules(other, one),
      alignModules(one, other).map((module) => ({ ...module, a: module.b, b: module.a })),
    );
  });

  it('shows B − A, and nothing where either has no number', () => {
    const { values } = stateOf(a, b);
    assert.deepEqual(values.a, [0.5, 0.75, NaN, 0.125]);
    assert.deepEqual(values.b, [NaN, 0.5, 0.25, NaN]);
    assert.deepEqual(values.difference, [NaN, -0.25, NaN, NaN]);
  });

  it('has one scale for both adapters and one around zero for the difference, which hold all values', () => {
    const state = stateOf(a, b);
    for (const id of measureIds) {
      state.setMeasure(id);
      const within = ([low, high]: readonly [number, number], values: readonly number[]) =>
        values.every((value) => Number.isNaN(value) || (value >= low && value <= high));
      assert.ok(within(state.range, [...state.values.a, ...state.values.b]), id);
      assert.ok(within(state.differenceRange, state.values.difference), id);
      assert.equal(state.differenceRange[0], -state.differenceRange[1]);
    }
  });

  it('has scales where nothing is common, and where both are the same', () => {
    for (const state of [stateOf(a, []), stateOf(a, a), stateOf([], [])]) {
      for (const id of measureIds) {
        state.setMeasure(id);
        for (const [low, high] of [state.range, state.differenceRange]) assert.ok(low < high && Number.isFinite(high));
      }
    }
  });

  it('tells apart reports of different models', () => {
    const pair = (base: string, aligned: string) => ({
      base: { path: base, name: 'x' },
      aligned: { path: aligned, name: 'y' },
    });
    assert.ok(onSameModels(pair('/base', '/chat'), pair('/base', '/chat')));
    assert.ok(!onSameModels(pair('/base', '/chat'), pair('/other', '/chat')));
    assert.ok(!onSameModels(pair('/base', '/chat'), pair('/base', '/other')));
  });
});
