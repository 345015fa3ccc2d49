// How points, figures and the choice are called wherever a person reads them.
import { type Choice } from './choice';
import { type Figures, type Mean, type Measure, type Share } from './figures';
import { type EvaluatedPoint, type EvaluationReport } from './report';

/** The figures that are about all sets of a role, in the order in which they are shown. */
export const figureNames: Readonly<Record<Measure, string>> = {
  asr: 'attack success',
  overRefusal: 'over-refusal',
  utility: 'utility',
};

/** @param projected says how many modules are, where some are */
export function pointName({ count }: { count: number | null }, projected: (count: number) => string = String): string {
  if (count === null) return 'aligned model';
  return count === 0 ? 'original adapter' : projected(count);
}

/** What was found by the demands, from the middle of a sentence. */
export function choiceText({ demands, count, nearest }: Choice): string {
  return count === null
    ? `no point meets ${demands}; the nearest is ${nearest!} projected modules`
    : `${count} projected modules are the fewest that meet ${demands}`;
}

/** Points at which answers were generated. */
export function answeredPoints({ points }: Pick<EvaluationReport, 'points'>): EvaluatedPoint[] {
  return points.filter(({ degenerate }) => degenerate !== null);
}

/** Sets with references whose role is another than utility: how many of their answers are right is a figure of its own. */
export function namesBeside({ sets }: Pick<EvaluationReport, 'sets'>): string[] {
  return sets.filter(({ role, metric }) => metric !== null && role !== 'utility').map(({ name }) => name);
}

/** A set's own utility at a point. */
export function setUtility({ sets }: Pick<Figures, 'sets'>, name: string): Share | Mean | null {
  return sets.find((set) => set.name === name)?.utility ?? null;
}
