// What is claimed is one's own, until it is given back or its process is gone.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { announceWaits, claim, claimInTurn, claimWhile, machine, readClaim } from '../../src/core/claims';
import { temporaryFolder } from '../fixtures/make';

const folder = temporaryFolder();
let cases = 0;
let path: string;
beforeEach(() => {
  path = join(folder, `case-${cases++}`);
});

const DAY = 86_400_000;
const ended = spawnSync(process.execPath, ['-e', '']).pid;
const leave = (content: object, ageMs = 0): void => {
  writeFileSync(path, JSON.stringify(content));
  const time = new Date(Date.now() - ageMs);
  utimesSync(path, time, time);
};

describe('a claim', () => {
  it('is void where its process is gone, and where it was not renewed or is dated in the future', () => {
    leave({ pid: ended, host: machine });
    assert.equal(readClaim(path), null);
    for (const ageMs of [2 * DAY, -2 * DAY]) {
      leave({ pid: 1, host: 'elsewhere' }, ageMs);
      assert.equal(readClaim(path), null);
    }
    leave({ pid: 1, host: 'elsewhere' }, 20_000);
    assert.equal(readClaim(path)?.host, 'elsewhere');
    for (const make of [
      () => {
        mkdirSync(path);
      },
      () => {
        symlinkSync(path, path);
      },
      () => {
        execFileSync('mkfifo', [path]);
      },
    ]) {
      rmSync(path, { recursive: true });
      make();
      assert.equal(readClaim(path), null, 'what is no file');
    }
    rmSync(path);
    leave({ pid: 1, host: machine });
    assert.equal(readClaim(path)?.pid, 1);
  });

  it('holds where the clock of its machine is another, and is void once it stands still for a while', (t) => {
    let now = performance.now();
    t.mock.method(performance, 'now', () => now);
    for (const host of ['elsewhere', machine])
      for (const ageMs of [120_000, -120_000]) {
        leave({ pid: 1, host }, ageMs);
        assert.equal(readClaim(path)?.pid, 1);
        // Renewed, by a clock that is just as wrong.
        for (const later of [5_000, 10_000, 15_000]) {
          now += 10_000;
          leave({ pid: 1, host }, ageMs - later);
          assert.equal(readClaim(path)?.pid, 1);
        }
        now += 14_000;
        assert.equal(readClaim(path)?.pid, 1);
        now += 2_000;
        assert.equal(readClaim(path), null);
      }
  });

  it('belongs to one at a time, also where many find a void one at once', async () => {
    leave({ pid: ended, host: machine });
    let inside = 0;
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const release = await claimInTurn(path);
        assert.equal(++inside, 1);
        await delay(1);
        inside--;
        release();
      }),
    );
    assert.ok(!existsSync(path));
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith(basename(path))),
      [],
      'nothing is left',
    );
  });

  it('does not remove that of another who took it over', () => {
    const release = claim(path);
    leave({ pid: 1, host: 'elsewhere' });
    release();
    assert.equal(readClaim(path)?.host, 'elsewhere');
    rmSync(path);
  });

  it('is told once where it is waited for long', async () => {
    const told: string[] = [];
    announceWaits((text) => told.push(text));
    leave({ pid: 7, host: 'elsewhere pid:[1]', files: [] });
    let asked = 0;
    const isWanted = (): Promise<boolean> => {
      // Some more turns show that nothing is said twice.
      if (told.length > 0 && ++asked === 3) rmSync(path);
      return Promise.resolve(true);
    };
    (await claimWhile(path, isWanted))?.();
    assert.deepEqual(told, [`waiting for process 7 on elsewhere, which uses ${path}`]);
    (await claimInTurn(path))();
    assert.equal(told.length, 1, 'nothing is said where it is free');
  });
});
