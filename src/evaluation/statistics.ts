// Confidence of shares, differences and means over some prompts: intervals of 95 % and the exact test of paired answers.
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';

export interface Interval {
  low: number;
  high: number;
}

/** The normal distribution's 97.5 % quantile. */
const Z = 1.959963984540054;

/**
 * A share's score interval (Wilson 1927), which is also meaningful for 0 of n.
 * @param k of n, which is above 0
 */
export function wilson(k: number, n: number): Interval {
  const share = k / n;
  const z2 = (Z * Z) / n;
  const centre = (share + z2 / 2) / (1 + z2);
  const half = (Z * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n))) / (1 + z2);
  // At the ends the formula is exact except for rounding.
  return { low: k === 0 ? 0 : Math.max(0, centre - half), high: k === n ? 1 : Math.min(1, centre + half) };
}

/** Two variants' answers to the same prompts: yes to both, only the first, only the second, neither. */
export interface Paired {
  both: number;
  first: number;
  second: number;
  neither: number;
}

export function pair(first: readonly boolean[], second: readonly boolean[]): Paired {
  const paired: Paired = { both: 0, first: 0, second: 0, neither: 0 };
  first.forEach((yes, i) => paired[yes ? (second[i] ? 'both' : 'first') : second[i] ? 'second' : 'neither']++);
  return paired;
}

/**
 * McNemar's exact test: the probability of changes at least as one-sided if both directions are equally likely.
 * @returns the two-sided p, at most 1
 */
export function mcNemar({ first, second }: Paired): number {
  const changed = first + second;
  let [term, sum] = [changed === 0 ? 1 : 0.5 ** changed, 0];
  // Beyond 0.5^1074 the powers underflow: sum logarithms instead.
  if (term === 0) return mcNemarByLogarithms(Math.min(first, second), changed);
  for (let k = 0; k <= Math.min(first, second); k++) {
    sum += term;
    term *= (changed - k) / (k + 1);
  }
  return Math.min(1, 2 * sum);
}

function mcNemarByLogarithms(least: number, changed: number): number {
  let [logTerm, sum] = [changed * Math.log(0.5), 0];
  for (let k = 0; k <= least; k++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log((changed - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

/** Second share minus first, with Newcombe's interval for paired shares (1998, method 10). */
export function pairedDifference(paired: Paired): Interval & { difference: number } {
  const { both, first, second, neither } = paired;
  const n = both + first + second + neither;
  const [k1, k2] = [both + first, both + second];
  const [p1, p2] = [k1 / n, k2 / n];
  const [one, two] = [wilson(k1, n), wilson(k2, n)];
  const margins = (both + first) * (second + neither) * (both + second) * (first + neither);
  const determinant = both * neither - first * second;
  // Newcombe's continuity correction of the correlation.
  const corrected = determinant > n / 2 ? determinant - n / 2 : determinant >= 0 ? 0 : determinant;
  const phi = margins === 0 ? 0 : corrected / Math.sqrt(margins);
  const spread = (a: number, b: number): number => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  const difference = p2 - p1;
  return {
    difference,
    low: Math.max(-1, difference - spread(p2 - two.low, one.high - p1)),
    high: Math.min(1, difference + spread(two.high - p2, p1 - one.low)),
  };
}

/**
 * Agreement of two judges beyond chance (Cohen 1960).
 * @param pairs both judges' yes or no for each answer
 * @returns null without pairs, or where chance alone would agree on all
 */
export function cohensKappa(pairs: readonly (readonly [boolean, boolean])[]): number | null {
  const n = pairs.length;
  const [first, second] = [0, 1].map((judge) => pairs.filter((pair) => pair[judge]).length / n) as [number, number];
  const observed = pairs.filter(([one, other]) => one === other).length / n;
  const chance = first * second + (1 - first) * (1 - second);
  return n === 0 || chance === 1 ? null : (observed - chance) / (1 - chance);
}

const RESAMPLES = 2000;

/**
 * The interval of a mean by the bootstrap over whole groups, whose members are not independent.
 * @param values one per prompt
 * @param groups of each value; equal ones are drawn together
 * @param seed equal seeds give equal intervals
 */
export function bootstrapMean(values: readonly number[], groups: readonly (string | null)[], seed = 1): Interval {
  const clusters = new Map<string, { sum: number; n: number }>();
  const keys = clusterKeys(groups);
  values.forEach((value, i) => {
    const key = keys[i]!;
    const cluster = clusters.get(key) ?? { sum: 0, n: 0 };
    cluster.sum += value;
    cluster.n++;
    clusters.set(key, cluster);
  });
  const all = [...clusters.values()];
  const generator = xoroshiro128plus(seed);
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let [sum, n] = [0, 0];
    // As many draws as groups.
    all.forEach(() => {
      const drawn = all[uniformInt(generator, 0, all.length - 1)]!;
      sum += drawn.sum;
      n += drawn.n;
    });
    return sum / n;
  }).sort();
  return { low: means[Math.floor(0.025 * RESAMPLES)]!, high: means[Math.ceil(0.975 * RESAMPLES) - 1]! };
}

/** Equal for prompts of one group; a prompt without one is alone. */
function clusterKeys(groups: readonly (string | null)[]): string[] {
  return groups.map((group, i) => (group === null ? `alone ${i}` : `group ${group}`));
}

/** The groups of the first half, drawn by the seed: prompts of one group are never separated. */
export function firstHalf(groups: readonly (string | null)[], seed = 1): boolean[] {
  const keys = clusterKeys(groups);
  const order = [...new Set(keys)];
  const generator = xoroshiro128plus(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = uniformInt(generator, 0, i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const first = new Set(order.slice(0, Math.ceil(order.length / 2)));
  return keys.map((key) => first.has(key));
}
