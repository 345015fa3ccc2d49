// Two adapters side by side in a real editor: the numbers of their reports, one scale, the difference, and all of it without a mouse.
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { FrameLocator, Locator } from 'playwright-core';
import { sample } from '../fixtures/make';
import { violations } from './accessibility';
import { reportOf } from './command-line';
import { until } from './patience';
import { copySampleWithPair, Session } from './session';
import { themes } from './workbench';

type MapName = 'a' | 'b' | 'difference';

interface ComparisonHandle {
  maps: Record<MapName, { charts: { data: { datasets: [{ data: { v: number; cell: { modules: [number] } }[] }] } }[] }>;
  state: { modules: { name: string }[] };
}

class ComparisonTab {
  private readonly frame: FrameLocator;

  constructor(session: Session) {
    this.frame = session.workbench.page();
  }

  within(selector: string): Locator {
    return this.frame.locator(selector);
  }

  async shows(a: string, b: string): Promise<void> {
    await this.within('h1')
      .filter({ hasText: new RegExp(`^${a} and ${b}$`) })
      .waitFor();
    await this.within('.panels canvas').nth(2).waitFor();
  }

  async line(side: 'a' | 'b'): Promise<string> {
    return this.within(`.compared li[data-side=${side}]`).innerText();
  }

  async choose(measure: string): Promise<void> {
    await this.within('vscode-dropdown').click();
    await this.within('vscode-option').filter({ hasText: measure }).first().click();
  }

  row(module: string): Locator {
    return this.within(`tbody tr[data-module="${module}"]`);
  }

  /** The figures of a column in the table, from the top. */
  async column(name: MapName): Promise<string[]> {
    const texts = await this.within(`tbody td[data-column=${name}]`).allInnerTexts();
    return texts.map((text) => text.trim().split(/\s/).at(-1)!);
  }

  /** The values that the charts hold, by module; null for an empty cell. */
  async charts(): Promise<Record<MapName, Record<string, number | null>>> {
    const [a, b, difference] = [await this.chart('a'), await this.chart('b'), await this.chart('difference')];
    return { a, b, difference };
  }

  private async chart(name: MapName): Promise<Record<string, number | null>> {
    const values = await this.within('body').evaluate((_, map) => {
      const { maps, state } = (window as unknown as { safeLoraComparison: ComparisonHandle }).safeLoraComparison;
      return maps[map].charts.flatMap((chart) =>
        chart.data.datasets[0].data.map(({ v, cell }) => [state.modules[cell.modules[0]]!.name, v] as const),
      );
    }, name);
    return Object.fromEntries(values.map(([module, value]) => [module, Number.isNaN(value) ? null : value]));
  }

  async scales(): Promise<Record<MapName, string[]>> {
    const ends = (map: MapName) => this.within(`[data-map=${map}] .scale-ends .number`).allInnerTexts();
    return { a: await ends('a'), b: await ends('b'), difference: await ends('difference') };
  }
}

async function compare(session: Session, a: string, b: string): Promise<ComparisonTab> {
  const { workbench } = session;
  await workbench.command('Safe LoRA: Compare Adapters');
  await workbench.asked('Safe LoRA: Compare Adapters');
  await workbench.pick(a);
  await workbench.chooses('Choose the second adapter, B: the difference is B − A');
  await workbench.pick(b);
  const tab = new ComparisonTab(session);
  await tab.shows(a, b);
  return tab;
}

