// What the page says when things do not go their way, and whether everybody can use it: errors, cancelling, trust, keyboard, themes.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Locator } from 'playwright-core';
import { randomTensor, sample, writeAdapter } from '../fixtures/make';
import { violations } from './accessibility';
import { AdapterTab } from './adapter-tab';
import { again, until } from './patience';
import { copySample, copySampleWithPair, MODEL_FILE, rememberPair, Session } from './session';
import { themes } from './workbench';

/** Starts a run whose engine stands still at its first module. */
async function frozenRun(session: Session, adapter: string): Promise<{ tab: AdapterTab; pid: number }> {
  let pid = 0;
  const frozen = session.whenEngineStarts((started) => {
    pid = started;
    process.kill(started, 'SIGSTOP');
  });
  const tab = await session.projectAdapter(adapter);
  await frozen;
  return { tab, pid };
}

/** Closes every editor: the engine ends after its last one. */
async function engineRests(session: Session): Promise<void> {
  await session.workbench.command('View: Close All Editors');
  await until(() => session.engineChildren().length === 0, 'the engine to rest');
}

describe('a run that does not come to its end', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('is cancelled at once, keeps what was measured, and resumes', async () => {
    const { tab } = await frozenRun(session, 'harmful');
    await tab.banner(/of 12 modules/).waitFor();
    await session.workbench.notification('Safe LoRA: measuring harmful').waitFor();
    await tab.button('Cancel').click();
    await tab.banner('Cancelled').waitFor();
    const measured = (await tab.table()).filter(({ similarity }) => !Number.isNaN(similarity)).length;
    assert.ok(measured < 12);
    assert.ok(await isDisabled(tab.button(/^Project \d/)), 'half a measurement is not applied');
    await tab.button(/Resume|Measure/).click();
    await tab.measured();
    await tab.findingIs('3 of 12 modules at or below τ = 0.35');
  });

  it('is cancelled from its notification', async () => {
    await engineRests(session);
    const { tab } = await frozenRun(session, 'mixed');
    const notification = session.workbench.notification('Safe LoRA: measuring mixed');
    await notification.waitFor();
    await notification.hover();
    await notification.getByRole('button', { name: 'Cancel' }).click();
    await tab.banner('Cancelled').waitFor();
  });

  it('says which module the models lack', async () => {
    const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, base_model_name_or_path: 'toy-llama-aligned' };
    const pair = { a: randomTensor(1, [2, 128]), b: randomTensor(2, [128, 2]) };
    writeAdapter(session.path('adapters', 'deeper'), { 'model.layers.9.self_attn.q_proj': pair }, config);
    await session.workbench.command('View: Close All Editors');
    const tab = await session.projectAdapter('deeper');
    await tab
      .banner(/the base model has no weight for 1 of the adapter's 1 modules \(model\.layers\.9\.self_attn\.q_proj\)/)
      .waitFor();
    await session.workbench.screenshot('failed');
  });

  it('offers to choose another model where one is gone', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    renameSync(session.path('aligned'), session.path('moved'));
    const tab = await session.projectAdapter('benign');
    const failed = tab.banner(session.path('aligned'));
    await failed.waitFor();
    await workbench.screenshot('model gone');
    assert.deepEqual(await tab.buttonsIn(failed), ['Retry', 'Choose Aligned Model…', 'Show Log']);
    await tab.button('Choose Aligned Model…').click();
    await workbench.asked('Aligned model of benign');
    await workbench.pick('moved');
    await tab.measured();
  });
});

