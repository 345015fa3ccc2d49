// Models of every family that can be run here, beside Transformers with PEFT: logits and greedy answers, with adapters as they were
// trained and as Safe LoRA projected them.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { cli, temporaryFolder } from '../fixtures/make';
import { compare, largestLogitError, recordedModels } from '../fixtures/language-models';
import { program, pythonEnvironment } from './environment';

const folder = temporaryFolder();

void describe('models of every family beside Transformers', () => {
  before(async () => {
    const python = await pythonEnvironment();
    await program(python, 'language_models.py', 'make', folder);
    for (const name of readdirSync(folder)) {
      const at = (part: string): string => join(folder, name, part);
      const project = ['project', at('adapter'), '--base', at('base'), '--aligned', at('aligned'), '--count', '1000'];
      const { status, stderr } = await cli([...project, '--out', at('projected'), '--quiet']);
      assert.equal(status, 0, stderr);
    }
    await program(python, 'language_models.py', 'truth', folder);
    if (process.env.SAFE_LORA_RECORD_MODELS !== undefined) record();
  });

  void it('are all recorded for npm test', () => {
    assert.deepEqual(readdirSync(recordedModels), readdirSync(folder));
  });

  for (const name of readdirSync(recordedModels)) {
    void it(name, async () => {
      const { logits, otherAnswers, answers } = await compare(join(folder, name));
      assert.ok(logits <= largestLogitError, `logits differ by ${logits} of the largest`);
      assert.equal(otherAnswers, 0);
      assert.equal(answers, 9);
    });
  }
});

/** What `npm test` holds without Python; a base is not needed for that. */
function record(): void {
  rmSync(recordedModels, { recursive: true });
  for (const name of readdirSync(folder)) {
    for (const part of ['aligned', 'adapter', 'projected', 'truth.json'])
      cpSync(join(folder, name, part), join(recordedModels, name, part), { recursive: true });
    for (const unused of [
      'adapter/README.md',
      'projected/README.md',
      'projected/safe_lora_report.json',
      'aligned/generation_config.json',
    ])
      rmSync(join(recordedModels, name, unused), { force: true });
  }
}
