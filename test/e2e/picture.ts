// Makes the README's moving picture from the packaged extension in a real editor: measure, look, choose a threshold, project, compare.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { applyPalette, GIFEncoder, quantize } from 'gifenc';
import { PNG } from 'pngjs';
import { root } from '../fixtures/make';
import { copySampleWithPair, Session } from './session';

/** Milliseconds that a picture stays. */
const SHORT = 1200;
const LONG = 2600;

let session: Session | undefined;
after(() => session?.stop());

void it('the moving picture', async () => {
  session = await Session.start({ fill: copySampleWithPair });
  const { workbench } = session;
  const gif = GIFEncoder();
  const take = async (delay: number): Promise<void> => {
    const { data, width, height } = PNG.sync.read(await workbench.window.screenshot({ animations: 'disabled' }));
    const palette = quantize(data, 256);
    gif.writeFrame(applyPalette(data, palette), width, height, { palette, delay });
  };
  await workbench.setTheme('Dark Modern');
  const tab = await session.projectAdapter('mixed-all');
  await tab.measured();
  await workbench.command('View: Close Primary Side Bar');
  await take(LONG);
  const map = tab.within('canvas').first();
  for (const position of [
    { x: 400, y: 90 },
    { x: 120, y: 65 },
  ]) {
    await map.hover({ position });
    await take(SHORT);
  }
  for (const threshold of [0.3, 0.25, 0.2]) {
    await tab.setThreshold(threshold);
    await take(SHORT);
  }
  await tab.button(/^Project \d/).click();
  await tab.within('.headline').filter({ hasText: '→' }).waitFor();
  await take(LONG);
  await tab.within('vscode-radio').filter({ hasText: 'After projection' }).click();
  await take(LONG);
  gif.finish();
  writeFileSync(join(root, 'media', 'editor.gif'), gif.bytes());
});
