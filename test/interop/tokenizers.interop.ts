// A published tokenizer and its chat template, beside Transformers.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { temporaryFolder } from '../fixtures/make';
import { ownTokens, recordedTokens, texts, tokenizerFolder, type Tokens } from '../fixtures/tokenizers';
import { program, pythonEnvironment } from './environment';

void it("texts and conversations become Transformers' tokens", async () => {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  cpSync(tokenizerFolder, at('model'), { recursive: true });
  writeFileSync(at('texts.json'), JSON.stringify(texts));
  await program(await pythonEnvironment(), 'chat_tokens.py', at('model'), at('texts.json'), at('tokens.json'));
  const expected = JSON.parse(readFileSync(at('tokens.json'), 'utf8')) as Tokens[];
  assert.deepEqual(await ownTokens(), expected);
  if (process.env.SAFE_LORA_RECORD_MODELS !== undefined) cpSync(at('tokens.json'), recordedTokens);
  assert.deepEqual(JSON.parse(readFileSync(recordedTokens, 'utf8')), expected);
});
