// Names of points, figures and choices wherever people read them.
import { type Choice } from './choice';
import { type Figures, type Mean, type Measure, type Share } from './figures';
import { type EvaluatedPoint, type EvaluationReport } from './report';

/** The figures over all sets of a role, in display order. */
export const figureNames: Readonly<Record<Measure, string>> = {
  asr: 'attack success',
  overRefusal: 'over-refusal',
  utility: 'utility',
};

/** @param projected formats the number of modules, if any */
export function pointName({ count }: { count: number | null }, projected: (count: number) => string = String): string {
  if (count === null) return 'aligned model';
  return count === 0 ? 'original adapter' : projected(count);
}

/** The result of the demands, as part of a sentence. */
export function choiceText({ demands, count, nearest }: Choice): string {
  return count === null
    ? `no measured point meets ${demands}; the nearest has ${modulesText(nearest!)} projected`
    : `${modulesText(count)} projected: of the measured points, the one with the fewest that meets ${demands}`;
}

/** “1 module”, “8 modules” */
export function modulesText(count: number): string {
  return `${count} module${count === 1 ? '' : 's'}`;
}

/** Points with generated answers. */
export function answeredPoints({ points }: Pick<EvaluationReport, 'points'>): EvaluatedPoint[] {
  return points.filter(({ degenerate }) => degenerate !== null);
}

/** Sets with references and a role other than utility: their share of right answers is a separate figure. */
export function namesBeside({ sets }: Pick<EvaluationReport, 'sets'>): string[] {
  return sets.filter(({ role, metric }) => metric !== null && role !== 'utility').map(({ name }) => name);
}

/** A set's own utility at a point. */
export function setUtility({ sets }: Pick<Figures, 'sets'>, name: string): Share | Mean | null {
  return sets.find((set) => set.name === name)?.utility ?? null;
}
