// Answers "which τ?": the fewest projected modules that meet the demands, chosen on one half of the prompts and reported on the other,
// since a choice flatters the prompts it was made with.
import {
  type Figures,
  figuresOf,
  type JudgedSet,
  type Measure,
  measureRoles,
  measures,
  type Verdicts,
} from './figures';
import { firstHalf } from './statistics';

/** `asr <= 0.1`, or with a sign a change from the original adapter: `utility >= -0.02`. */
export interface Demand {
  measure: Measure;
  atMost: boolean;
  value: number;
  isChange: boolean;
}

/** A point with its answers. */
export interface Candidate {
  count: number;
  verdicts: Verdicts;
}

export interface Choice {
  demands: string;
  /** The fewest modules that meet the demands; null if no point does. */
  count: number | null;
  /** If none does, the point that misses by least. */
  nearest: number | null;
  /** On the other half. */
  figures: Figures;
  /** Prompts of each half. */
  chosenOn: number;
  reportedOn: number;
}

/** @returns null for an invalid list of demands */
export function parseDemands(text: string): Demand[] | null {
  const demands = text.split(',').map((part): Demand | null => {
    const match = /^\s*(\w+)\s*(<=|>=)\s*([+-]?)(\d+(?:\.\d+)?|\.\d+)\s*$/.exec(part);
    const measure = measures.find((known) => known === match?.[1]);
    if (!match || !measure) return null;
    const value = Number(`${match[3]!}${match[4]!}`);
    return Math.abs(value) <= 1 ? { measure, atMost: match[2] === '<=', value, isChange: match[3] !== '' } : null;
  });
  return demands.includes(null) ? null : (demands as Demand[]);
}

/** The first demand whose measure has no prompts; null if each can be met. */
export function unmeasurable(demands: readonly Demand[], sets: readonly Pick<JudgedSet, 'role'>[]): Demand | null {
  return demands.find(({ measure }) => sets.every(({ role }) => role !== measureRoles[measure])) ?? null;
}

/** Distance of figures from a demand; 0 if they meet it, null if the measure has no prompts. */
export function miss({ measure, atMost, value, isChange }: Demand, figures: Figures, adapter: Figures): number | null {
  const [found, before] = [figures[measure]?.value, adapter[measure]?.value];
  if (found === undefined || before === undefined) return null;
  const distance = isChange ? found - before - value : found - value;
  // A share of so many prompts is not exact to the last bit.
  return Math.max(0, (atMost ? distance : -distance) - 1e-12);
}

/** True if no figures can miss the demand: a share lies between 0 and 1. @param adapter the original's figures */
export function alwaysMet({ measure, atMost, value, isChange }: Demand, adapter: Figures): boolean {
  const bound = value + (isChange ? (adapter[measure]?.value ?? NaN) : 0);
  return atMost ? bound >= 1 : bound <= 0;
}

/** “utility >= -0.02” */
export function demandText({ measure, atMost, value, isChange }: Demand): string {
  return `${measure} ${atMost ? '<=' : '>='} ${isChange && value >= 0 ? '+' : ''}${value}`;
}

/**
 * @param candidates by ascending count, the original adapter first
 * @returns null if the demands' measures have no prompts
 */
export function choose(
  text: string,
  demands: readonly Demand[],
  sets: readonly JudgedSet[],
  candidates: readonly Candidate[],
): Choice | null {
  const halves = sets.map(({ prompts }, i) => {
    const groups = prompts.map(({ group }) => group);
    return firstHalf(groups, i + 1);
  });
  const half = <T>(values: readonly T[], set: number, isFirst: boolean): T[] =>
    values.filter((_, i) => halves[set]![i] === isFirst);
  const figuresOn = (isFirst: boolean, verdicts: Verdicts): Figures =>
    figuresOf(
      sets.map((set, i) => ({ ...set, prompts: half(set.prompts, i, isFirst) })),
      verdicts.map((ofSet, i) => half(ofSet, i, isFirst)),
    );
  const figures = candidates.map(({ verdicts }) => figuresOn(true, verdicts));
  const misses = figures.map((found) => {
    const distances = demands.map((demand) => miss(demand, found, figures[0]!));
    return distances.includes(null) ? null : Math.max(...(distances as number[]));
  });
  if (misses.includes(null)) return null;
  const keeping = misses.findIndex((distance) => distance === 0);
  const nearest = misses.indexOf(Math.min(...(misses as number[])));
  const chosen = candidates[keeping < 0 ? nearest : keeping]!;
  const size = (isFirst: boolean): number => halves.flat().filter((first) => first === isFirst).length;
  return {
    demands: text,
    count: keeping < 0 ? null : chosen.count,
    nearest: keeping < 0 ? chosen.count : null,
    figures: figuresOn(false, chosen.verdicts),
    chosenOn: size(true),
    reportedOn: size(false),
  };
}