describe('an engine that dies', () => {
  let session: Session;
  before(async () => {
    // With one process at a time, the module of the one that dies is taken up by the next to start.
    session = await Session.start({
      fill: (workspace) => {
        copySample(workspace);
        rememberPair(workspace, { 'safeLora.workers': 1 });
      },
    });
  });
  after(() => session.stop());

  it('says so when the engine dies, leaves the editor alive, and works on Retry', async () => {
    // The first processes of a session try the devices.
    await (await session.projectAdapter('harmful')).measured();
    await engineRests(session);
    const { tab, pid } = await frozenRun(session, 'mixed-all');
    await tab.banner(/of 42 modules/).waitFor();
    // The one that takes its place ends, too, before it can compute: a module fails only with its second process.
    const program = session.extensionFile('dist', 'engine-child.js');
    renameSync(program, `${program}.aside`);
    try {
      writeFileSync(program, "process.kill(process.pid, 'SIGKILL');");
      process.kill(pid, 'SIGKILL');
      await tab.banner(/The engine's process was ended by SIGKILL/).waitFor();
    } finally {
      renameSync(`${program}.aside`, program);
    }
    await tab
      .banner(/SIGKILL/)
      .locator('vscode-button')
      .filter({ hasText: 'Retry' })
      .click();
    await tab.measured();
    await tab.findingIs('27 of 42 modules at or below τ = 0.35');
  });
});

describe('an adapter that cannot be read', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('shows that it is a Git LFS pointer and what to do, and opens once that is done', async () => {
    const file = session.modelFile('pointer');
    mkdirSync(dirname(file));
    copyFileSync(
      session.path('adapters', 'harmful', 'adapter_config.json'),
      join(dirname(file), 'adapter_config.json'),
    );
    writeFileSync(file, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 89072\n');
    await session.workbench.openFile(`adapters/pointer/${MODEL_FILE}`);
    const tab = new AdapterTab(session.workbench);
    await tab.banner(/is a Git LFS pointer, not the weights; run "git lfs pull"/).waitFor();
    await session.workbench.screenshot('unreadable');
    copyFileSync(session.modelFile('harmful'), file);
    await tab
      .banner(/Git LFS/)
      .locator('vscode-button')
      .filter({ hasText: 'Retry' })
      .click();
    await tab.banner('Nothing is measured yet.').waitFor();
    assert.equal(await tab.rows.count(), 12);
  });
});

describe('a workspace that is not trusted', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair, asksForTrust: true });
  });
  after(() => session.stop());

  it('measures, and neither applies nor takes model folders from its settings', async () => {
    const { workbench } = session;
    const tab = await session.openAdapter('harmful');
    await tab.banner('This workspace is not trusted').waitFor();
    await tab.banner('Choose the base and the aligned model').waitFor();
    await tab.button('Measure').click();
    await workbench.asked('Base model of harmful');
    await workbench.pick('base');
    await workbench.asked('Aligned model of harmful');
    await workbench.pick('aligned');
    await tab.measured();
    assert.ok(await isDisabled(tab.button(/^Project \d/)));
    assert.ok(await isDisabled(tab.button('Save As…')));
    assert.deepEqual(
      readFileSync(session.modelFile('harmful')),
      readFileSync(join(sample, 'adapters', 'harmful', MODEL_FILE)),
    );
  });
});

describe('the page', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('is worked from the keyboard alone: open, measure, select, override, apply, save', async () => {
    const { workbench } = session;
    const tab = new AdapterTab(workbench);
    await again(async (timeout) => {
      await workbench.press('Escape');
      await workbench.press('Control+P');
      await workbench.quickInputText();
      await workbench.type(`adapters/harmful/${MODEL_FILE}`);
      // Enter opens the row in focus: before the search has come back, none or another.
      const found = '.quick-input-widget .monaco-list-row.focused[aria-label*="adapters/harmful"]';
      await workbench.window.locator(found).waitFor({ timeout });
      await workbench.press('Enter');
      await tab.title.filter({ hasText: 'harmful' }).waitFor({ timeout });
    });
    const tabTo = async (target: Locator): Promise<void> => {
      for (let presses = 0; presses < 60; presses++) {
        if (await target.evaluate((node) => node === document.activeElement)) return;
        await workbench.press('Tab');
      }
      throw new Error(`Tab does not reach ${target.toString()}`);
    };
    await tabTo(tab.button('Measure'));
    await workbench.press('Enter');
    await tab.measured();
    await tabTo(tab.within('canvas').first());
    await workbench.press('ArrowDown');
    await workbench.press('ArrowRight');
    await tab.within('.details').filter({ hasText: 'model.layers.1.self_attn.v_proj' }).waitFor();
    await workbench.press('Space');
    await tab.within('.by-hand').filter({ hasText: '1 added' }).waitFor();
    await tabTo(tab.slider);
    await workbench.press('ArrowRight');
    await tab.findingIs('4 of 12 modules selected');
    await tabTo(tab.button(/^Project \d/));
    await workbench.press('Enter');
    await until(() => workbench.isDirty(MODEL_FILE), 'the dirty mark');
    await tabTo(tab.row('model.layers.0.self_attn.q_proj'));
    await workbench.press('ArrowDown');
    await tab.within('.details').filter({ hasText: 'model.layers.0.self_attn.v_proj' }).waitFor();
    await workbench.press('Control+s');
    await until(async () => !(await workbench.isDirty(MODEL_FILE)), 'saved');
    await tab.banner('4 modules projected in the file').waitFor();
  });

  it('has no serious accessibility violation in any theme, and is pictured in each', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.command('View: Toggle Primary Side Bar Visibility');
    await workbench.command('Notifications: Clear All Notifications');
    for (const adapter of ['mixed-all', 'harmful']) {
      await workbench.command('Safe LoRA: Project Adapter');
      await workbench.asked('Project which adapter?');
      await workbench.pick(adapter);
      const tab = new AdapterTab(workbench);
      await tab.title.filter({ hasText: adapter }).waitFor();
      await tab.measured();
      for (const theme of themes) {
        await workbench.setTheme(theme);
        assert.deepEqual(await violations(tab.within('body')), [], theme);
        await workbench.screenshot(`${adapter} ${theme}`);
      }
    }
  });
});

async function isDisabled(control: Locator): Promise<boolean> {
  return control.evaluate((button) => (button as HTMLButtonElement).disabled);
}
