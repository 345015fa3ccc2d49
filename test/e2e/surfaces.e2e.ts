// The view of all adapters and the explorer's letters: how each adapter of the workspace stands while its user does something else.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Report } from '../../src/core/report';
import { sample } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { reportOf } from './command-line';
import { copyAdapter } from './many-adapters';
import { until } from './patience';
import { copySampleWithPair, MODEL_FILE, Session } from './session';
import { themes } from './workbench';

const adapters = ['benign', 'harmful', 'mixed', 'mixed-all'];

/** Makes the last numbers of an adapter NaN. */
function spoil(file: string): void {
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0xff, bytes.length - 64));
}

/** The rows of the view of adapters as label and description. */
async function rows(session: Session): Promise<string[]> {
  const texts = await session.workbench.window
    .locator('.pane-body .tree-explorer-viewlet-tree-view .monaco-list-row')
    .allInnerTexts();
  return texts.map((text) => text.replace(/\s+/g, ' ').trim());
}

describe('the view of the adapters', () => {
  let session: Session;
  const reports = new Map<string, Report>();
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
    for (const name of adapters) reports.set(name, await reportOf(session.workspace, name));
  });
  after(() => session.stop());

  const shows = (expected: RegExp[]): Promise<void> =>
    until(
      async () => {
        const found = await rows(session);
        return found.length === expected.length && found.every((row, i) => expected[i]!.test(row));
      },
      `the rows ${expected.join(', ')}`,
    );

  it('lists every adapter, not measured, with its modules by layer', async () => {
    await session.workbench.command('View: Show Safe LoRA');
    await shows(adapters.map((name) => new RegExp(`^${name} ?not measured`)));
    await session.workbench.treeRow('harmful').click();
    await until(async () => (await rows(session)).includes('layer 5'), 'the layers');
    await session.workbench.treeRow('layer 0').click();
    await until(async () => (await rows(session)).includes('v_proj'), 'the modules');
    await session.workbench.treeRow('harmful').click();
  });

  it('measures all of them at once, each as the command line does', async () => {
    await session.workbench.command('Safe LoRA: Measure All Adapters');
    await session.workbench.notification('4 adapters measured.').waitFor();
    await shows(
      adapters.map((name) => {
        const { selected, modules, direction } = reports.get(name)!.totals;
        return new RegExp(
          `^${name} ?${selected} of ${modules} selected · agreement [−+]?${Math.abs(direction!).toFixed(2)}`,
        );
      }),
    );
    await session.workbench.command('Safe LoRA: Measure All Adapters');
    await session.workbench.notification('All adapters are measured.').waitFor();
  });

  it('sorts them by direction or by lowest similarity', async () => {
    const by = (measure: (report: Report) => number): RegExp[] =>
      adapters
        .toSorted((a, b) => measure(reports.get(a)!) - measure(reports.get(b)!))
        .map((name) => new RegExp(`^${name} ?\\d`));
    const sort = async (label: string): Promise<void> => {
      await session.workbench.command('Safe LoRA: Sort Adapters…');
      await session.workbench.pick(label);
    };
    await sort('By agreement');
    await shows(by(({ totals }) => totals.direction!));
    await sort('By lowest similarity');
    await shows(by(({ modules }) => Math.min(...modules.map(({ similarity }) => similarity!))));
    await sort('By path');
    await shows(by(({ adapter }) => adapters.indexOf(adapter.name)));
  });

  it('shows the numbers of each module, and opens it in the report', async () => {
    const { workbench } = session;
    await workbench.treeRow('harmful').click();
    await workbench.treeRow(/^layer 1/).click();
    const module = reports.get('harmful')!.modules.find(({ layer, kind }) => layer === 1 && kind === 'v_proj')!;
    const text = `v_proj similarity ${module.similarity!.toFixed(2)}, chance ${module.nullSimilarity!.toFixed(2)} · `;
    await until(
      async () =>
        (await rows(session)).some((row) => row.replace('v_proj', 'v_proj ').replace(/ +/g, ' ').startsWith(text)),
      text,
    );
    await workbench.screenshot('adapters view');
    await workbench.treeRow(/^v_proj/).click();
    const tab = new AdapterTab(workbench);
    await tab.within('.details strong').filter({ hasText: module.name }).waitFor();
    await workbench.command('View: Close All Editors');
  });

  it('has letters in the explorer for a measured, a projected and a changed adapter, and a kept original', async () => {
    const { workbench } = session;
    await workbench.command('View: Show Explorer');
    const says = async (path: string, text: string): Promise<void> => {
      const row = await workbench.explorerRow(path);
      await row.locator(`[aria-label*="Safe LoRA: ${text}"], [aria-label*="${text}"]`).first().waitFor();
    };
    await says('adapters/mixed', 'measured · 6 of 12 modules at or below τ = 0.35');
    const tab = await session.projectAdapter('harmful');
    await tab.measured();
    await tab.button(/^Project \d/).click();
    await workbench.untilDirty(MODEL_FILE);
    await workbench.command('File: Save');
    await says('adapters/harmful', '3 modules projected');
    await says('adapters/harmful/safe_lora_original.safetensors', 'Original weights, kept by Safe LoRA');
    const file = session.modelFile('benign');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    await says('adapters/benign', 'The adapter has changed since it was measured');
    for (const theme of themes) {
      await workbench.setTheme(theme);
      await workbench.screenshot(`explorer ${theme}`);
    }
  });

  it('follows adapters that come, move and go', async () => {
    await session.workbench.command('View: Show Safe LoRA');
    cpSync(join(sample, 'adapters', 'mixed'), session.path('adapters', 'zebra'), { recursive: true });
    await until(async () => (await rows(session)).some((row) => row.startsWith('zebra')), 'the new one');
    renameSync(session.path('adapters', 'zebra'), session.path('adapters', 'yak'));
    await until(async () => {
      const found = await rows(session);
      return found.some((row) => row.startsWith('yak')) && !found.some((row) => row.startsWith('zebra'));
    }, 'its new name');
    rmSync(session.path('adapters', 'yak'), { recursive: true });
    await until(async () => !(await rows(session)).some((row) => row.startsWith('yak')), 'it to go');
  });

  it('takes up the result of an adapter that was only copied, without computing', async () => {
    const copy = session.path('adapters', 'copy');
    cpSync(session.path('adapters', 'mixed'), copy, { recursive: true });
    await session.workbench.command('View: Close All Editors');
    await session.workbench.command('View: Show Explorer');
    await until(() => session.engineChildren().length === 0, 'the engine to rest');
    await session.workbench.explorerContextMenu('adapters/copy', 'Measure Adapter');
    await session.workbench.notification('6 of 12 modules selected in copy').waitFor();
    await (
      await session.workbench.explorerRow('adapters/copy')
    )
      .locator('[aria-label*="measured · 6 of 12"]')
      .waitFor();
    assert.equal(session.engineChildren().length, 0);
    await session.workbench.clickNotification('Open Heatmap');
    await new AdapterTab(session.workbench).title.filter({ hasText: 'copy' }).waitFor();
  });

  it('measures again on request, and lists in the history what was measured and saved, the last first', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const tab = await session.openAdapter('copy');
    await tab.within('dd.measured').filter({ hasText: 'kept from an earlier run' }).waitFor();
    await tab.within('dd.measured').getByText('Measure again').click();
    await tab.within('dd.measured').filter({ hasNotText: 'kept from an earlier run' }).waitFor();
    await tab.measured();
    await workbench.command('View: Close All Editors');
    const harmful = await session.openAdapter('harmful');
    await harmful.button('Restore Originals').click();
    await workbench.notification('Original weights restored: harmful').waitFor();
    await workbench.command('View: Show Safe LoRA');
    const header = workbench.window.locator('.pane-header[aria-label*="History"]');
    await header.click();
    const counts = (name: string): string => {
      const { selected, modules } = reports.get(name)!.totals;
      return `measured: ${selected} of ${modules} selected`;
    };
    const history = workbench.window.locator('.pane', { has: header });
    // The view draws only the rows that fit into it.
    const expected: [string, string][] = [
      ['harmful', 'original weights restored'],
      ['copy', counts('mixed')],
      ['harmful', 'saved: 3 of 12 projected'],
    ];
    for (const [i, [name, text]] of expected.entries()) {
      const row = history.locator(`.monaco-list-row[data-index="${i}"]`).filter({ hasText: name });
      await row.filter({ hasText: text }).waitFor();
    }
    await workbench.screenshot('history');
    await workbench.command('Safe LoRA: Clear History');
    await workbench.clickDialog('Clear History');
    await history.getByText('Adapters that you measure or save appear here.').waitFor();
  });
});

