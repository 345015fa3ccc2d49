// Published tokenizers and chat templates, beside Transformers.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { temporaryFolder } from '../fixtures/make';
import { folderOf, ownTokens, recordedTokens, templates, texts, tokenizers, type Tokens } from '../fixtures/tokenizers';
import { program, pythonEnvironment } from './environment';

for (const name of tokenizers) {
  void it(`texts and conversations become Transformers' tokens with ${name}`, async () => {
    const folder = temporaryFolder();
    const at = (file: string): string => join(folder, file);
    cpSync(folderOf(name), at('model'), { recursive: true });
    const template = templates[name];
    if (template !== undefined) writeFileSync(at('model/chat_template.jinja'), template);
    writeFileSync(at('texts.json'), JSON.stringify(texts));
    await program(await pythonEnvironment(), 'chat_tokens.py', at('model'), at('texts.json'), at('tokens.json'));
    const expected = JSON.parse(readFileSync(at('tokens.json'), 'utf8')) as Tokens[];
    assert.deepEqual(await ownTokens(name), expected);
    if (process.env.SAFE_LORA_RECORD_MODELS !== undefined) cpSync(at('tokens.json'), recordedTokens(name));
    assert.deepEqual(JSON.parse(readFileSync(recordedTokens(name), 'utf8')), expected);
  });
}
