// The table of families is consistent, and names of copies lead to the models in it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plainName } from '../../src/core/model-names';
import { isRepoId } from '../../src/models/card';
import { alignedModelsOf, knownIds, pairingOf, pairings } from '../../src/models/families';
import { canonicalOf } from '../../src/models/canonical';

describe('the table of families', () => {
  it('has ids of the form owner/name, each in one spelling', () => {
    for (const id of knownIds) assert.ok(isRepoId(id) && id.includes('/') && !id.includes('*'), id);
    const spellings = new Map(knownIds.map((id) => [id.toLowerCase(), id]));
    assert.equal(spellings.size, knownIds.length);
    assert.ok(pairings.length > 100);
  });

  it('says of each aligned model once what it was made from, and of none itself', () => {
    const aligned = pairings.map((pairing) => pairing.aligned.toLowerCase());
    assert.equal(new Set(aligned).size, aligned.length);
    for (const { aligned: id, base } of pairings) assert.notEqual(base?.toLowerCase(), id.toLowerCase());
  });

  it('ends at the base: no base is itself an aligned model', () => {
    for (const { aligned, base } of pairings)
      assert.equal(base === null ? undefined : pairingOf(base), undefined, aligned);
  });

  it('gives every pair a source on the web', () => {
    for (const { aligned, source } of pairings)
      assert.ok(/^https:\/\/(?:huggingface\.co\/[\w.-]+\/[\w.-]+|arxiv\.org\/abs\/[\d.]+)$/.test(source), aligned);
  });

  it('has no two models that a plain name could mean', () => {
    const plain = new Map<string, string>();
    for (const id of knownIds) {
      assert.equal(plain.get(plainName(id)), undefined, id);
      plain.set(plainName(id), id);
    }
  });

  // Facts of the world, from the cards: a slip of the generator would show here.
  const facts: [string, string | null][] = [
    ['meta-llama/Llama-2-7b-chat-hf', 'meta-llama/Llama-2-7b-hf'],
    ['meta-llama/Meta-Llama-3-8B-Instruct', 'meta-llama/Meta-Llama-3-8B'],
    ['meta-llama/Llama-3.2-11B-Vision-Instruct', 'meta-llama/Llama-3.2-11B-Vision'],
    ['meta-llama/Llama-3.3-70B-Instruct', 'meta-llama/Llama-3.1-70B'],
    ['mistralai/Mistral-7B-Instruct-v0.2', 'mistral-community/Mistral-7B-v0.2'],
    ['mistralai/Mixtral-8x22B-Instruct-v0.1', 'mistralai/Mixtral-8x22B-v0.1'],
    ['google/gemma-2-9b-it', 'google/gemma-2-9b'],
    ['google/gemma-3-4b-it', 'google/gemma-3-4b-pt'],
    ['google/gemma-3-270m-it', 'google/gemma-3-270m'],
    ['Qwen/Qwen1.5-MoE-A2.7B-Chat', 'Qwen/Qwen1.5-MoE-A2.7B'],
    ['Qwen/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-7B'],
    ['Qwen/Qwen3-8B', 'Qwen/Qwen3-8B-Base'],
    ['Qwen/Qwen3-32B', null],
    ['microsoft/Phi-3-mini-4k-instruct', null],
    ['microsoft/phi-4', null],
    ['tiiuae/Falcon3-7B-Instruct', 'tiiuae/Falcon3-7B-Base'],
    ['allenai/OLMo-2-1124-7B-Instruct', 'allenai/OLMo-2-1124-7B'],
    ['HuggingFaceTB/SmolLM3-3B', 'HuggingFaceTB/SmolLM3-3B-Base'],
    ['01-ai/Yi-1.5-9B-Chat', '01-ai/Yi-1.5-9B'],
    ['deepseek-ai/deepseek-llm-7b-chat', 'deepseek-ai/deepseek-llm-7b-base'],
  ];
  for (const [aligned, base] of facts) {
    it(`knows the base of ${aligned}`, () => {
      assert.equal(pairingOf(aligned.toUpperCase())?.base, base);
      if (base !== null) assert.ok(alignedModelsOf(base).some((pairing) => pairing.aligned === aligned));
    });
  }
});

