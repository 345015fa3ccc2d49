// Nothing is sent anywhere: onnxruntime's builds keep a device id and a store of events for Microsoft unless they are told not to.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { cli, temporaryFolder } from '../fixtures/make';

it('the engine leaves no trace of telemetry in the user’s folders', async () => {
  const home = temporaryFolder();
  const temporary = join(home, 'tmp');
  mkdirSync(temporary);
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  const { status } = await cli(['doctor'], { env: { ...env, HOME: home, XDG_CACHE_HOME: '', TMPDIR: temporary } });
  assert.equal(status, 0);
  assert.ok(!existsSync(join(home, '.cache')), 'no store of events');
  assert.deepEqual(readdirSync(temporary), []);
});