describe('two adapters side by side', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('come from the palette, are measured first, and show the numbers of their reports and B − A exactly', async () => {
    const tab = await compare(session, 'benign', 'harmful');
    const [a, b] = [await reportOf(session.workspace, 'benign'), await reportOf(session.workspace, 'harmful')];
    const charts = await tab.charts();
    assert.deepEqual(Object.keys(charts.a).sort(), a.modules.map(({ name }) => name).sort());
    for (const [side, report] of [
      ['a', a],
      ['b', b],
    ] as const) {
      for (const { name, similarity } of report.modules) assert.equal(charts[side][name], similarity, name);
    }
    for (const [name, difference] of Object.entries(charts.difference)) {
      assert.equal(difference, charts.b[name]! - charts.a[name]!, name);
    }
    assert.match(await tab.line('b'), /harmful\s+3 of 12 modules at or below τ = 0\.35\s+agreement of all modules/);
    assert.match(await tab.within('header').innerText(), /the same 12 modules in both/);
    assert.equal(await tab.within('.banner').count(), 0);
  });

  it('have one scale for A and B, and one around zero for the difference, in every measure', async () => {
    const tab = new ComparisonTab(session);
    for (const measure of ['Similarity − chance', 'Agreement', 'Update kept', 'Update norm', 'Similarity']) {
      await tab.choose(measure);
      await tab
        .within('[data-map=a] .scale-name')
        .filter({ hasText: `${measure} of A` })
        .waitFor();
      const { a, b, difference } = await tab.scales();
      assert.deepEqual(a, b, measure);
      assert.equal(difference[0]!.replace('−', '+'), difference[1], measure);
    }
  });

  it('stand in a table with the same figures, sorted by the difference from its header', async () => {
    const tab = new ComparisonTab(session);
    const { difference } = await tab.charts();
    const sorter = tab.within('th[data-column=difference] button');
    await sorter.press('Enter');
    assert.equal(await tab.within('th[data-column=difference]').getAttribute('aria-sort'), 'ascending');
    const expected = Object.values(difference)
      .map(Number)
      .sort((x, y) => x - y);
    const shown = (await tab.column('difference')).map((text) => Number(text.replace('−', '-')));
    expected.forEach((value, i) => assert.ok(Math.abs(value - shown[i]!) <= 5.1e-4, `${value} ${shown[i]}`));
    await sorter.press('Enter');
    assert.equal(await tab.within('th[data-column=difference]').getAttribute('aria-sort'), 'descending');
    await sorter.press('Enter');
  });

  it('are read with the keyboard: a cell says both numbers and the difference, and leads to its row', async () => {
    const tab = new ComparisonTab(session);
    const { workbench } = session;
    await tab.within('vscode-dropdown').focus();
    await workbench.press('Tab');
    await workbench.press('ArrowRight');
    const said = await tab.within('[aria-live]').textContent();
    assert.match(said!, /^\S+: Similarity A 0\.\d{3}, B 0\.\d{3}, B − A [+−]0\.\d{3}$/);
    const tooltip = tab.within('.tooltip');
    assert.match(await tooltip.innerText(), /A\s+B\s+B − A[\s\S]*Similarity[\s\S]*Agreement[\s\S]*Update norm/);
    await workbench.press('Enter');
    const module = said!.slice(0, said!.indexOf(':'));
    assert.ok(await tab.row(module).evaluate((row) => row === document.activeElement));
    await tooltip.waitFor({ state: 'hidden' });
  });

  it('of different modules show every module of either, with an empty cell where one has none', async () => {
    const tab = await compare(session, 'harmful', 'mixed-all');
    const { a, b, difference } = await tab.charts();
    const [ofA, ofB] = [await reportOf(session.workspace, 'harmful'), await reportOf(session.workspace, 'mixed-all')];
    assert.deepEqual(Object.keys(a).sort(), Object.keys(b).sort());
    const hasA = new Set(ofA.modules.map(({ name }) => name));
    assert.ok(ofB.modules.length > hasA.size);
    for (const { name, similarity } of ofB.modules) {
      assert.equal(b[name], similarity);
      assert.equal(a[name] === null, !hasA.has(name));
      assert.equal(difference[name] === null, !hasA.has(name));
    }
    const [missing] = ofB.modules.filter(({ name }) => !hasA.has(name));
    assert.match(await tab.row(missing!.name).innerText(), /not there[\s\S]*–/);
  });

  it('take up what is measured anew, and say what is stale until then', async () => {
    const tab = new ComparisonTab(session);
    cpSync(join(sample, 'adapters', 'benign', 'adapter_model.safetensors'), session.modelFile('harmful'));
    await tab.within('.banner').filter({ hasText: 'harmful has changed since it was measured.' }).waitFor();
    await tab.within('vscode-button').filter({ hasText: 'Measure A' }).click();
    await tab.within('.banner').waitFor({ state: 'detached' });
    const benign = await reportOf(session.workspace, 'benign');
    await until(async () => {
      const { a } = await tab.charts();
      return benign.modules.every(({ name, similarity }) => a[name] === similarity);
    }, 'the new numbers');
    cpSync(join(sample, 'adapters', 'harmful', 'adapter_model.safetensors'), session.modelFile('harmful'));
  });

  it('are two: for one that is selected the other is asked for, and more than two are refused', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/benign', 'Compare Adapters');
    await workbench.pick('mixed-all');
    await new ComparisonTab(session).shows('benign', 'mixed-all');
    await workbench.command('View: Close All Editors');
    await (await workbench.explorerRow('adapters/benign')).click();
    await (await workbench.explorerRow('adapters/harmful')).click({ modifiers: ['Control'] });
    await workbench.explorerContextMenu('adapters/harmful', 'Compare Adapters');
    await new ComparisonTab(session).shows('benign', 'harmful');
    await (await workbench.explorerRow('adapters/mixed')).click({ modifiers: ['Control'] });
    await workbench.explorerContextMenu('adapters/mixed', 'Compare Adapters');
    await workbench.notification('3 adapters selected; select exactly two to compare them.').waitFor();
    await workbench.command('Notifications: Clear All Notifications');
  });

  it('have no serious accessibility violation in any theme, and are pictured in each', async () => {
    const { workbench } = session;
    await workbench.command('View: Toggle Primary Side Bar Visibility');
    for (const [a, b] of [
      ['benign', 'harmful'],
      ['harmful', 'mixed-all'],
    ] as const) {
      const tab = await compare(session, a, b);
      for (const theme of themes) {
        await workbench.setTheme(theme);
        assert.deepEqual(await violations(tab.within('body')), [], theme);
        await tab.within('[data-map=b] canvas').hover({ position: { x: 120, y: 60 } });
        await workbench.screenshot(`comparison ${a} ${b} ${theme}`);
      }
    }
  });
});
