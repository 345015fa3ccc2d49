// An adapter's findings as short texts.
import { l10n } from 'vscode';
import { type ModuleReport, type Report, type ReportedBehaviour } from '../../core/report';
import { findingSum, findingTexts, type Selection } from '../../core/rules';
import { decimal, signed } from '../../core/text';
import { type Measure, measureRoles, measures } from '../../evaluation/figures';
import { type Summary, summaryOf } from '../../evaluation/summary';
import { type AdapterStatus } from './adapter-status';
import { type KeptEvaluation } from './evaluations';

/** Digits of a number read at a glance. */
export const DIGITS = 2;

/** "3 of 12 modules at or below τ = 0.35" */
export function ruleText(selection: Selection, selected: number, modules: number): string {
  return findingSum(selection, selected, modules, findingTexts(l10n));
}

/** "3 of 12 modules at or below τ = 0.35 · lowest: layer 3 q_proj 0.12, chance 0.44 · agreement −0.08" */
export function findingText(
  report: Pick<Report, 'modules'> & { totals: Pick<Report['totals'], 'direction'> },
  selection: Selection,
  selected: number,
): string {
  const lowest = lowestOf(report.modules);
  const direction = l10n.t('agreement {0}', signed(report.totals.direction, DIGITS));
  return [
    ruleText(selection, selected, report.modules.length),
    ...(lowest ? [l10n.t('lowest: {0} {1}', positionText(lowest), similarityText(lowest))] : []),
    direction,
  ].join(' · ');
}

/** The finding of a measured adapter, which describes the original weights even if some are projected. */
export function statusFinding({ report, selection, selected, projected }: AdapterStatus): string {
  if (!report) return '';
  const finding = findingText(report, selection, selected.size);
  return projected.length > 0 ? l10n.t('before projection: {0}', finding) : finding;
}

/** "0.12, chance 0.44" */
export function similarityText({ similarity, nullSimilarity }: ModuleReport): string {
  return l10n.t('{0}, chance {1}', decimal(similarity, DIGITS), decimal(nullSimilarity, DIGITS));
}

/** "layer 3 q_proj" */
export function positionText({ stack, layer, kind, expert }: ModuleReport): string {
  return [
    stack ?? '',
    layer === null ? '' : l10n.t('layer {0}', layer),
    kind,
    expert === null ? '' : l10n.t('expert {0}', expert),
  ]
    .filter(Boolean)
    .join(' ');
}

export function lowestOf(modules: readonly ModuleReport[]): ModuleReport | undefined {
  return modules
    .filter((module) => module.similarity !== null)
    .reduce<ModuleReport | undefined>(
      (low, module) => (low && low.similarity! <= module.similarity! ? low : module),
      undefined,
    );
}

export function projectedText({ projected }: AdapterStatus): string {
  return projected.length === 1 ? l10n.t('1 module projected') : l10n.t('{0} modules projected', projected.length);
}

/** Remark beside numbers of a projected adapter. */
export function ofOriginals(): string {
  return l10n.t('These numbers describe the original weights, before projection.');
}

/** Remark on an adapter with a stale result. */
export function staleText({ changed }: AdapterStatus): string {
  return changed === 'models'
    ? l10n.t('The models have changed since the adapter was measured')
    : l10n.t('The adapter has changed since it was measured');
}

/** "attack success 1.00 → 0.00 at 8 modules, 48 prompts"; empty where behaviour was not measured */
export function behaviourText(
  evaluation: Pick<KeptEvaluation, 'record' | 'stale'> | null,
  selected: ReadonlySet<string>,
): string {
  const summary = evaluation && summaryOf(evaluation.record, selected);
  if (!summary) return '';
  const text = summaryText(summary);
  return evaluation.stale.length > 0 ? l10n.t('{0} (changed since)', text) : text;
}

/** The same of a saved report. @param count of its projected modules */
export function reportedText({ points, sets }: ReportedBehaviour, count: number): string {
  const figure = (wanted: number, measure: Measure): number | null =>
    points.find((point) => point.count === wanted)?.[measure]?.value ?? null;
  const measure = measures.find((one) => figure(0, one) !== null);
  if (measure === undefined) return '';
  const prompts = sets.filter(({ role }) => role === measureRoles[measure]).reduce((sum, { n }) => sum + n, 0);
  const [before, after] = [figure(0, measure)!, figure(count, measure)];
  return summaryText({ measure, before, after, count, prompts });
}

function summaryText({ measure, before, after, count, prompts }: Summary): string {
  const write = (value: number): string => (measure === null ? signed(value, 1) : decimal(value, DIGITS));
  const name = {
    asr: l10n.t('attack success'),
    overRefusal: l10n.t('over-refusal'),
    utility: l10n.t('utility'),
    score: l10n.t('refusal score'),
  }[measure ?? 'score'];
  const on = prompts === 1 ? l10n.t('1 prompt') : l10n.t('{0} prompts', prompts);
  if (after === null) return `${name} ${write(before)}, ${on}`;
  const at = count === 1 ? l10n.t('at 1 module') : l10n.t('at {0} modules', count);
  return `${name} ${write(before)} → ${write(after)} ${at}, ${on}`;
}

/** "Project 3 Modules" */
export function projectText(modules: number): string {
  return modules === 1 ? l10n.t('Project 1 Module') : l10n.t('Project {0} Modules', modules);
}

/** The file's projected modules are exactly the selected ones. */
export function isProjectedAsSelected({ selected, projected }: AdapterStatus): boolean {
  return projected.length === selected.size && projected.every((name) => selected.has(name));
}
