// --html: a page that stands alone, whatever names the files hold, and that never replaces anything but such a page.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cli, sample, temporaryFolder } from '../fixtures/make';

const folder = temporaryFolder();
const pair = ['--base', join(sample, 'base'), '--aligned', join(sample, 'aligned'), '--quiet'];
const adapterAt = (name: string): string => join(sample, 'adapters', name);

async function pageOf(...args: string[]): Promise<string> {
  const page = join(folder, 'page.html');
  const { status, stderr } = await cli([...args, ...pair, '--html', page]);
  assert.equal(status, 0, stderr);
  return readFileSync(page, 'utf8');
}

/** Nothing is loaded, and nothing runs. */
function assertStandsAlone(page: string): void {
  assert.match(page, /^<!doctype html>/);
  assert.match(page, /default-src 'none'; style-src 'unsafe-inline'/);
  assert.doesNotMatch(page, /<script|<link|<img|<iframe|url\(|@import|javascript:|\son\w+=/i);
  assert.doesNotMatch(page, /(?:src|href)=/);
  assert.doesNotMatch(page, /undefined|NaN|\[object/);
}

void describe('--html', () => {
  void it('shows the modules of several adapters', async () => {
    const page = await pageOf('inspect', adapterAt('harmful'), adapterAt('mixed-all'));
    assertStandsAlone(page);
    assert.equal(page.match(/<article>/g)!.length, 2);
    assert.match(page, /3 of 12 modules at or below τ = 0\.35/);
    assert.match(page, /model\.layers\.5\.mlp\.down_proj/);
    assert.match(page, /A selection is not a verdict/);
  });

  void it('shows the behaviour that was measured', async () => {
    const page = await pageOf('evaluate', adapterAt('harmful'), '--points', '8', '--choose', 'asr <= 0.1');
    assertStandsAlone(page);
    assert.match(page, /48 of 48/);
    assert.match(page, /attack success, 8 projected: 0\.000 \(0\.000 to 0\.074\)/);
    assert.match(page, /8 modules projected: of the measured points, the one with the fewest/);
    assert.match(page, /safe-lora\/evaluation@1/);
    assert.doesNotMatch(page.replace("'unsafe-inline'", ''), /\bunsafe\b|\bis safe\b/i);
  });

  void it('shows scores alone where nothing else was asked for', async () => {
    const page = await pageOf('evaluate', adapterAt('mixed'), '--score');
    assertStandsAlone(page);
    assert.match(page, /No answers were generated/);
    assert.match(page, /Refusal score|refusal score/);
  });

  void it('escapes what comes from files', async () => {
    const hostile = join(folder, '<b onclick="x">&\u202e');
    cpSync(adapterAt('harmful'), hostile, { recursive: true });
    const page = await pageOf('inspect', hostile);
    assertStandsAlone(page.replaceAll('&#60;b onclick=', ''));
    assert.doesNotMatch(page, /<b onclick/);
    assert.ok(!page.includes('\u202e'));
  });

  void it('never replaces another file', async () => {
    const mine = join(folder, 'mine.html');
    writeFileSync(mine, '<!doctype html><p>mine');
    const { status, stderr } = await cli(['inspect', adapterAt('harmful'), ...pair, '--html', mine]);
    assert.equal(status, 1);
    assert.match(stderr, /mine\.html: exists and was not written by safe-lora/);
    assert.equal(readFileSync(mine, 'utf8'), '<!doctype html><p>mine');
  });
});
