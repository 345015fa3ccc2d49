// Every family on a device, SAFE_LORA_TEST_PROVIDER or else WebGPU, beside what Transformers computed when it was recorded.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Provider, providers } from '../../src/engine/providers';
import { openDevices } from '../fixtures/devices';
import { compare, largestLogitError, recordedModels } from '../fixtures/language-models';

const named = process.env.SAFE_LORA_TEST_PROVIDER ?? 'webgpu';
const provider = providers.find((name) => name === named);
if (!provider) throw new Error(`SAFE_LORA_TEST_PROVIDER: there is no ${named}`);

/** Models that a provider's try refuses: on WebGPU the one whose attention has a soft cap. */
const REFUSED: Readonly<Partial<Record<Provider, readonly string[]>>> = { webgpu: ['gemma2'] };

const names = Number(process.env.SAFE_LORA_TEST_SHARE ?? 1) < 1 ? ['llama'] : readdirSync(recordedModels);

void describe(`models on ${provider}`, () => {
  for (const name of names) {
    void it(`${name} gives Transformers' logits and answers in one batch, or is refused where that is known`, async () => {
      const { environment } = await openDevices().process(provider);
      const work = compare(join(recordedModels, name), { provider, environment });
      if (REFUSED[provider]?.includes(name)) {
        await assert.rejects(work, { code: 'device-unavailable' });
        return;
      }
      const { logits, otherAnswers, answers } = await work;
      assert.ok(logits <= largestLogitError, `logits differ by ${logits} of the largest`);
      assert.equal(otherAnswers, 0);
      assert.equal(answers, 9);
    });
  }

  // It multiplies by weights in 8 or 4 bits otherwise than the CPU does.
  void it('that are rounded are refused by WebGPU', { skip: provider !== 'webgpu' }, async () => {
    for (const precision of ['int8', 'int4'] as const)
      await assert.rejects(compare(join(recordedModels, 'llama'), { provider, precision }), {
        code: 'device-unavailable',
      });
  });
});