describe('adapters of which some cannot be measured yet', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        copySampleWithPair(workspace);
        for (const name of ['mixed', 'mixed-all']) rmSync(join(workspace, 'adapters', name), { recursive: true });
        copyAdapter('mixed', join(workspace, 'adapters', 'a-stranger'), 'org/unheard-of');
        spoil(join(workspace, 'adapters', 'benign', MODEL_FILE));
      },
    });
  });
  after(() => session.stop());

  const row = (text: RegExp): Promise<void> =>
    until(async () => (await rows(session)).some((shown) => text.test(shown)), String(text));

  it('do not stop the others: the view says why one failed, and models are asked for once, afterwards', async () => {
    const { workbench } = session;
    await workbench.command('View: Show Safe LoRA');
    await workbench.command('Safe LoRA: Measure All Adapters');
    await workbench.notification(/1 adapter measured\. 1 failed: benign \(.* contains NaN or infinity\)\./).waitFor();
    await workbench.notification('a-stranger needs its models before it can be measured.').waitFor();
    await row(/^harmful ?3 of 12 selected/);
    await row(/^a-stranger ?not measured/);
    await row(/^benign ?failed: \S+ contains NaN or infinity · adapters$/);
    await workbench.treeRow('benign').click();
    await row(/^layer 0/);
    await workbench.screenshot('adapters view failed');
    await workbench.clickNotification('Choose Models…');
    await workbench.asked('Base model of a-stranger');
    await workbench.pick('base');
    await workbench.asked('Aligned model of a-stranger');
    await workbench.pick('aligned');
    await row(/^a-stranger ?6 of 12 selected/);
  });

  it('lose what failed when the adapter changes', async () => {
    cpSync(join(sample, 'adapters', 'benign', MODEL_FILE), session.modelFile('benign'));
    await row(/^benign ?not measured/);
  });
});

describe('a workspace without adapters', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({
      fill: (workspace) => {
        mkdirSync(join(workspace, 'empty'));
      },
    });
  });
  after(() => session.stop());

  it('is told what an adapter is, and where to begin', async () => {
    const { workbench } = session;
    await workbench.command('View: Show Safe LoRA');
    const welcome = workbench.window.locator('.welcome-view-content').filter({ hasText: 'No LoRA adapter' });
    await welcome.waitFor();
    assert.deepEqual(await welcome.locator('.monaco-button').allInnerTexts(), ['Open Folder', 'Open Sample Workspace']);
    await workbench.screenshot('adapters view empty');
  });
});
