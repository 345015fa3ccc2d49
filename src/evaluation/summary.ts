// An evaluation in one line: what the selected modules do to the figure that matters most.
import { type Figures, type Measure, measureRoles, measures } from './figures';
import { type EvaluationRecord, reportOf } from './record';
import { type EvaluatedPoint, type EvaluationReport } from './report';

export interface Summary {
  /** Null where no answers were generated: the figure is the refusal score. */
  measure: Measure | null;
  before: number;
  /** Null where the selection is not a point of the evaluation. */
  after: number | null;
  /** Selected modules. */
  count: number;
  /** Prompts of the figure. */
  prompts: number;
  /** Judgements corrected by hand. */
  corrected: number;
}

/** @param selected names of modules @returns null for an evaluation without figures */
export function summaryOf(record: EvaluationRecord, selected: ReadonlySet<string>): Summary | null {
  const report = reportOf(record);
  const { order, corrected } = report;
  const points = (corrected ?? report).points;
  const adapter = points.find(({ count }) => count === 0);
  if (!adapter) return null;
  const isPoint = order.slice(0, selected.size).every((name) => selected.has(name));
  const chosen = isPoint ? (points.find(({ count }) => count === selected.size) ?? null) : null;
  const of = (measure: Measure | null, value: (point: EvaluatedPoint) => number | null): Summary | null => {
    const before = value(adapter);
    if (before === null) return null;
    const roles = measure === null ? (['harmful'] as const) : [measureRoles[measure]];
    const prompts = record.sets
      .filter(({ role }) => roles.some((one) => one === role))
      .reduce((sum, set) => sum + set.prompts.length, 0);
    const after = selected.size === 0 || !chosen ? null : value(chosen);
    return { measure, before, after, count: selected.size, prompts, corrected: corrected?.answers ?? 0 };
  };
  for (const measure of measures) {
    const found = of(measure, (point) => point[measure]?.value ?? null);
    if (found) return found;
  }
  return of(null, ({ refusalScore }) => refusalScore);
}

/** What travels with a saved adapter: the figures of its selection, the original's and the aligned model's. */
export interface BehaviourExcerpt extends Pick<EvaluationReport, 'judge' | 'sets'> {
  maxTokens: number;
  corrected: number;
  points: ({ count: number | null } & Pick<Figures, 'asr' | 'overRefusal' | 'utility'>)[];
}

/** Null where the selection is not a point with answers. */
export function excerptOf(record: EvaluationRecord, selected: ReadonlySet<string>): BehaviourExcerpt | null {
  const report = reportOf(record);
  const { order, corrected, judge, sets, engine } = report;
  const isPoint = order.slice(0, selected.size).every((name) => selected.has(name));
  const wanted = [null, 0, selected.size];
  const points = (corrected ?? report).points.filter(
    ({ count, degenerate }) => wanted.includes(count) && degenerate !== null,
  );
  if (!isPoint || !points.some(({ count }) => count === selected.size)) return null;
  return {
    judge,
    sets,
    maxTokens: engine.maxTokens,
    corrected: corrected?.answers ?? 0,
    points: points.map(({ count, asr, overRefusal, utility }) => ({ count, asr, overRefusal, utility })),
  };
}
