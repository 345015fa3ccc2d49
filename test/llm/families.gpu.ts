// Every family on a device, SAFE_LORA_TEST_PROVIDER or else WebGPU, beside what Transformers computed when it was recorded.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { providers } from '../../src/engine/providers';
import { openDevices } from '../fixtures/devices';
import { compare, largestLogitError, recordedModels } from '../fixtures/language-models';

const named = process.env.SAFE_LORA_TEST_PROVIDER ?? 'webgpu';
const provider = providers.find((name) => name === named);
if (!provider) throw new Error(`SAFE_LORA_TEST_PROVIDER: there is no ${named}`);

const names = Number(process.env.SAFE_LORA_TEST_SHARE ?? 1) < 1 ? ['llama'] : readdirSync(recordedModels);

void describe(`models on ${provider}`, () => {
  for (const name of names) {
    void it(`${name} gives Transformers' logits and answers in one batch`, async () => {
      const { environment } = await openDevices().process(provider);
      const { logits, otherAnswers, answers } = await compare(join(recordedModels, name), { provider, environment });
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
