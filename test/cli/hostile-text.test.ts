// What an adapter's names may do to the terminal that shows them: nothing.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { Report } from '../../src/core/report';
import { hostileCase, INVISIBLE, tricks } from '../fixtures/hostile';
import { cli, type CliResult, temporaryFolder } from '../fixtures/make';

/** The ends of our own lines, and the escape sequences of our own colours. */
const OURS = new Set(['\n', ...[1, 2, 4, 22, 24, 33, 35, 36, 39].map((code) => `\x1b[${code}m`)]);

function assertPlain({ stdout, stderr }: CliResult): void {
  for (const text of [stdout, stderr]) {
    assert.doesNotMatch(
      text.replace(/\n|\p{Cc}\[\d+m/gu, (ours) => (OURS.has(ours) ? '' : ours)),
      INVISIBLE,
    );
  }
}

describe('Names from files', () => {
  const folder = temporaryFolder();
  let models: string[];
  let adapter: string;
  before(() => {
    const made = hostileCase(folder, `adapter ${tricks.escapes}`);
    ({ adapter } = made);
    models = ['--base', made.base, '--aligned', made.aligned];
  });

  it('reach the terminal visibly: in the table, the notices and the progress', async () => {
    const result = await cli(['inspect', adapter, ...models]);
    assert.equal(result.status, 0, result.stderr);
    assertPlain(result);
    assert.match(result.stdout, /adapter \\x1b\]0;owned\\x07/);
    assert.match(result.stdout, /safe\\u202etxt/);
    // The table's rows are lines, and the longest name does not push the numbers away.
    const rows = result.stdout.split('\n').filter((line) => /^ +0 {2}/.test(line));
    assert.equal(rows.length, 10);
    assert.ok(Math.max(...rows.map(({ length }) => length)) < 160);
  });

  it('do so in colour, too', async () => {
    const result = await cli(['inspect', adapter, ...models], { env: { FORCE_COLOR: '1' } });
    assertPlain(result);
    assert.match(result.stdout, /\p{Cc}\[1madapter \\x1b/u);
  });

  it('stay what they are in the report for programs', async () => {
    const { stdout } = await cli(['inspect', adapter, ...models, '--json', '-']);
    const { modules } = JSON.parse(stdout) as Report;
    assert.ok(modules.some(({ name }) => name.includes(tricks.bidi.replaceAll('.', '_'))));
  });

  it('reach it visibly in errors, also of several adapters and in the proposals of models', async () => {
    const gone = `gone ${tricks.bidi}${tricks.escapes}`;
    const broken = join(folder, `broken ${tricks.escapes}`);
    mkdirSync(broken, { recursive: true });
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) writeFileSync(join(broken, name), '{');
    for (const args of [
      ['inspect', gone, ...models],
      ['inspect', gone, broken, adapter, ...models],
      ['inspect', adapter],
      ['inspect', adapter, ...models, `--${tricks.bidi}`],
      ['project', adapter, ...models, '--out', join(folder, `out ${tricks.bidi}`)],
      ['pairs', 'remove', gone],
    ]) {
      assertPlain(await cli(args));
    }
  });

  it('reach it visibly where they are the names of files that stay behind', async () => {
    const plain = join(folder, 'plain');
    renameSync(adapter, plain);
    mkdirSync(join(plain, `folder ${tricks.bidi}\n${tricks.escapes}`));
    const result = await cli(['project', plain, ...models, '--out', join(folder, 'copy')]);
    assert.equal(result.status, 0, result.stderr);
    assertPlain(result);
    assert.match(result.stdout, /Not copied from the adapter's folder: folder safe\\u202etxt/);
  });
});
