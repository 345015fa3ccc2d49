// Points of the curve: the aligned model, the original adapter, and the adapter with some modules projected, lowest similarity first.

export interface RankedModule {
  name: string;
  similarity: number;
}

/** The requested points: counts of projected modules, thresholds, or as many as show the curve. */
export type PointRequest = { auto: true } | { counts: number[]; thresholds: number[] };

/** @returns null for an invalid list */
export function parsePoints(text: string): PointRequest | null {
  if (text === 'auto') return { auto: true };
  const thresholds = /^tau:(.+)$/.exec(text)?.[1];
  const numbers = (thresholds ?? text).split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (thresholds !== undefined)
    return numbers.every((value) => value >= 0 && value <= 1) ? { counts: [], thresholds: numbers } : null;
  return numbers.every((value) => Number.isSafeInteger(value) && value >= 0)
    ? { counts: numbers, thresholds: [] }
    : null;
}

/** How many modules a threshold selects. @param modules by ascending similarity */
export function countAt(modules: readonly RankedModule[], threshold: number): number {
  return modules.filter(({ similarity }) => similarity <= threshold).length;
}

/** The lowest threshold that selects so many modules; null for none, and if the next is as similar as the last of them. */
export function thresholdAt(modules: readonly RankedModule[], count: number): number | null {
  const last = modules[count - 1]?.similarity ?? null;
  return last === modules[count]?.similarity ? null : last;
}

/** Default number of points of a curve. */
export const AUTO_POINTS = 4;

/**
 * The counts that draw a score's curve best: repeatedly the one farthest from the line between the chosen ones (Douglas and Peucker 1973);
 * if all are on it, the one in the middle of the widest gap.
 * @param scores by count, from 0
 * @param known counts already chosen
 * @returns additional ones, at most AUTO_POINTS
 */
export function stepsOf(scores: readonly number[], known: readonly number[]): number[] {
  const last = scores.length - 1;
  const taken = new Set([0, last, ...known.filter((count) => count <= last)]);
  const added = last > 0 && !known.includes(last) ? [last] : [];
  while (added.length < AUTO_POINTS) {
    const sorted = [...taken].sort((a, b) => a - b);
    const gaps = sorted.slice(1).map((end, i): [number, number] => [sorted[i]!, end]);
    const open = gaps.flatMap(([begin, end]) => between(scores, begin, end));
    if (open.length === 0) break;
    const best = open.reduce((x, y) => (isBefore(y, x) ? y : x));
    taken.add(best.count);
    added.push(best.count);
  }
  return added.sort((a, b) => a - b);
}

interface Between {
  count: number;
  /** To the line between the ends of its gap. */
  distance: number;
  /** To the nearer end. */
  margin: number;
}

function between(scores: readonly number[], begin: number, end: number): Between[] {
  return Array.from({ length: end - begin - 1 }, (_, i) => {
    const count = begin + 1 + i;
    const line = scores[begin]! + ((scores[end]! - scores[begin]!) * (count - begin)) / (end - begin);
    return { count, distance: Math.abs(scores[count]! - line), margin: Math.min(count - begin, end - count) };
  });
}

function isBefore(one: Between, other: Between): boolean {
  return one.distance > other.distance || (one.distance === other.distance && one.margin > other.margin);
}
