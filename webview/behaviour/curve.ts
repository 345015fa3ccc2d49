// The curve of an evaluation: its points by number of projected modules, and where the selection lies on it.
import { type Measure, measures } from '../../src/evaluation/figures';
import { isFirstOf } from '../../src/evaluation/summary';
import { type BehaviourResults, type PointView } from '../../src/page/behaviour';

/** A point of the curve, which the aligned model is not. */
export type CurvePoint = PointView & { count: number };

/** Points with generated answers, by count. */
export function answeredPoints({ points }: BehaviourResults): CurvePoint[] {
  return onCurve(points).filter(({ degenerate }) => degenerate !== null);
}

/** Points with a refusal score, by count. */
export function scoredPoints({ points }: BehaviourResults): (CurvePoint & { refusalScore: number })[] {
  return onCurve(points).filter((point): point is CurvePoint & { refusalScore: number } => point.refusalScore !== null);
}

export function alignedPoint({ points }: BehaviourResults): PointView | null {
  return points.find(({ count }) => count === null) ?? null;
}

export function pointAt(results: BehaviourResults, wanted: number): CurvePoint | null {
  return answeredPoints(results).find(({ count }) => count === wanted) ?? null;
}

export function measuredFigures({ points }: BehaviourResults): Measure[] {
  return measures.filter((measure) => points.some((point) => point[measure] !== null));
}

/** False for a utility by likelihood, whose values are no shares. */
export function isShare({ points }: BehaviourResults, measure: Measure): boolean {
  return points.every(({ [measure]: figure }) => figure === null || (figure.low >= 0 && figure.high <= 1));
}

/** Whether the selection is that of a count. */
export function isOnCurve({ order }: BehaviourResults, selected: ReadonlySet<string>): boolean {
  return isFirstOf(order, selected);
}

/** The answered point whose answers are compared: that of the selection, or the nearest with projected modules. */
export function comparedPoint(results: BehaviourResults, selected: number): CurvePoint | null {
  const answered = answeredPoints(results);
  const projected = answered.filter(({ count }) => count > 0);
  const candidates = projected.length > 0 ? projected : answered;
  return candidates.toSorted((a, b) => Math.abs(a.count - selected) - Math.abs(b.count - selected))[0] ?? null;
}

function onCurve(points: readonly PointView[]): CurvePoint[] {
  return points.filter((point): point is CurvePoint => point.count !== null).toSorted((a, b) => a.count - b.count);
}