describe('a name leads to its original', () => {
  const names: [string, string, string][] = [
    ['meta-llama/Llama-2-7b-chat-hf', 'meta-llama/Llama-2-7b-chat-hf', 'same'],
    ['META-LLAMA/llama-2-7B-chat-hf', 'meta-llama/Llama-2-7b-chat-hf', 'same'],
    ['meta-llama/Meta-Llama-3.1-8B-Instruct', 'meta-llama/Llama-3.1-8B-Instruct', 'same'],
    ['unsloth/llama-3-8b-Instruct-bnb-4bit', 'meta-llama/Meta-Llama-3-8B-Instruct', 'quantised'],
    ['unsloth/llama-3-8b-bnb-4bit', 'meta-llama/Meta-Llama-3-8B', 'quantised'],
    ['unsloth/Meta-Llama-3.1-8B-Instruct', 'meta-llama/Llama-3.1-8B-Instruct', 'mirror'],
    ['unsloth/Qwen3-8B-unsloth-bnb-4bit', 'Qwen/Qwen3-8B', 'quantised'],
    ['unsloth/gemma-3-4b-it-unsloth-bnb-4bit', 'google/gemma-3-4b-it', 'quantised'],
    ['unsloth/llama-2-7b-chat', 'meta-llama/Llama-2-7b-chat-hf', 'mirror'],
    ['unsloth/mistral-7b-bnb-4bit', 'mistralai/Mistral-7B-v0.1', 'quantised'],
    ['unsloth/mistral-7b-instruct-v0.2-bnb-4bit', 'mistralai/Mistral-7B-Instruct-v0.2', 'quantised'],
    ['unsloth/tinyllama-chat', 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', 'mirror'],
    ['alpindale/Mistral-7B-v0.2-hf', 'mistral-community/Mistral-7B-v0.2', 'mirror'],
    ['NousResearch/Llama-2-7b-chat-hf', 'meta-llama/Llama-2-7b-chat-hf', 'mirror'],
    ['NousResearch/Meta-Llama-3-8B', 'meta-llama/Meta-Llama-3-8B', 'mirror'],
    ['NousResearch/Hermes-3-Llama-3.1-8B', 'NousResearch/Hermes-3-Llama-3.1-8B', 'same'],
    ['TheBloke/Llama-2-7B-Chat-GPTQ', 'meta-llama/Llama-2-7b-chat-hf', 'quantised'],
    ['TheBloke/Mistral-7B-Instruct-v0.1-AWQ', 'mistralai/Mistral-7B-Instruct-v0.1', 'quantised'],
    ['TheBloke/Llama-2-13B-fp16', 'meta-llama/Llama-2-13b-hf', 'mirror'],
    ['TheBloke/Some-Own-Model-GGUF', 'Some-Own-Model', 'quantised'],
    ['hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4', 'meta-llama/Llama-3.1-8B-Instruct', 'quantised'],
    ['Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4', 'Qwen/Qwen2.5-7B-Instruct', 'quantised'],
    ['someone/own-model-bnb-4bit', 'someone/own-model', 'quantised'],
    // Someone's own work may be called like the model that it was tuned from.
    ['someone/Llama-2-7b-chat-hf', 'someone/Llama-2-7b-chat-hf', 'same'],
    ['Llama-2-7b-chat-hf', 'meta-llama/Llama-2-7b-chat-hf', 'name'],
    ['my-model', 'my-model', 'same'],
  ];
  for (const [name, id, how] of names) {
    it(`${name} → ${id}`, () => {
      assert.deepEqual(canonicalOf(name), { id, how });
    });
  }
});
