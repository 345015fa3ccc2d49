// The extension in a German editor: each surface in German, and nothing that is too long for its place.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { root } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { copySampleWithPair, Session } from './session';

const manifest = JSON.parse(readFileSync(join(root, 'package.nls.de.json'), 'utf8')) as Record<string, string>;
const finding = '27 von 42 Modulen ≤ τ = 0,35';

/** Whether a page must be scrolled sideways. */
function overflows(tab: AdapterTab): Promise<boolean> {
  return tab.within('html').evaluate((page) => page.scrollWidth > page.clientWidth);
}

describe('a German editor', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair, language: 'de' });
  });
  after(() => session.stop());

  it('has the commands in its palette', async () => {
    const { workbench } = session;
    await workbench.openFile('adapters/mixed-all/adapter_config.json');
    for (const name of ['inspectAdapter', 'inspectAll', 'projectAdapter', 'compareAdapters', 'openSample', 'showLog']) {
      const title = `Safe LoRA: ${manifest[`command.${name}`]!}`;
      assert.ok(await workbench.offers(title), title);
    }
    await workbench.press('F1');
    await workbench.type('Safe LoRA');
    await workbench.window.getByText('Adapter sortieren').waitFor();
    await workbench.screenshot('german palette');
    await workbench.press('Escape');
  });

  it('says the finding above the configuration, hints beside the targets, and a table over them', async () => {
    const { workbench } = session;
    await workbench.clickLens('Messen', workbench.lens('Heatmap öffnen'));
    const [[said = '', ...actions] = []] = await workbench.lenses();
    assert.ok(said.startsWith(`${finding} · niedrigste: Schicht `), said);
    assert.match(said, /, Zufall \d,\d\d · Einklang /);
    assert.deepEqual(actions, ['27 Module projizieren', 'Heatmap öffnen']);
    await workbench.line('"lora_alpha"').filter({ hasText: 'Skalierung α/r = 2' }).waitFor();
    await workbench
      .line('"q_proj"')
      .filter({ hasText: /Ähnlichkeit\s0,\d\d\s·\sEinklang\s[−+]?0,\d\d\s·\s\d\/6/ })
      .waitFor();
    const hover = await workbench.hover('"down_proj"');
    assert.match(await hover.first().innerText(), /Schicht\s+Ähnlichkeit\s+Zufallsniveau\s+Einklang\s+ausgewählt/);
    await workbench.screenshot('german configuration');
    await workbench.press('Escape');
    await workbench.window.locator('.statusbar-item').filter({ hasText: 'cpu · τ 0,35 · 27 ausgewählt' }).waitFor();
  });

  it('shows the adapter, wide and narrow, saves it and restores it', async () => {
    const { workbench } = session;
    const tab = await session.openAdapter('mixed-all');
    await tab.measured();
    await tab.findingIs(finding);
    assert.equal(await workbench.page().locator('html').getAttribute('lang'), 'de');
    await workbench.screenshot('german adapter');
    assert.ok(!(await overflows(tab)));
    await tab.button(/Module projizieren/).click();
    await tab.banner('27 Module projiziert, nicht gespeichert').waitFor();
    await workbench.window.setViewportSize({ width: 800, height: 1000 });
    await workbench.screenshot('german adapter narrow');
    assert.ok(!(await overflows(tab)));
    await workbench.window.setViewportSize({ width: 1400, height: 1000 });
    await tab.button(/^\s*Speichern\s*$/).click();
    await workbench.notification('Die Originalgewichte liegen neben dem Adapter').waitFor();
    await tab.button('Exportieren').click();
    await workbench.screenshot('german adapter saved');
    await workbench.press('Escape');
    await tab.button('Originale wiederherstellen').click();
    await workbench.notification('Originalgewichte wiederhergestellt: mixed-all').waitFor();
  });

  it('lists the adapters, and compares two', async () => {
    const { workbench } = session;
    await workbench.command('View: Show Safe LoRA');
    await workbench.command('Safe LoRA: Alle Adapter messen');
    await workbench.notification('Adapter gemessen.').waitFor();
    await workbench.treeRow('harmful').click();
    await workbench.treeRow('Schicht 0').click();
    await workbench.screenshot('german adapters');
    await workbench.command('Safe LoRA: Adapter vergleichen');
    await workbench.chooses('Den ersten Adapter wählen, A');
    await workbench.pick('harmful');
    await workbench.chooses('Den zweiten Adapter wählen, B: Die Differenz ist B − A');
    await workbench.pick('benign');
    const tab = new AdapterTab(workbench);
    await tab.title.filter({ hasText: 'harmful und benign' }).waitFor();
    await tab.within('.panels canvas').nth(2).waitFor();
    await workbench.screenshot('german comparison');
    assert.ok(!(await overflows(tab)));
  });

  it('measures the behaviour', async () => {
    const { workbench } = session;
    const tab = await session.openAdapter('harmful');
    await tab.within('[role=tab]').filter({ hasText: 'Verhalten' }).click();
    await tab.button('Auswerten…').click();
    await workbench.asked('Safe LoRA: Mit welchen Prompts auswerten?');
    await workbench.pick('Die Prompts des Beispiels');
    await workbench.asked('Safe LoRA: harmful mit 148 Prompts auswerten');
    await workbench.screenshot('german points');
    await workbench.pick('Kurve und Antworten');
    const row = tab.within('.figures-table tr[data-count="0"]');
    await row.filter({ hasText: /ursprünglicher Adapter[^]*1,000 \[0,93; 1,00\]/ }).waitFor();
    await tab.button('Antworten anzeigen').click();
    await tab.within('.answer-row').first().waitFor();
    await workbench.screenshot('german behaviour');
    assert.ok(!(await overflows(tab)));
    await workbench.window.setViewportSize({ width: 800, height: 1000 });
    await workbench.screenshot('german behaviour narrow');
    assert.ok(!(await overflows(tab)));
    await workbench.window.setViewportSize({ width: 1400, height: 1000 });
  });

  it('leads through the walkthrough', async () => {
    const { workbench } = session;
    await workbench.command('Welcome: Open Walkthrough...');
    await workbench.pick('Erste Schritte mit Safe LoRA');
    const steps = workbench.window.locator('.getting-started-step');
    await steps.first().waitFor();
    assert.equal(await steps.count(), 4);
    for (const [i, step] of ['sample', 'models', 'heatmap', 'apply'].entries()) {
      const title = manifest[`walkthrough.${step}.title`]!;
      await workbench.window.getByText(title).first().click();
      await workbench.screenshot(`german walkthrough ${i + 1}`);
    }
  });
});
