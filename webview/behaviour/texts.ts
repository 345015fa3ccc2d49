// Names of points and texts of figures, in the language of the page.
import { decimal, interval, percent } from '../../src/core/text';
import { type Mean, type Share } from '../../src/evaluation/figures';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type PointView } from '../../src/page/behaviour';
import { modulesText } from '../shared/modules-text';
import { format } from '../shared/ui';

/** “aligned model”, “original adapter”, “8 modules” */
export function pointText({ count }: Pick<PointView, 'count'>, strings: PageStrings): string {
  const { aligned, original } = strings.behaviour.point;
  if (count === null) return aligned;
  return count === 0 ? original : modulesText(count, strings);
}

/** “8 modules, τ = 0.569” */
export function pointTitle(point: PointView, strings: PageStrings): string {
  const name = pointText(point, strings);
  return point.threshold === null
    ? name
    : format(strings.behaviour.point.withThreshold, name, decimal(point.threshold));
}

/** “0.208 [0.12, 0.34]” */
export function figureText(figure: Pick<Share, 'value' | 'low' | 'high'> | null): string {
  if (figure === null) return decimal(null);
  return `${decimal(figure.value)} ${interval(figure)}`;
}

/** “10 of 48”, empty for a mean. */
export function countedText({ k, n }: Share | Mean, { behaviour }: PageStrings): string {
  return k === undefined ? '' : format(behaviour.point.share, k, n);
}

/** “degenerate 0 %, cut off 0 %”, empty without answers. */
export function qualityText({ degenerate, cutOff }: PointView, { behaviour }: PageStrings): string {
  if (!degenerate || !cutOff) return '';
  return format(behaviour.point.quality, percent(degenerate.value), percent(cutOff.value));
}
