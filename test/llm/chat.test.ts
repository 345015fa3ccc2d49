// Conversations as tokens: a published tokenizer beside what Transformers made of the same, templates, and what ends an answer.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type ChatFiles } from '../../src/llm/chat-files';
import {
  chatOf,
  encode,
  folderOf,
  openChat,
  ownTokens,
  recordedTokens,
  tokenizers,
  type Tokens,
} from '../fixtures/tokenizers';
import { join } from 'node:path';

const folder = folderOf('qwen2_5');
const tokenizer = readFileSync(join(folder, 'tokenizer.json'));

/** A model of such files. */
function files(more: Record<string, string | object>, config: object = {}): ChatFiles {
  const all = new Map(
    Object.entries(more).map(([name, content]) => [
      name,
      typeof content === 'string' ? content : JSON.stringify(content),
    ]),
  );
  return {
    path: 'model',
    config: config as Record<string, unknown>,
    sourceOf: (file) => `model/${file}`,
    read: (file) =>
      Promise.resolve(file === 'tokenizer.json' ? tokenizer : all.has(file) ? Buffer.from(all.get(file)!) : null),
  };
}

async function rendered(template: string, settings: object = {}): Promise<string> {
  const chat = await chatOf(files({ 'tokenizer_config.json': { chat_template: template, ...settings } }));
  return chat.decode(encode(chat, { role: 'user', content: 'Hi' }));
}

void describe('a conversation', () => {
  for (const name of tokenizers) {
    void it(`becomes Transformers' tokens with ${name}, and they become its text`, async () => {
      assert.deepEqual(await ownTokens(name), JSON.parse(readFileSync(recordedTokens(name), 'utf8')) as Tokens[]);
    });
  }

  void it('has a system message where one is given, and no other', async () => {
    const own = await openChat();
    const given = await chatOf(
      files({ 'tokenizer_config.json': readFileSync(join(folder, 'tokenizer_config.json'), 'utf8') }),
      { system: 'Be brief.' },
    );
    const message = { role: 'user', content: 'Hi' } as const;
    assert.match(given.decode(encode(given, message)), /system\nBe brief\./);
    assert.deepEqual(
      encode(given, { role: 'system', content: 'Other' }, message),
      encode(own, { role: 'system', content: 'Other' }, message),
    );
    assert.notEqual(given.sha256, own.sha256);
  });

  void it('with an empty system message is another one than without', async () => {
    const settings = { 'tokenizer_config.json': { chat_template: '{{ messages | length }}' } };
    const [none, empty] = [await chatOf(files(settings)), await chatOf(files(settings), { system: '' })];
    assert.notEqual(none.sha256, empty.sha256);
    assert.deepEqual(
      [none, empty].map((chat) => chat.render([{ role: 'user', content: 'x' }])),
      ['1', '2'],
    );
  });

  void it('is rendered by the template that Transformers would take', async () => {
    const message = { role: 'user', content: 'Hi' } as const;
    const texts = await Promise.all(
      [
        files({ 'chat_template.jinja': 'file', 'tokenizer_config.json': { chat_template: 'settings' } }),
        files({ 'tokenizer_config.json': { chat_template: 'settings' } }),
        files({
          'tokenizer_config.json': {
            chat_template: [
              { name: 'tool', template: 'tool' },
              { name: 'default', template: 'default' },
            ],
          },
        }),
      ].map(async (model) => {
        const chat = await chatOf(model);
        return chat.decode(encode(chat, message));
      }),
    );
    assert.deepEqual(texts, ['file', 'settings', 'default']);
  });

  void it('does not depend on the day, and does not think', async () => {
    assert.equal(await rendered('{{ strftime_now("%d %b %Y") }}'), '26 Jul 2024');
    assert.equal(await rendered('{{ strftime_now("%Y-%m-%d") }}'), '2024-07-26');
    assert.equal(await rendered('\n x{% if 0 %}{{ strftime_now("%Y") }}{% endif %}'), '\n x');
    assert.equal(await rendered('{% if enable_thinking %}thinks{% else %}answers{% endif %}'), 'answers');
    assert.equal(await rendered('{{ bos_token }}{{ messages[0].content }}', { bos_token: { content: 'B' } }), 'BHi');
  });

  void it('ends at any of the tokens that a configuration names', async () => {
    const template = { chat_template: 'x', eos_token: '<|im_end|>' };
    const chat = await chatOf(
      files(
        { 'tokenizer_config.json': template, 'generation_config.json': { eos_token_id: [5, 6] } },
        { eos_token_id: 7 },
      ),
    );
    assert.deepEqual(
      [...chat.stopTokens].sort((a, b) => a - b),
      [5, 6, 7, 151645],
    );
  });
});
