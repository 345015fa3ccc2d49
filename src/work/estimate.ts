// About how long an evaluation takes, before it starts: from the sizes of the model and of the prompts, and how fast this machine was before.
import { availableParallelism } from 'node:os';
import { isAnswered } from '../evaluation/figures';
import { type PromptSet } from '../evaluation/prompts';
import { type Architecture } from '../llm/architecture';
import { parameterCount } from '../llm/parameters';
import { SCORED_PROMPTS } from './behaviour';

/** Parameters times tokens a second and core, as measured on AVX2 cores with SmolLM-135M in single precision. */
const RATES = { prefill: 30e9, decode: 11e9 };

/** Starting the processes, and loading a model. */
const START_SECONDS = 2;
const LOADED_PER_SECOND = 5e8;

/** Running the graph once, however small the model is; so many rows run together. */
const RUN_SECONDS = 0.004;
const ROWS = 32;

/** English text; a template adds some. */
const CHARACTERS_PER_TOKEN = 4;
const TEMPLATE_TOKENS = 20;

export interface Workload {
  architecture: Architecture;
  sets: readonly PromptSet[];
  /** Points with scores, and points with answers, the aligned model among them. */
  scored: number;
  answered: number;
  maxTokens: number;
}

/**
 * @param slower how much longer an earlier evaluation took on this machine than was estimated
 * @returns seconds; the answers are taken to be as long as they may be
 */
export function estimateSeconds({ architecture, sets, scored, answered, maxTokens }: Workload, slower = 1): number {
  const parameters = parameterCount(architecture);
  const cores = availableParallelism();
  const scoredSets = sets.filter(({ role }) => role !== 'harmless');
  const scoredTokens = scored * sum(scoredSets.map(({ prompts }) => tokensOf(prompts.slice(0, SCORED_PROMPTS))));
  const generating = sets.filter(isAnswered);
  const answers = answered * sum(generating.map(({ prompts }) => prompts.length));
  const promptTokens = answered * sum(generating.map(({ prompts }) => tokensOf(prompts)));
  const prefill = scoredTokens + promptTokens;
  const rows = answers + scored * sum(scoredSets.map(({ prompts }) => Math.min(SCORED_PROMPTS, prompts.length)));
  const runs = rows / ROWS + (answers * maxTokens) / ROWS;
  const computing =
    (parameters / cores) * (prefill / RATES.prefill + (answers * maxTokens) / RATES.decode) + runs * RUN_SECONDS;
  return START_SECONDS + parameters / LOADED_PER_SECOND + computing * slower;
}

function tokensOf(prompts: PromptSet['prompts']): number {
  const characters = sum(
    prompts.flatMap(({ messages, reference }) => [
      ...messages.map(({ content }) => content.length),
      reference?.length ?? 0,
    ]),
  );
  return characters / CHARACTERS_PER_TOKEN + prompts.length * TEMPLATE_TOKENS;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
