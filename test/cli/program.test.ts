// The command line in this process: its exit statuses, and that a call leaves nothing behind for the next.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { it } from 'node:test';
import { run } from '../../src/cli/program';
import { Terminal } from '../../src/cli/terminal';
import { root, sample } from '../fixtures/make';

const models = ['--base', join(sample, 'base'), '--aligned', join(sample, 'aligned'), '--device', 'cpu'];
const harmful = join(sample, 'adapters', 'harmful');

async function call(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
  const [out, err] = [new Taken(), new Taken()];
  const folder = join(root, 'dist');
  const terminal = new Terminal(out, err, {});
  const status = await run(argv, {
    version: '9.9.9',
    onnxruntimeVersion: '0.0.0',
    folder,
    name: 'safe-lora',
    terminal,
  });
  return { status, out: out.text, err: err.text };
}

class Taken extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

it('answers with the exit status, call after call, and leaves no listener behind', async () => {
  const listeners = process.listenerCount('SIGINT');
  assert.deepEqual(await call('--version'), { status: 0, out: '9.9.9\n', err: '' });
  const found = await call('inspect', harmful, ...models, '--quiet', '--json', '-');
  assert.deepEqual([found.status, found.err], [0, '']);
  const again = await call('inspect', harmful, ...models, '--quiet', '--json', '-');
  const modulesIn = (text: string): unknown => (JSON.parse(text) as { modules: unknown }).modules;
  assert.deepEqual(modulesIn(again.out), modulesIn(found.out));
  const gone = await call('inspect', join(sample, 'gone'), ...models);
  assert.deepEqual([gone.status, gone.out], [1, '']);
  assert.match(gone.err, /^safe-lora: .*gone: the adapter does not exist; check the path\.\n$/);
  const wrong = await call('inspect', harmful, ...models, '--treshold', '0.3');
  assert.equal(wrong.status, 2);
  const endless = await call('inspect', harmful, ...models, '--count', '9'.repeat(400));
  assert.equal(endless.status, 2);
  const nameless = await call('inspect', '', ...models);
  assert.deepEqual([nameless.status, nameless.out], [2, '']);
  assert.match(nameless.err, /^safe-lora: .*'' is invalid for argument 'ADAPTER'/);
  assert.match(wrong.err, /--treshold.*\nRun safe-lora inspect --help to see the options\.\n$/);
  assert.equal(process.listenerCount('SIGINT'), listeners);
});

it('goes on with the adapters that can be measured, and says of the others why not', async () => {
  const { status, out, err } = await call('inspect', harmful, join(sample, 'gone'), ...models, '--json', '-');
  const { reports, failures } = JSON.parse(out) as { reports: unknown[]; failures: { code: string }[] };
  assert.deepEqual([status, reports.length, failures.map(({ code }) => code)], [1, 1, ['file-access']]);
  assert.match(err, /gone: the adapter does not exist/);
});
