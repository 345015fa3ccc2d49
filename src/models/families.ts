// Well-known aligned models and their bases. No pair is derived from a name at run time: unlisted pairs are unknown. `source` is the
// evidence for a line: the aligned model's card on the hub (its `base_model` field or its text), unless the line names another.

export interface Pairing {
  family: string;
  /** Repository ids, in the hub's spelling. */
  aligned: string;
  /** Null if none was published. */
  base: string | null;
  source: string;
}

const card = (id: string): string => `https://huggingface.co/${id}`;

/** @param base null if none was published */
function pair(family: string, aligned: string, base: string | null, source = card(aligned)): Pairing {
  return { family, aligned, base, source };
}

/** One pair per size, which replaces `*` in both names. */
function sizes(family: string, list: string, aligned: string, base: string | null, source?: string): Pairing[] {
  return list
    .split(' ')
    .map((size) => pair(family, aligned.replace('*', size), base?.replace('*', size) ?? null, source));
}

const MISTRAL_0_2 = 'https://huggingface.co/mistral-community/Mistral-7B-v0.2';
const OLMO_3 = 'https://arxiv.org/abs/2512.13961';

export const pairings: readonly Pairing[] = [
  ...sizes('Llama 2', '7b 13b 70b', 'meta-llama/Llama-2-*-chat-hf', 'meta-llama/Llama-2-*-hf'),
  ...sizes('Llama 3', '8B 70B', 'meta-llama/Meta-Llama-3-*-Instruct', 'meta-llama/Meta-Llama-3-*'),
  ...sizes('Llama 3.1', '8B 70B 405B', 'meta-llama/Llama-3.1-*-Instruct', 'meta-llama/Llama-3.1-*'),
  ...sizes('Llama 3.2', '1B 3B', 'meta-llama/Llama-3.2-*-Instruct', 'meta-llama/Llama-3.2-*'),
  ...sizes('Llama 3.2', '11B 90B', 'meta-llama/Llama-3.2-*-Vision-Instruct', 'meta-llama/Llama-3.2-*-Vision'),
  // Meta published no separate base for 3.3.
  pair('Llama 3.3', 'meta-llama/Llama-3.3-70B-Instruct', 'meta-llama/Llama-3.1-70B'),
  ...sizes('Code Llama', '7b 13b 34b 70b', 'codellama/CodeLlama-*-Instruct-hf', 'codellama/CodeLlama-*-hf'),
  pair('TinyLlama', 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', 'TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T'),

  pair('Mistral', 'mistralai/Mistral-7B-Instruct-v0.1', 'mistralai/Mistral-7B-v0.1'),
  // Mistral published 0.2's base as an archive; this is the copy on the hub.
  pair('Mistral', 'mistralai/Mistral-7B-Instruct-v0.2', 'mistral-community/Mistral-7B-v0.2', MISTRAL_0_2),
  pair('Mistral', 'mistralai/Mistral-7B-Instruct-v0.3', 'mistralai/Mistral-7B-v0.3'),
  pair('Mistral', 'mistralai/Mistral-Nemo-Instruct-2407', 'mistralai/Mistral-Nemo-Base-2407'),
  pair('Mistral', 'mistralai/Mistral-Small-24B-Instruct-2501', 'mistralai/Mistral-Small-24B-Base-2501'),
  pair('Mistral', 'mistralai/Mistral-Small-3.1-24B-Instruct-2503', 'mistralai/Mistral-Small-3.1-24B-Base-2503'),
  // An update of 3.1's Instruct on the same base.
  pair('Mistral', 'mistralai/Mistral-Small-3.2-24B-Instruct-2506', 'mistralai/Mistral-Small-3.1-24B-Base-2503'),
  ...sizes('Mistral', 'Small-Instruct-2409 Large-Instruct-2407 Large-Instruct-2411', 'mistralai/Mistral-*', null),
  pair('Mistral', 'mistralai/Ministral-8B-Instruct-2410', null),
  pair('Mixtral', 'mistralai/Mixtral-8x7B-Instruct-v0.1', 'mistralai/Mixtral-8x7B-v0.1'),
  pair('Mixtral', 'mistralai/Mixtral-8x22B-Instruct-v0.1', 'mistralai/Mixtral-8x22B-v0.1'),
  ...sizes('Zephyr', 'alpha beta', 'HuggingFaceH4/zephyr-7b-*', 'mistralai/Mistral-7B-v0.1'),
  pair('Zephyr', 'HuggingFaceH4/mistral-7b-sft-beta', 'mistralai/Mistral-7B-v0.1'),

  ...sizes('Gemma 1', '2b 7b', 'google/gemma-*-it', 'google/gemma-*'),
  // Its cards call 1.1 an update of the tuned models of 1.0; no other bases were published.
  ...sizes('Gemma 1', '2b 7b', 'google/gemma-1.1-*-it', 'google/gemma-*'),
  ...sizes('Gemma 2', '2b 9b 27b', 'google/gemma-2-*-it', 'google/gemma-2-*'),
  pair('Gemma 3', 'google/gemma-3-270m-it', 'google/gemma-3-270m'),
  ...sizes('Gemma 3', '1b 4b 12b 27b', 'google/gemma-3-*-it', 'google/gemma-3-*-pt'),

  ...sizes('Qwen 1.5', '0.5B 1.8B 4B 7B 14B 32B 72B 110B MoE-A2.7B', 'Qwen/Qwen1.5-*-Chat', 'Qwen/Qwen1.5-*'),
  ...sizes('Qwen 2', '0.5B 1.5B 7B 57B-A14B 72B', 'Qwen/Qwen2-*-Instruct', 'Qwen/Qwen2-*'),
  ...sizes('Qwen 2.5', '0.5B 1.5B 3B 7B 14B 32B 72B', 'Qwen/Qwen2.5-*-Instruct', 'Qwen/Qwen2.5-*'),
  ...sizes('Qwen 2.5', '0.5B 1.5B 3B 7B 14B 32B', 'Qwen/Qwen2.5-Coder-*-Instruct', 'Qwen/Qwen2.5-Coder-*'),
  ...sizes('Qwen 2.5', '1.5B 7B 72B', 'Qwen/Qwen2.5-Math-*-Instruct', 'Qwen/Qwen2.5-Math-*'),
  ...sizes('Qwen 3', '0.6B 1.7B 4B 8B 14B 30B-A3B', 'Qwen/Qwen3-*', 'Qwen/Qwen3-*-Base'),
  ...sizes('Qwen 3', '32B 235B-A22B', 'Qwen/Qwen3-*', null),

  ...sizes('Phi', 'mini-4k mini-128k small-8k small-128k medium-4k medium-128k', 'microsoft/Phi-3-*-instruct', null),
  ...sizes('Phi', 'Phi-3.5-mini-instruct Phi-3.5-MoE-instruct phi-4 Phi-4-mini-instruct', 'microsoft/*', null),

  ...sizes('Falcon', '7b 40b', 'tiiuae/falcon-*-instruct', 'tiiuae/falcon-*'),
  pair('Falcon', 'tiiuae/falcon-180B-chat', 'tiiuae/falcon-180B'),
  ...sizes('Falcon 3', '1B 3B 7B 10B', 'tiiuae/Falcon3-*-Instruct', 'tiiuae/Falcon3-*-Base'),

  pair('OLMo', 'allenai/OLMo-7B-Instruct', 'allenai/OLMo-7B'),
  pair('OLMo', 'allenai/OLMo-7B-Instruct-hf', 'allenai/OLMo-7B-hf'),
  pair('OLMo', 'allenai/OLMo-7B-0724-Instruct-hf', 'allenai/OLMo-7B-0724-hf'),
  // Each stage's card names the stage before it.
  ...sizes('OLMo 2', 'SFT DPO Instruct', 'allenai/OLMo-2-0425-1B-*', 'allenai/OLMo-2-0425-1B'),
  ...sizes('OLMo 2', 'SFT DPO Instruct', 'allenai/OLMo-2-1124-7B-*', 'allenai/OLMo-2-1124-7B'),
  ...sizes('OLMo 2', 'SFT DPO Instruct', 'allenai/OLMo-2-1124-13B-*', 'allenai/OLMo-2-1124-13B'),
  ...sizes('OLMo 2', 'SFT DPO Instruct', 'allenai/OLMo-2-0325-32B-*', 'allenai/OLMo-2-0325-32B'),
  ...sizes('OLMo 3', 'Instruct Think', 'allenai/Olmo-3-7B-*', 'allenai/Olmo-3-1025-7B', OLMO_3),
  pair('OLMo 3', 'allenai/Olmo-3-32B-Think', 'allenai/Olmo-3-1125-32B', OLMO_3),
  pair('OLMo 3', 'allenai/Olmo-3.1-32B-Instruct', 'allenai/Olmo-3-1125-32B', OLMO_3),
  ...sizes('OLMoE', 'SFT Instruct', 'allenai/OLMoE-1B-7B-0924-*', 'allenai/OLMoE-1B-7B-0924'),
  ...sizes('OLMoE', 'SFT DPO Instruct', 'allenai/OLMoE-1B-7B-0125-*', 'allenai/OLMoE-1B-7B-0125'),

  ...sizes('SmolLM', '135M 360M 1.7B', 'HuggingFaceTB/SmolLM-*-Instruct', 'HuggingFaceTB/SmolLM-*'),
  ...sizes('SmolLM 2', '135M 360M 1.7B', 'HuggingFaceTB/SmolLM2-*-Instruct', 'HuggingFaceTB/SmolLM2-*'),
  pair('SmolLM 3', 'HuggingFaceTB/SmolLM3-3B', 'HuggingFaceTB/SmolLM3-3B-Base'),

  ...sizes('Yi', '6B 34B', '01-ai/Yi-*-Chat', '01-ai/Yi-*'),
  ...sizes('Yi 1.5', '6B 9B 34B', '01-ai/Yi-1.5-*-Chat', '01-ai/Yi-1.5-*'),
  ...sizes('Yi Coder', '1.5B 9B', '01-ai/Yi-Coder-*-Chat', '01-ai/Yi-Coder-*'),

  ...sizes('DeepSeek', '7b 67b', 'deepseek-ai/deepseek-llm-*-chat', 'deepseek-ai/deepseek-llm-*-base'),
  pair('DeepSeek', 'deepseek-ai/deepseek-moe-16b-chat', 'deepseek-ai/deepseek-moe-16b-base'),
  pair('DeepSeek', 'deepseek-ai/deepseek-math-7b-instruct', 'deepseek-ai/deepseek-math-7b-base'),
  ...sizes('DeepSeek', '1.3b 6.7b 33b', 'deepseek-ai/deepseek-coder-*-instruct', 'deepseek-ai/deepseek-coder-*-base'),
  pair('DeepSeek', 'deepseek-ai/deepseek-coder-7b-instruct-v1.5', 'deepseek-ai/deepseek-coder-7b-base-v1.5'),
  pair('DeepSeek V2', 'deepseek-ai/DeepSeek-V2-Chat', 'deepseek-ai/DeepSeek-V2'),
  pair('DeepSeek V2', 'deepseek-ai/DeepSeek-V2-Lite-Chat', 'deepseek-ai/DeepSeek-V2-Lite'),
  pair('DeepSeek V2', 'deepseek-ai/DeepSeek-Coder-V2-Instruct', 'deepseek-ai/DeepSeek-Coder-V2-Base'),
  pair('DeepSeek V2', 'deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct', 'deepseek-ai/DeepSeek-Coder-V2-Lite-Base'),
];

const byAligned = new Map(pairings.map((pairing) => [pairing.aligned.toLowerCase(), pairing]));

/** The entry of an aligned model, by its id in any case. */
export function pairingOf(aligned: string): Pairing | undefined {
  return byAligned.get(aligned.toLowerCase());
}

/** The aligned models of a base. */
export function alignedModelsOf(base: string): Pairing[] {
  return pairings.filter((pairing) => pairing.base?.toLowerCase() === base.toLowerCase());
}

/** Every id of the table, once. */
export const knownIds: readonly string[] = [
  ...new Set(pairings.flatMap(({ aligned, base }) => [aligned, ...(base === null ? [] : [base])])),
];
