// Exports from the editor: the report as CSV for a spreadsheet, as Markdown for a review.
import { type ModuleReport, type Report } from '../../core/report';
import { englishFindingTexts, findingSum, selectionBy } from '../../core/rules';
import { decimal, inEnglish, markdownCode, markdownText, percent, signed } from '../../core/text';

const COLUMNS = [
  'name', 'stack', 'layer', 'kind', 'expert', 'rank', 'similarity', 'nullSimilarity', 'nullSpread', 'direction', 'gain',
  'alignmentNorm', 'updateNorm', 'participationRatio', 'selected', 'notice',
] as const satisfies readonly (keyof ModuleReport)[]; // prettier-ignore

/**
 * Possible starts of a formula, including full-width signs and skipped characters before one:
 * https://owasp.org/www-community/attacks/CSV_Injection
 */
const FORMULA = /^(?:[\t\r\n]|[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠])/u;

/** One row per module, after a row of names (RFC 4180); undefined numbers are empty. */
export function reportCsv({ modules }: Report): string {
  const rows = modules.map((module) => COLUMNS.map((column) => csvCell(module[column])).join(','));
  return `${[COLUMNS.join(','), ...rows].join('\r\n')}\r\n`;
}

/** Numbers stay numbers; a spreadsheet would run a name that starts like a formula. */
function csvCell(value: string | number | boolean | null): string {
  const text = typeof value !== 'string' ? String(value ?? '') : FORMULA.test(value) ? `'${value}` : value;
  // Some spreadsheets use semicolons or tabs as separators.
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function reportMarkdown(report: Report): string {
  return inEnglish(() => markdownOf(report));
}

function markdownOf({ adapter, base, aligned, selection, modules, totals, notices }: Report): string {
  const { added, removed } = selection.overrides;
  const byHand =
    added.length + removed.length > 0 ? ` (by hand: ${added.length} added, ${removed.length} removed)` : '';
  const finding = findingSum(selectionBy(selection), totals.selected, totals.modules, englishFindingTexts);
  const rows = modules.map(
    (module) =>
      `| ${markdownCode(module.name)} | ${decimal(module.similarity)} | ${decimal(module.nullSimilarity)} ± ${decimal(module.nullSpread)} | ${signed(module.direction)} | ${markdownText(percent(module.gain))} | ${module.selected ? 'yes' : ''} |`,
  );
  return [
    `**${markdownText(adapter.name)}** (rank ${adapter.rank}, alpha ${adapter.alpha}), measured against ${markdownText(aligned.name)} and its base ${markdownText(base.name)}:`,
    `${finding}${byHand}; agreement of all modules ${signed(totals.direction)}.`,
    '',
    '| module | similarity | chance level | agreement | update kept | selected |',
    '| --- | ---: | ---: | ---: | ---: | --- |',
    ...rows,
    ...(notices.length > 0 ? ['', ...notices.map((notice) => `- ${markdownText(notice.message)}`)] : []),
    '',
    'Similarity says how closely an update follows the directions that alignment changed, not what the model does.',
    '',
  ].join('\n');
}
