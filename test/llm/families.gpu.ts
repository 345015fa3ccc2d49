// Every family on a device, SAFE_LORA_TEST_PROVIDER or else WebGPU, beside what Transformers computed when it was recorded.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { SafeLoraError } from '../../src/core/errors';
import { type Provider, providers } from '../../src/engine/providers';
import { openDevices } from '../fixtures/devices';
import { compare, largestLogitError, recordedModels } from '../fixtures/language-models';

const named = process.env.SAFE_LORA_TEST_PROVIDER ?? 'webgpu';
const provider = providers.find((name) => name === named);
if (!provider) throw new Error(`SAFE_LORA_TEST_PROVIDER: there is no ${named}`);

/** Models that a provider's try refuses, where that is known: WebGPU's attention has no soft cap. */
const REFUSED: Readonly<Partial<Record<Provider, readonly string[]>>> = { webgpu: ['gemma2'] };

const names = Number(process.env.SAFE_LORA_TEST_SHARE ?? 1) < 1 ? ['llama'] : readdirSync(recordedModels);

void describe(`models on ${provider}`, () => {
  for (const name of names) {
    void it(`${name} gives Transformers' logits and answers in one batch, or is refused before it runs`, async (t) => {
      const { environment } = await openDevices().process(provider);
      const refused = REFUSED[provider]?.includes(name);
      try {
        const { logits, otherAnswers, answers } = await compare(join(recordedModels, name), { provider, environment });
        assert.ok(logits <= largestLogitError, `logits differ by ${logits} of the largest`);
        assert.equal(otherAnswers, 0);
        assert.equal(answers, 9);
        assert.notEqual(refused, true, `${name} is no longer refused`);
      } catch (error) {
        if (!(error instanceof SafeLoraError) || error.code !== 'device-unavailable') throw error;
        assert.notEqual(refused, false, error.message);
        t.diagnostic(error.message);
      }
    });
  }
});
