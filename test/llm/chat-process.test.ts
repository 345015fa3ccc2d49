// A tokenizer and a template in a process of their own: what they do wrong ends with an error, and the host goes on.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type ChatSource } from '../../src/llm/chat-files';
import { type Conversation } from '../../src/llm/chat-protocol';
import { ChatProcess } from '../../src/llm/chat-process';
import { root } from '../fixtures/make';
import { encode, folderOf, openChat } from '../fixtures/tokenizers';

const childPath = join(root, 'dist/chat-child.js');
const bytes = readFileSync(join(folderOf('qwen2_5'), 'tokenizer.json'));

function sourceOf(template: string, tokenizer: Uint8Array = bytes): ChatSource {
  return {
    tokenizer: { path: 'tokenizer.json', bytes: tokenizer },
    settings: {},
    specialTokens: {},
    configs: [],
    template: { path: 'chat_template.jinja', text: template },
    system: undefined,
  };
}

const asked: Conversation[] = ['first', 'second', 'third'].map((content) => ({
  messages: [{ role: 'user', content }],
  reference: null,
}));

/** A second without progress is too long for the process. */
async function encodeIn(source: ChatSource, signal?: AbortSignal): Promise<unknown> {
  const chat = await ChatProcess.start({ childPath, limits: { open: 120, encode: 1, decode: 1 } }, source, signal);
  try {
    return await chat.encode(asked, (index) => `prompt ${index + 1} of asked`, undefined, signal);
  } finally {
    chat.end();
  }
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await setTimeout(10);
  }
}

const forEver = '{% for a in range(100000) %}{% for b in range(100000) %}{{ "" }}{% endfor %}{% endfor %}';

void describe('the process of a tokenizer and a template', () => {
  void it('encodes conversations and decodes answers as its tokenizer does', async () => {
    const own = await openChat();
    const settings = readFileSync(join(folderOf('qwen2_5'), 'tokenizer_config.json'), 'utf8');
    const source = sourceOf((JSON.parse(settings) as { chat_template: string }).chat_template);
    const chat = await ChatProcess.start({ childPath }, source);
    try {
      // More than one message's.
      const many = Array.from({ length: 600 }, (_, i): Conversation => ({
        messages: [{ role: 'user', content: `No. ${i}` }],
        reference: i % 2 ? `Yes ${i}` : null,
      }));
      const seen: number[] = [];
      const encoded = await chat.encode(many, String, (done) => seen.push(done));
      assert.deepEqual(
        encoded,
        many.map(({ messages, reference }) => ({
          tokens: encode(own, ...messages),
          reference: reference === null ? [] : own.tokens(reference),
        })),
      );
      assert.deepEqual(seen, [256, 512, 600]);
      const answers = encoded.map(({ reference }) => reference);
      assert.deepEqual(
        await chat.decode(answers),
        many.map(({ reference }) => reference ?? ''),
      );
    } finally {
      chat.end();
    }
  });

  void it('is ended where a template does not end, which names the template and the prompt', async () => {
    const template = `{% if messages[0].content == "second" %}${forEver}{% endif %}x`;
    await assert.rejects(encodeIn(sourceOf(template)), {
      code: 'chat-template',
      message: /^chat_template\.jinja: the chat template has not ended after .* at prompt 2 of asked; .*--template/,
    });
  });

  void it('is ended where an expression of the tokenizer does not end', async () => {
    const own = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const split = { type: 'Split', pattern: { Regex: '(a+)+\\n' }, behavior: 'Isolated', invert: false };
    const tokenizer = Buffer.from(JSON.stringify({ ...own, pre_tokenizer: split }));
    await assert.rejects(encodeIn(sourceOf('a'.repeat(60), tokenizer)), {
      code: 'model-config',
      message: /^tokenizer\.json: the tokenizer has not ended after .* at prompt 1 of asked;/,
    });
  });

  void it('is ended where a template takes all memory', async () => {
    const chat = await ChatProcess.start(
      { childPath },
      sourceOf(
        '{% set x = namespace(s=[1], kept=[]) %}{% for i in range(25) %}{% set x.s = x.s + x.s %}{% endfor %}{% for i in range(20) %}{% set x.kept = x.kept + [x.s + [i]] %}{% endfor %}',
      ),
    );
    try {
      await assert.rejects(
        chat.encode(asked, (index) => `prompt ${index + 1}`),
        { code: 'chat-template', message: /may take too much memory: .* at prompt 1; / },
      );
      // What ended it is said again.
      await assert.rejects(chat.decode([[1]]), { code: 'chat-template', message: /may take too much memory/ });
    } finally {
      chat.end();
    }
  });

  void it('is given up at once', async () => {
    const stop = new AbortController();
    const chat = await ChatProcess.start({ childPath }, sourceOf(forEver));
    const work = chat.encode(asked, String, undefined, stop.signal);
    stop.abort(new Error('given up'));
    await assert.rejects(work, /given up/);
    await gone(chat.pid!);
  });

  void it('is told of as what it was where somebody kills it, and ending it again keeps nobody waiting', async () => {
    const chat = await ChatProcess.start({ childPath }, sourceOf(forEver));
    const work = chat.encode(asked, (index) => `prompt ${index + 1}`);
    process.kill(chat.pid!, 'SIGTERM');
    await assert.rejects(work, {
      message: /^tokenizer\.json: the process that ran the tokenizer was ended by SIGTERM/,
    });
    chat.end();
    chat.end();
    assert.deepEqual(
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout'),
      [],
    );
  });

  void it('ends with its host, though its template never does', async () => {
    const source = { ...sourceOf(forEver), tokenizer: { path: join(folderOf('qwen2_5'), 'tokenizer.json') } };
    const host = spawn(
      process.execPath,
      ['--import', 'tsx', join(root, 'test/fixtures/chat-host.ts'), JSON.stringify(source)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [pid] = (await once(host.stdout, 'data')) as [Buffer];
    host.kill('SIGKILL');
    await gone(Number(pid.toString()));
  });

  void it('says what a template refuses', async () => {
    await assert.rejects(encodeIn(sourceOf('{{ raise_exception("no") }}')), {
      code: 'chat-template',
      message: /the chat template fails with "no"/,
    });
  });
});
