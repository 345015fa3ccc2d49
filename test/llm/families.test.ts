// Every family that can be run, beside what Transformers computed when it was recorded (test/interop/language_models.py).
import assert from 'node:assert/strict';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { families, readArchitecture } from '../../src/llm/architecture';
import {
  compare,
  generated,
  largestLogitError,
  readTruth,
  recordedModels,
  startModel,
  variantsOf,
} from '../fixtures/language-models';
import { openCheckpoint } from '../../src/core/checkpoint';
import { decode, type FloatDtype } from '../../src/core/dtype';
import { openSafetensors, readTensor } from '../../src/core/safetensors';
import { safetensors, temporaryFolder, type TensorSpec } from '../fixtures/make';
import { type Answer, type Scores } from '../../src/llm/protocol';

const names = readdirSync(recordedModels);

void describe('models of every family', () => {
  void it('are all recorded', async () => {
    const types = await Promise.all(
      names.map(async (name) => (await openCheckpoint(join(recordedModels, name, 'aligned'))).config.model_type),
    );
    assert.deepEqual(new Set(types), new Set<unknown>(families));
  });

  for (const name of names) {
    void it(`${name} gives Transformers' logits and answers, with and without the adapter, in one batch`, async () => {
      const { logits, otherAnswers, answers } = await compare(join(recordedModels, name));
      assert.ok(logits <= largestLogitError, `logits differ by ${logits} of the largest`);
      assert.equal(otherAnswers, 0);
      assert.equal(answers, 9);
    });
  }

  void it('answer alike whatever the batch is', async () => {
    const folder = join(recordedModels, 'llama');
    const { adapter } = readTruth(folder);
    const variants = await variantsOf(folder);
    const rows = Array.from({ length: 40 }, (_, i) => ({ tokens: adapter[i % 3]!.tokens, variant: 1 }));
    // So little memory that a batch has a few rows.
    const model = await startModel(folder, { workspace: 2 ** 17 });
    try {
      const answers = await generated(model, { variants, rows, maxTokens: 24 });
      assert.equal(answers.length, 40);
      answers.forEach(({ tokens }, i) => {
        assert.deepEqual(tokens, adapter[i % 3]!.answer);
      });
    } finally {
      model.end();
    }
  });

  void it('answer with tokens that only a saved head and a saved embedding have', async () => {
    const folder = temporaryFolder();
    cpSync(join(recordedModels, 'llama-saved-head'), folder, { recursive: true });
    const file = join(folder, 'adapter', 'adapter_model.safetensors');
    const { tensors } = await openSafetensors(file);
    const { vocabulary } = readArchitecture((await openCheckpoint(join(folder, 'aligned'))).config, '');
    const added = 6;
    const grown: Record<string, TensorSpec> = {};
    for (const [name, tensor] of tensors) {
      const bytes = Buffer.from(await readTensor(tensor));
      const isGrown = tensor.shape[0] === vocabulary;
      // The first rows of the head once more, twice as large: each wins wherever its row did.
      const rows = Buffer.from(
        Float32Array.from(decode(bytes, tensor.dtype as FloatDtype).subarray(0, added * tensor.shape[1]!), (x) => 2 * x)
          .buffer,
      );
      assert.ok(!isGrown || tensor.dtype === 'F32');
      grown[name] = {
        dtype: tensor.dtype,
        shape: isGrown ? [vocabulary + added, tensor.shape[1]!] : [...tensor.shape],
        bytes: isGrown ? Buffer.concat([bytes, rows]) : bytes,
      };
    }
    writeFileSync(file, safetensors(grown));
    const truth = readTruth(folder);
    const rows = Array.from({ length: 40 }, (_, i) => ({ tokens: [3 + i], variant: 1 + (i % 2) }));
    const model = await startModel(folder);
    try {
      const aligned = truth.aligned.map(({ tokens }) => ({ tokens, variant: 0 }));
      const variants = await variantsOf(folder);
      const answers = await generated(model, { variants, rows: [...rows, ...aligned], maxTokens: 24 });
      const own = answers.slice(rows.length).map(({ tokens }) => tokens);
      assert.deepEqual(
        own,
        truth.aligned.map(({ answer }) => answer),
      );
      assert.ok(
        answers.slice(0, rows.length).some(({ tokens }) => tokens.slice(0, -1).some((token) => token >= vocabulary)),
      );
    } finally {
      model.end();
    }
  });

  void it('answer prompts of all lengths as they do one at a time, where rows end and others take their slots', async () => {
    const folder = join(recordedModels, 'llama');
    const variants = await variantsOf(folder);
    const lengths = [1, 40, 3, 17, 2, 39, 9, 25, 5, 1, 12, 33];
    const rows = lengths.map((length, row) => ({
      tokens: Array.from({ length }, (_, i) => 3 + ((row * 31 + i * 7) % 60)),
      variant: row % 3,
    }));
    const task = { variants, maxTokens: 24, stopTokens: [...readTruth(folder).adapter[0]!.answer.slice(2, 6)] };
    // Room for five of the longest rows.
    const model = await startModel(folder, { workspace: 2 ** 18 });
    try {
      const together = await generated(model, { ...task, rows });
      const alone: Answer[] = [];
      for (const [row, one] of rows.entries())
        alone.push(...(await generated(model, { ...task, rows: [one] })).map((answer) => ({ ...answer, row })));
      assert.deepEqual(together, alone);
      const ended = new Set(alone.map(({ tokens }) => tokens.length));
      assert.ok(ended.size > 2, 'rows end at different steps');
    } finally {
      model.end();
    }
  });

  for (const name of ['llama', 'mistral-window']) {
    void it(`give long prompts that go through in pieces what they give at once: ${name}`, async () => {
      const folder = join(recordedModels, name);
      const variants = await variantsOf(folder);
      const rows = [300, 140, 260, 9].map((length, row) => {
        const tokens = Array.from({ length }, (_, i) => 3 + ((row * 31 + i * 7) % 60));
        const questions = [0, 100, 127, 128, 255, 299].filter((position) => position < length);
        return { tokens, variant: row % 3, questions: questions.map((position) => ({ position, tokens: [5, 9] })) };
      });
      const run = async (workspace: number): Promise<{ scores: number[]; answers: Answer[] }> => {
        const model = await startModel(folder, { workspace, positions: 320 });
        try {
          const scores: Scores[] = [];
          await model.score({ variants, rows }, (more) => scores.push(...more));
          scores.sort((x, y) => x.row - y.row);
          const answers = await generated(model, { variants, rows, maxTokens: 8, stopTokens: [] });
          return { scores: scores.flatMap(({ logProbabilities }) => logProbabilities.flat()), answers };
        } finally {
          model.end();
        }
      };
      // In the second there is no memory to keep what a piece leaves for the next.
      const [inPieces, whole] = [await run(2 ** 26), await run(2 ** 14)];
      assert.equal(inPieces.scores.length, 32);
      inPieces.scores.forEach((value, i) => {
        assert.ok(Math.abs(value - whole.scores[i]!) < 1e-5, `${value} and ${whole.scores[i]}`);
      });
      assert.deepEqual(inPieces.answers, whole.answers);
      assert.ok(inPieces.answers.every(({ tokens }) => tokens.length === 8));
    });
  }
  void it('give the same scores where the questions of a row need several runs', async () => {
    const folder = join(recordedModels, 'llama');
    const variants = await variantsOf(folder);
    const rows = [50, 7, 1].map((length, variant) => {
      const tokens = Array.from({ length }, (_, i) => 3 + ((variant * 31 + i * 7) % 60));
      return { tokens, variant, questions: tokens.map((token, position) => ({ position, tokens: [token, 5] })) };
    });
    const scored = async (workspace: number): Promise<number[]> => {
      const model = await startModel(folder, { workspace });
      try {
        const scores: Scores[] = [];
        await model.score({ variants, rows }, (more) => scores.push(...more));
        assert.deepEqual(scores.map(({ row }) => row).sort(), [0, 1, 2]);
        scores.sort((x, y) => x.row - y.row);
        assert.deepEqual(
          scores.map(({ logProbabilities }) => logProbabilities.map(({ length }) => length)),
          rows.map(({ questions }) => questions.map(() => 2)),
        );
        return scores.flatMap(({ logProbabilities }) => logProbabilities.flat());
      } finally {
        model.end();
      }
    };
    const [whole, inPieces] = [await scored(2 ** 26), await scored(2 ** 14)];
    whole.forEach((value, i) => {
      assert.ok(Math.abs(value - inPieces[i]!) < 1e-5, `${value} and ${inPieces[i]}`);
    });
  });

  void it('end an answer at any stop token, and say which were cut off', async () => {
    const folder = join(recordedModels, 'qwen3-tied');
    const { aligned } = readTruth(folder);
    const variants = await variantsOf(folder);
    const [first, second, third] = aligned.map(({ answer }) => answer) as [number[], number[], number[]];
    const stop = [first[5]!, second[0]!];
    const model = await startModel(folder);
    try {
      const rows = aligned.map(({ tokens }) => ({ tokens, variant: 0 }));
      const answers = await generated(model, { variants, rows, maxTokens: 24, stopTokens: stop });
      const expected = [first, second, third].map((answer) => {
        const end = answer.findIndex((token) => stop.includes(token));
        return end < 0 ? { tokens: answer, isCutOff: true } : { tokens: answer.slice(0, end), isCutOff: false };
      });
      assert.deepEqual(
        answers.map(({ tokens, isCutOff }) => ({ tokens, isCutOff })),
        expected,
      );
    } finally {
      model.end();
    }
  });

  void it('are refused by name where they were not checked', async () => {
    const { config } = await openCheckpoint(join(recordedModels, 'llama', 'aligned'));
    const cases: [change: Record<string, unknown>, message: RegExp][] = [
      [{ model_type: 'mamba' }, /model_type "mamba".*llama, mistral.*vLLM/],
      [{ model_type: undefined }, /model_type null/],
      [{ rope_parameters: { rope_type: 'yarn', rope_theta: 1e4, factor: 4 } }, /rope type "yarn"/],
      [{ rope_parameters: null, rope_scaling: { type: 'dynamic', factor: 2 } }, /rope type "dynamic"/],
      [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor 0.5/],
      [{ head_dim: 24 }, /heads of 24/],
      [{ hidden_act: 'relu2' }, /activation "relu2"/],
      [{ hidden_size: 'many' }, /no usable hidden_size/],
      [{ num_hidden_layers: 1e9 }, /no usable num_hidden_layers/],
      [{ num_key_value_heads: 3, num_attention_heads: 4 }, /4 heads for 3/],
      [{ model_type: 'qwen2', use_sliding_window: true, sliding_window: -1 }, /no usable sliding_window/],
      [{ model_type: 'gemma3_text', layer_types: ['linear_attention'] }, /layer_types/],
    ];
    for (const [change, message] of cases)
      assert.throws(() => readArchitecture({ ...config, ...change }, 'model'), { code: 'unsupported-model', message });
  });
});
