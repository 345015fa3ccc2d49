// The command line without its models: exit 2, and what this machine has for the adapter is named, not taken.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cli, plainConfig, sample, temporaryFolder, writeAdapter } from '../fixtures/make';
import { cacheRevision, COMMIT, wholeModel } from './cache';

const CHAT = 'meta-llama/Llama-2-7b-chat-hf';
const BASE = 'meta-llama/Llama-2-7b-hf';

function setup(trainedOn: string): {
  adapter: string;
  cache: string;
  run: (...args: string[]) => ReturnType<typeof cli>;
} {
  const folder = temporaryFolder();
  const adapter = writeAdapter(join(folder, 'adapter'), {}, { ...plainConfig, base_model_name_or_path: trainedOn });
  const env = { HF_HUB_CACHE: join(folder, 'hub') };
  return { adapter, cache: env.HF_HUB_CACHE, run: (...args) => cli(['inspect', adapter, ...args], { env }) };
}

describe('inspect without its models', () => {
  it('names both where both are in the cache', async () => {
    const { adapter, cache, run } = setup(CHAT);
    const [aligned, base] = [CHAT, BASE].map((id) => cacheRevision(cache, id, { files: wholeModel }));
    const { status, stdout, stderr } = await run();
    assert.deepEqual([status, stdout], [2, '']);
    const where = `in the Hugging Face cache (revision main, ${COMMIT.slice(0, 7)})`;
    const [said, ...lines] = stderr.split('\n');
    assert.equal(said, 'safe-lora: --base MODEL and --aligned MODEL are missing');
    assert.deepEqual(lines.slice(0, 4), [
      `  base     ${base!}`,
      `           Llama 2 family: the base of Llama-2-7b-chat-hf, ${where}`,
      `  aligned  ${aligned!}`,
      `           named by the adapter, ${where}`,
    ]);
    // The call again, complete: a command to copy.
    const words = `inspect ${adapter} --base ${base!} --aligned ${aligned!}`;
    assert.match(
      lines.slice(4).join('\n'),
      /^Try:\n {2}node \S*cli\.js inspect .*\nRun .* inspect --help to see the options\.\n$/,
    );
    assert.ok(lines[5]!.endsWith(words), lines[5]);
  });

  it('names the one that is missing alone, and the command for one that is not here', async () => {
    const { run } = setup(CHAT);
    const { status, stderr } = await run('--aligned', 'somewhere');
    assert.equal(status, 2);
    assert.match(stderr, /--base MODEL is missing/);
    assert.ok(
      stderr.includes(
        `  base     ${BASE} is not on this machine (Llama 2 family: the base of Llama-2-7b-chat-hf)\n           hf download ${BASE} --include`,
      ),
    );
    assert.match(stderr, new RegExp(`Try:\\n.* --aligned somewhere --base hf://${BASE}\\n`));
    assert.doesNotMatch(stderr, /named by the adapter/);
  });

  it('explains an adapter of a base model, and one whose base was never published', async () => {
    assert.match((await setup(BASE).run()).stderr, /was trained on meta-llama\/Llama-2-7b-hf, a base model, not on an/);
    assert.match((await setup('microsoft/phi-4').run()).stderr, /No base of microsoft\/phi-4 was published/);
  });

  it('quotes a path for the shell', async () => {
    const folder = join(temporaryFolder(), "it's here");
    mkdirSync(folder);
    cpSync(join(sample, 'aligned'), join(folder, 'aligned'), { recursive: true });
    cpSync(join(sample, 'adapters', 'benign'), join(folder, 'benign'), { recursive: true });
    const { stderr } = await cli(['inspect', join(folder, 'benign'), '--base', 'x'], { env: { HF_HOME: folder } });
    assert.ok(stderr.includes(` --aligned '${join(folder, 'aligned').replace("'", "'\\''")}'\n`), stderr);
  });

  it('says what it said before where the adapter cannot be read or names nothing', async () => {
    for (const path of ['nowhere', join(sample, 'base')]) {
      const { status, stderr } = await cli(['inspect', path, '--base', 'x']);
      assert.equal(status, 2);
      assert.match(stderr, /^safe-lora: --aligned MODEL is missing\nRun .* --help to see the options\.\n$/);
    }
  });
});
