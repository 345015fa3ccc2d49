// What is taken out of the editor: the report as CSV for a spreadsheet, as Markdown for a review.
import { type ModuleReport, type Report } from '../../core/report';

const COLUMNS = [
  'name', 'stack', 'layer', 'kind', 'expert', 'rank', 'similarity', 'nullSimilarity', 'nullSpread', 'direction', 'gain',
  'alignmentNorm', 'updateNorm', 'participationRatio', 'selected', 'notice',
] as const satisfies readonly (keyof ModuleReport)[]; // prettier-ignore

/** One row a module, after a row of names (RFC 4180); undefined numbers are empty. */
export function reportCsv({ modules }: Report): string {
  const cell = (value: string | number | boolean | null): string => {
    // A spreadsheet would run a name that begins like a formula.
    const text = value === null ? '' : typeof value === 'string' ? value.replace(/^[=+\-@\t]/, "'$&") : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = modules.map((module) => COLUMNS.map((column) => cell(module[column])).join(','));
  return `${[COLUMNS.join(','), ...rows].join('\r\n')}\r\n`;
}

export function reportMarkdown({ adapter, base, aligned, selection, modules, totals, notices }: Report): string {
  const rule =
    selection.mode === 'threshold' ? `at or below τ = ${selection.threshold}` : `selected by count ${selection.count}`;
  const { added, removed } = selection.overrides;
  const byHand =
    added.length + removed.length > 0 ? ` (by hand: ${added.length} added, ${removed.length} removed)` : '';
  const number = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
  const rows = modules.map(
    (module) =>
      `| \`${module.name}\` | ${number(module.similarity)} | ${number(module.nullSimilarity)} ± ${number(module.nullSpread)} | ${number(module.direction)} | ${number(module.gain)} | ${module.selected ? 'yes' : ''} |`,
  );
  return [
    `**${adapter.name}** (rank ${adapter.rank}, alpha ${adapter.alpha}), measured against ${aligned.name} and its base ${base.name}:`,
    `${totals.selected} of ${totals.modules} modules ${rule}${byHand}; direction of all modules together ${number(totals.direction)}.`,
    '',
    '| module | similarity | null | direction | gain | selected |',
    '| --- | ---: | ---: | ---: | ---: | --- |',
    ...rows,
    ...(notices.length > 0 ? ['', ...notices.map((notice) => `- ${notice.message}`)] : []),
    '',
    'Similarity says how far an update lies in the directions that alignment used, not what the model does.',
    '',
  ].join('\n');
}
