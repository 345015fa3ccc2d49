// An adapter's findings as short texts.
import { l10n } from 'vscode';
import { type ModuleReport, type Report } from '../../core/report';
import { findingSum, findingTexts, type Selection } from '../../core/rules';
import { decimal, signed } from '../../core/text';
import { type AdapterStatus } from './adapter-status';

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

/** "Project 3 Modules" */
export function projectText(modules: number): string {
  return modules === 1 ? l10n.t('Project 1 Module') : l10n.t('Project {0} Modules', modules);
}

/** The file's projected modules are exactly the selected ones. */
export function isProjectedAsSelected({ selected, projected }: AdapterStatus): boolean {
  return projected.length === selected.size && projected.every((name) => selected.has(name));
}
