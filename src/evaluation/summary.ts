// An evaluation in one line: what the selected modules do to the figure that matters most.
import { type Figures, type Measure, measureRoles, measures } from './figures';
import { correctedIn, type EvaluationRecord } from './record';
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
}

/** @param selected names of modules @returns null for an evaluation without figures */
export function summaryOf(record: EvaluationRecord, selected: ReadonlySet<string>): Summary | null {
  const { report } = record;
  const { points } = correctedIn(record) ?? report;
  const adapter = points.find(({ count }) => count === 0);
  if (!adapter) return null;
  const chosen = isFirstOf(report.order, selected)
    ? (points.find(({ count }) => count === selected.size) ?? null)
    : null;
  const of = (measure: Measure | null, value: (point: EvaluatedPoint) => number | null): Summary | null => {
    const before = value(adapter);
    if (before === null) return null;
    const roles = measure === null ? (['harmful'] as const) : [measureRoles[measure]];
    const prompts = record.sets
      .filter(({ role }) => roles.some((one) => one === role))
      .reduce((sum, set) => sum + set.prompts.length, 0);
    const after = selected.size === 0 || !chosen ? null : value(chosen);
    return { measure, before, after, count: selected.size, prompts };
  };
  for (const measure of measures) {
    const found = of(measure, (point) => point[measure]?.value ?? null);
    if (found) return found;
  }
  return of(null, ({ refusalScore }) => refusalScore);
}

/** Whether exactly the first modules of the order are selected. */
export function isFirstOf(order: readonly string[], selected: ReadonlySet<string>): boolean {
  return order.slice(0, selected.size).every((name) => selected.has(name));
}

/** What travels with a saved adapter: the figures of its selection, the original's and the aligned model's. */
export interface BehaviourExcerpt extends Pick<EvaluationReport, 'judge' | 'sets'> {
  maxTokens: number;
  corrected: number;
  points: ({ count: number | null } & Pick<Figures, 'asr' | 'overRefusal' | 'utility'>)[];
}

/** Null where the selection is not a point with answers. */
export function excerptOf(record: EvaluationRecord, selected: ReadonlySet<string>): BehaviourExcerpt | null {
  const { report } = record;
  const { order, judge, sets, engine } = report;
  const corrected = correctedIn(record);
  const wanted = [null, 0, selected.size];
  const points = (corrected ?? report).points.filter(
    ({ count, degenerate }) => wanted.includes(count) && degenerate !== null,
  );
  if (!isFirstOf(order, selected) || !points.some(({ count }) => count === selected.size)) return null;
  return {
    judge,
    sets,
    maxTokens: engine.maxTokens,
    corrected: corrected?.answers ?? 0,
    points: points.map(({ count, asr, overRefusal, utility }) => ({ count, asr, overRefusal, utility })),
  };
}
