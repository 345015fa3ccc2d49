// The report as text for the terminal.
import { bytesText } from '../core/bytes';
import { type ModuleReport, noticeText, type Report } from '../core/report';
import { findingSum, englishFindingTexts } from '../core/rules';
import { decimal, elided, percent, signed, UNDEFINED, visible } from '../core/text';
import { type Line, type Styled } from './terminal';

/** A table cell: its text, and its style once the width is known. */
type TableCell = { text: string } & Partial<Styled>;

/** A longer name would push the numbers out of sight. */
const MOST_LETTERS = 80;

/** The whole report as lines of text. */
export function reportLines(report: Report, selectionIsDefault: boolean): Line[] {
  const { adapter, base, aligned, device } = report;
  const targets = adapter.targetModules.length > 0 ? `, on ${adapter.targetModules.join(', ')}` : '';
  const reason = device.fallbackReason === null ? '' : `  (${device.requested}: ${device.fallbackReason})`;
  return [
    [styled(adapter.name, 'bold'), `  rank ${adapter.rank}, alpha ${adapter.alpha}${targets}`],
    [`base     ${base.name}  `, styled(base.path, 'dim')],
    [`aligned  ${aligned.name}  `, styled(aligned.path, 'dim')],
    [`device   ${device.provider}`, styled(reason, 'dim')],
    '',
    ...moduleTable(report.modules),
    '',
    ...summary(report, selectionIsDefault),
    ...report.notices.map((notice): Line => [styled('!', 'yellow'), ` ${notice.message}`]),
  ];
}

export function styled(text: string, style: Styled['style']): Styled {
  return { text, style };
}

function moduleTable(modules: readonly ModuleReport[]): Line[] {
  const stacked = modules.some((module) => module.stack !== null);
  const experts = modules.some((module) => module.expert !== null);
  const columns: { title: string; left?: boolean; cell: (module: ModuleReport) => TableCell }[] = [
    ...(stacked
      ? [{ title: 'stack', left: true, cell: (module: ModuleReport) => ({ text: module.stack ?? '' }) }]
      : []),
    { title: 'layer', cell: (module) => ({ text: module.layer === null ? UNDEFINED : String(module.layer) }) },
    { title: 'target module', left: true, cell: (module) => ({ text: module.kind }) },
    ...(experts
      ? [
          {
            title: 'expert',
            cell: (module: ModuleReport) => ({ text: module.expert === null ? '' : String(module.expert) }),
          },
        ]
      : []),
    {
      title: 'similarity',
      cell: (module) => ({ text: decimal(module.similarity), ...(module.selected ? { style: 'bold' as const } : {}) }),
    },
    { title: 'chance level', cell: (module) => ({ text: nullText(module), style: 'dim' as const }) },
    {
      title: 'agreement',
      cell: (module) => ({
        text: signed(module.direction),
        ...((module.direction ?? 0) < 0 ? { style: 'magenta' as const } : {}),
      }),
    },
    { title: 'update kept', cell: (module) => ({ text: percent(module.gain) }) },
    {
      title: 'selected',
      left: true,
      cell: (module) =>
        module.selected ? { text: 'yes', style: 'cyan' as const } : { text: noticeText(module), style: 'dim' as const },
    },
  ];
  return table(
    columns.map(({ cell, ...column }) => ({ ...column, cell: (row) => cell(modules[row]!) })),
    modules.length,
  );
}

/** A table's column: its title, and its cell in each row. */
export interface Column {
  title: string;
  left?: boolean;
  cell: (row: number) => TableCell;
}

/** A title line and that many rows. */
export function table(columns: readonly Column[], count: number): Line[] {
  const rows = Array.from({ length: count }, (_, row) =>
    columns.map((column) => {
      const cell = column.cell(row);
      return { ...cell, text: visible(elided(cell.text, MOST_LETTERS)) };
    }),
  );
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => row[index]!.text.length)),
  );
  const line = (cells: readonly TableCell[]): Line =>
    cells.flatMap(({ text, style }, index) => {
      const padding = ' '.repeat(widths[index]! - text.length);
      const part = style && text ? styled(text, style) : text;
      const gap = index === 0 ? '' : '  ';
      return columns[index]!.left ? [gap, part, padding] : [gap + padding, part];
    });
  return [line(columns.map(({ title }) => ({ text: title, style: 'underline' }))), ...rows.map(line)];
}

function nullText(module: ModuleReport): string {
  return module.nullSimilarity === null
    ? UNDEFINED
    : `${decimal(module.nullSimilarity)} ±${decimal(module.nullSpread)}`;
}

function summary({ selection, modules, totals }: Report, selectionIsDefault: boolean): Line[] {
  const finding = findingSum(selection, totals.selected, totals.modules, englishFindingTexts);
  const layers = [
    ...new Set(modules.filter((module) => module.selected && module.layer !== null).map((module) => module.layer)),
  ];
  const where = layers.length > 0 ? `, in layer${layers.length > 1 ? 's' : ''} ${layers.join(', ')}` : '';
  return [
    [styled(`${finding}${selectionIsDefault ? ' (the default)' : ''}${where}`, 'bold')],
    `agreement of all modules ${signed(totals.direction)}`,
    [styled(`${bytesText(totals.bytesRead)} of weights read in ${totals.seconds.toFixed(1)} s`, 'dim')],
  ];
}
