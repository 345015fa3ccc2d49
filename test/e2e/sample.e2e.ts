// The first minutes of a new user: the sample as a workspace of their own, and the walkthrough.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sample } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { copySampleWithPair, MODEL_FILE, Session } from './session';
import { themes, Workbench } from './workbench';

const COMMAND = 'Safe LoRA: Open Sample Workspace';
const DIALOG = 'Choose a folder for safe-lora-sample';

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== 'demo.mjs' && !name.startsWith('.vscode'))
    .sort();

describe('the sample workspace', () => {
  let session: Session;
  /** The user's home folder. */
  let parent: string;
  before(async () => {
    session = await Session.start();
    parent = session.editor.home;
  });
  after(() => session.stop());

  async function showsTheSample(workbench: Workbench): Promise<void> {
    for (const name of ['base', 'aligned', 'adapters', 'README.md'])
      await (await workbench.explorerRow(name)).waitFor();
  }

  it('is copied to a new folder, opened, and measured, and asks nothing', async (test) => {
    const { workbench } = session;
    await workbench.openEmpty(session.editor.url(session.workspace));
    const started = performance.now();
    await workbench.command(COMMAND);
    await workbench.window.waitForURL(/safe-lora-sample$/);
    const tab = new AdapterTab(workbench);
    await tab.measured();
    test.diagnostic(
      `one command, no question, ${((performance.now() - started) / 1000).toFixed(1)} s to the first heatmap`,
    );
    assert.equal((await tab.table()).length, 42);
    await workbench.notification(/Your copy of the sample: .*safe-lora-sample/).waitFor();
    await showsTheSample(workbench);
    assert.deepEqual(files(join(parent, 'safe-lora-sample')), files(sample));
    for (const name of files(sample).filter((name) => name.endsWith('.safetensors'))) {
      assert.deepEqual(readFileSync(join(parent, 'safe-lora-sample', name)), readFileSync(join(sample, name)), name);
    }
    await workbench.screenshot('sample workspace');
  });

  it('gets a number of its own the second time, in a new window beside the open folder', async () => {
    rmSync(join(parent, 'safe-lora-sample', 'base'), { recursive: true });
    const opened = session.workbench.window.context().waitForEvent('page');
    await session.workbench.command(COMMAND);
    const second = new Workbench(await opened);
    await second.window.waitForURL(/safe-lora-sample-2$/);
    await new AdapterTab(second).measured();
    await second.window.close();
    assert.ok(!existsSync(join(parent, 'safe-lora-sample', 'base')), 'the first is left as its user changed it');
  });

  it('asks for a folder where the copy fails, leaves nothing behind, and says why', async () => {
    const file = session.extensionFile('sample', 'adapters', 'mixed', MODEL_FILE);
    const elsewhere = session.outside('projects');
    mkdirSync(elsewhere);
    const before = readdirSync(parent);
    renameSync(file, `${file}.aside`);
    try {
      // A pipe cannot be copied.
      spawnSync('mkfifo', [file]);
      await session.workbench.command(COMMAND);
      await session.workbench.fileDialog(DIALOG, elsewhere);
      await session.workbench.notification(/projects\/safe-lora-sample: cannot write it/).waitFor();
      assert.deepEqual(readdirSync(parent), before);
      assert.deepEqual(readdirSync(elsewhere), []);
    } finally {
      renameSync(`${file}.aside`, file);
    }
  });
});

describe('the walkthrough', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair });
  });
  after(() => session.stop());

  it('shows its four steps with their pictures, in every theme', async () => {
    const { workbench } = session;
    await workbench.command('Welcome: Open Walkthrough...');
    await workbench.pick('Get Started with Safe LoRA');
    const steps = workbench.window.locator('.getting-started-step');
    await steps.first().waitFor();
    assert.equal(await steps.count(), 4);
    const titles = await steps.locator('.step-title').allInnerTexts();
    assert.deepEqual(titles, [
      'Open the sample',
      'Choose the two models',
      'Read the heatmap',
      'Project, save, restore',
    ]);
    for (const theme of themes) {
      await workbench.setTheme(theme);
      for (const [i, title] of titles.entries()) {
        await steps.nth(i).locator('.step-title').click();
        await workbench.page().locator('svg').waitFor();
        await workbench.screenshot(`walkthrough ${i + 1} ${theme}`);
        assert.ok(await steps.nth(i).locator('.monaco-button').isVisible(), title);
      }
    }
  });

  it('ticks a step when its user has done what it says', async () => {
    const { workbench } = session;
    const tab = await session.projectAdapter('harmful');
    await tab.measured();
    await tab.button(/^Project \d/).click();
    await workbench.untilDirty(`harmful/${MODEL_FILE}`);
    await workbench.tab('Welcome').click();
    const ticked = workbench.window.locator('.getting-started-step:has(.codicon.complete) .step-title');
    await ticked.nth(1).waitFor();
    assert.deepEqual(await ticked.allInnerTexts(), ['Read the heatmap', 'Project, save, restore']);
  });
});
