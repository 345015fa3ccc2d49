// Where the projection is computed, as the editor says it: on a GPU's interface, which a program stands for here, and where it falls back.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { Locator } from 'playwright-core';
import { copySampleWithPair, Session } from './session';

/** Chromium brings a Vulkan driver that computes on the processor. */
const SOFTWARE_GPU = { VK_DRIVER_FILES: '/usr/lib/chromium/vk_swiftshader_icd.json' };

function statusBar({ workbench }: Session, text: string): Locator {
  return workbench.window.locator('.statusbar-item').filter({ hasText: text });
}

/** Sets the device, and waits until the editor has read its settings; an adapter that is not measured is open. */
async function setDevice(session: Session, device: string): Promise<void> {
  const file = session.path('.vscode', 'settings.json');
  const settings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...settings, 'safeLora.device': device }));
  await statusBar(session, `${device} · τ 0.35 · not measured`).waitFor();
}

describe('the compute devices', () => {
  let session: Session;
  before(async () => {
    session = await Session.start({ fill: copySampleWithPair, env: SOFTWARE_GPU });
  });
  after(() => session.stop());

  it('are tried and shown, with the reason for each that cannot be used', async () => {
    const { workbench } = session;
    await workbench.command('Safe LoRA: Show Compute Devices');
    const page = workbench.page();
    await page.getByRole('heading', { name: 'Compute devices' }).waitFor();
    const row = (device: string): Locator =>
      page.getByRole('row').filter({ has: page.getByText(device, { exact: true }) });
    await workbench.screenshot('compute devices');
    assert.match(await row('cuda').innerText(), /not usable: there is no NVIDIA driver/);
    for (const device of ['webgpu', 'cpu'])
      assert.match(await row(device).innerText(), /usable\s+\d\.\de-\d+\s+\d+ ms/);
    await page.getByText('uses cpu').waitFor();
    await page.getByText('webgpu: slower than the CPU here').waitFor();
    await workbench.command('View: Close All Editors');
  });

  it('fall back in the open: the tab and the status bar say why it is the CPU', async () => {
    const tab = await session.projectAdapter('harmful');
    await tab.measured();
    assert.match(
      (await tab.within('dd.measured > span').getAttribute('title')) ?? '',
      /^auto: cuda: there is no NVIDIA driver; webgpu: slower than the CPU here/,
    );
    await session.workbench.screenshot('compute devices fallback');
    const item = statusBar(session, 'cpu · τ 0.35');
    await item.hover();
    await session.workbench.window.getByText('No faster device: cuda: there is no NVIDIA driver').waitFor();
  });

  it('compute where they are told to, to the same selection', async () => {
    await session.workbench.command('View: Close All Editors');
    await session.workbench.openFile('adapters/mixed/adapter_config.json');
    await setDevice(session, 'webgpu');
    const tab = await session.projectAdapter('mixed');
    await tab.measured();
    await statusBar(session, 'webgpu · τ 0.35').waitFor();
    await tab.findingIs('6 of 12 modules at or below τ = 0.35');
  });

  it('are an error where the named one cannot run, which says what to do', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await session.workbench.openFile('adapters/benign/adapter_config.json');
    await setDevice(session, 'cuda');
    const tab = await session.projectAdapter('benign');
    await tab.banner('The device cuda cannot be used: there is no NVIDIA driver').waitFor();
    await workbench.screenshot('compute devices error');
    await setDevice(session, 'cpu');
    await tab.button('Retry').click();
    await statusBar(session, 'cpu · τ 0.35 · 8 selected').waitFor();
  });
});
