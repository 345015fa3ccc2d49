// The harness itself: each helper does to a real editor what it says.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { root, sample, temporaryFolder } from '../fixtures/make';
import { openBrowser, startEditor, type Editor } from './editor';
import { Workbench } from './workbench';

const vsix = join(root, readdirSync(root).find((name) => /^safe-lora-linux-x64-.*\.vsix$/.test(name)) ?? 'no VSIX');

describe('the editor of the end-to-end tests', { timeout: 300_000 }, () => {
  const folder = temporaryFolder();
  let editor: Editor;
  let browser: Browser;
  let workbench: Workbench;

  before(async () => {
    cpSync(sample, folder, { recursive: true });
    editor = await startEditor({ vsix, folder });
    browser = await openBrowser();
    workbench = new Workbench(await browser.newPage({ viewport: { width: 1280, height: 800 } }));
    await workbench.open(editor.url);
  });

  after(async () => {
    await browser.close();
    await editor.stop();
    assert.ok(!existsSync(editor.userDataDir));
  });

  it('carries an engine that runs from the installed VSIX alone', () => {
    const extension = join(editor.extensionsDir, readdirSync(editor.extensionsDir).find((name) => name.startsWith('safe-lora'))!); // prettier-ignore
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(extension, 'dist/cli.js'), 'doctor'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /cpu +usable/);
  });

  it('opens adapters in the custom editor, one tab each', async () => {
    await workbench.openFile('adapters/harmful/adapter_model.safetensors');
    await workbench.page().getByRole('heading', { name: 'harmful' }).waitFor();
    await workbench.openFile('adapters/benign/adapter_model.safetensors');
    await workbench.page().getByRole('heading', { name: 'benign' }).waitFor();
    assert.match(await workbench.activeTab(), /benign\/adapter_model\.safetensors$/);
    await workbench.tab('harmful/adapter_model.safetensors').click();
    await workbench.page().getByRole('heading', { name: 'harmful' }).waitFor();
  });

  it('shows it in every theme', async () => {
    for (const theme of ['Dark Modern', 'Light Modern', 'Dark High Contrast', 'Light High Contrast'] as const) {
      await workbench.setTheme(theme);
      await workbench.screenshot(`smoke-${theme.toLowerCase().replaceAll(' ', '-')}`);
    }
  });

  it('offers the commands', async () => {
    assert.ok(await workbench.offers('Safe LoRA: Show Log'));
    assert.ok(!(await workbench.offers('Safe LoRA: Show')));
    const menu = await workbench.explorerMenu('adapters/mixed/adapter_model.safetensors');
    await workbench.screenshot('smoke-context-menu');
    assert.ok(menu.includes('Project Adapter'), menu.join());
    await workbench.press('Escape');
  });

  it('answers a dialog and saves under another name', async () => {
    await workbench.explorerContextMenu('README.md', 'Open to the Side');
    await workbench.tab('README.md').waitFor();
    await workbench.text('README.md').locator('.view-line').first().click();
    await workbench.type('changed ');
    await workbench.untilDirty('README.md');
    await workbench.command('View: Close Editor');
    assert.match(await workbench.dialog(), /save the changes/);
    await workbench.screenshot('smoke-dialog');
    await workbench.clickDialog('Cancel');
    await workbench.command('File: Save As...');
    await workbench.fileDialog('Save As', join(folder, 'adapters', 'COPY.md'));
    await workbench.tab('adapters/COPY.md').waitFor();
    assert.ok(existsSync(join(folder, 'adapters', 'COPY.md')));
    assert.ok(!(await workbench.isDirty('COPY.md')));
  });

  it('sees a notification and presses its button', async () => {
    const file = join(folder, 'README.md');
    await workbench.openFile('README.md');
    await workbench.text('README.md').locator('.view-line').first().click();
    await workbench.type('mine ');
    await workbench.untilDirty('README.md');
    writeFileSync(file, 'theirs');
    await workbench.command('File: Save');
    await workbench.notification('The content of the file is newer').waitFor();
    assert.equal((await workbench.notifications()).length, 1);
    await workbench.screenshot('smoke-notification');
    await workbench.clickNotification('Overwrite');
    await workbench.notification('newer').waitFor({ state: 'hidden' });
    await workbench.untilDirty('README.md', false);
    assert.match(readFileSync(file, 'utf8'), /mine /);
  });

  it('reloads and keeps what was open', async () => {
    await workbench.reload();
    await workbench.page().getByRole('heading', { name: 'harmful' }).waitFor();
    assert.match(editor.log(/remoteexthost/), /safe-lora/);
  });

  it('opens another folder through the dialog', async () => {
    await workbench.command('File: Open Folder...');
    await workbench.fileDialog('Open Folder', join(folder, 'adapters'));
    await workbench.window.getByRole('treeitem', { name: 'benign' }).and(workbench.window.locator('[aria-level="1"]')).waitFor(); // prettier-ignore
  });
});
