// Applies an adapter's configuration to the modules in its file: the scale of each update, and mismatches.
import { type AdapterConfig, CONFIG_FILE, type ModulePatterns } from './adapter-config';
import { type LoraPair } from './adapter-tensors';
import { type Notice, SafeLoraError, someNames } from './errors';
import { targeted } from './naming';
import { firstFitting, MatchingTime } from './patterns';

/**
 * @param others earlier notices
 * @returns the factor of each pair's B·A in the running model, and what the configuration names but the file lacks
 * @throws SafeLoraError where its patterns cannot be matched
 */
export function applyConfig(
  config: AdapterConfig,
  pairs: readonly LoraPair[],
  others: readonly Notice[],
): { scales: number[]; notices: Notice[] } {
  const names = pairs.map(({ name }) => name);
  const time = new MatchingTime();
  const alphas = numbersOf(names, config.path, config.alphaPattern, time);
  const ranks = numbersOf(names, config.path, config.rankPattern, time);
  return {
    scales: pairs.map((pair, i) => loraScale(alphas[i] ?? config.alpha, rankOf(pair), config.useRslora)),
    notices: [...targetNotices(config, names, others), ...rankNotices(config.rank, ranks, pairs)],
  };
}

export function rankOf({ a }: Pick<LoraPair, 'a'>): number {
  return a.shape[0]!;
}

/**
 * The value that the configuration's patterns give each module, else null.
 * @param time shared by all patterns of the configuration
 * @throws SafeLoraError where matching takes too long, or the file's pattern order matters and is lost
 */
function numbersOf(
  names: readonly string[],
  path: string,
  { key, patterns, moved }: ModulePatterns,
  time: MatchingTime,
): (number | null)[] {
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError('adapter-config', `${path}: ${reason}; write the names of the modules instead.`);
  const numbersBy = (ordered: typeof patterns): (number | null)[] => {
    const sources = ordered.map(([pattern]) => pattern);
    const fitting = firstFitting(sources, names, time);
    if (!fitting) throw refuse(`a pattern of ${key} takes too long to match`);
    return fitting.map((pattern) => ordered[pattern]?.[1] ?? null);
  };
  const numbers = numbersBy(patterns);
  if (moved > 0) {
    const otherwise = numbersBy([...patterns.slice(moved), ...patterns.slice(0, moved)]);
    if (numbers.some((number, i) => number !== otherwise[i]))
      throw refuse(`${key} has a whole number as a pattern, which matches the same module as another`);
  }
  return numbers;
}

/** The factor of B·A in the running model; with rsLoRA as in https://arxiv.org/abs/2312.03732. */
export function loraScale(alpha: number, rank: number, useRslora: boolean): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/** PEFT creates its matrices with the configured ranks, and then cannot load the file's. */
function rankNotices(usual: number | null, ranks: readonly (number | null)[], pairs: readonly LoraPair[]): Notice[] {
  const given = pairs.map((pair, i) => ranks[i] ?? usual ?? rankOf(pair));
  const wrong = pairs.filter((pair, i) => given[i] !== rankOf(pair));
  const [first] = wrong;
  if (!first) return [];
  return [
    {
      code: 'rank-differs',
      message: `${CONFIG_FILE} gives another rank than the file's tensors have, so PEFT cannot load it: ${given[pairs.indexOf(first)]!} instead of ${rankOf(first)} at ${someNames(wrong.map(({ name }) => name))}.`,
      modules: wrong.map(({ name }) => name),
    },
  ];
}

/** The tensors decide; a listed target without tensors gets a notice, since its layers look adapted but are not. */
function targetNotices(
  { targetModules, targetsAreList, hasExclusions }: AdapterConfig,
  names: readonly string[],
  others: readonly Notice[],
): Notice[] {
  if (!targetsAreList || hasExclusions || others.some(({ code }) => code === 'adapter-not-covered')) return [];
  const present = targeted(names, targetModules, true);
  const absent = targetModules.filter((target) => !present.has(target));
  if (absent.length === 0) return [];
  return [
    {
      code: 'config-differs',
      message: `${CONFIG_FILE} lists target modules that have no tensor in the file: ${someNames(absent)}.`,
      modules: [],
    },
  ];
}
