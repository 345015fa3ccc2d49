// The report as a person reads it in a terminal.
import { type Colors } from 'picocolors/types';
import { bytesText } from '../core/bytes';
import { type ModuleReport, type Report } from '../core/report';

/** A table cell: its text, and how to dress it once its width is known. */
interface Cell {
  text: string;
  style?: (text: string) => string;
}

/** The whole report as lines of text. */
export function reportLines(report: Report, colors: Colors, selectionIsDefault: boolean): string[] {
  const { adapter, base, aligned, device } = report;
  return [
    `${colors.bold(adapter.name)}  rank ${adapter.rank}, alpha ${adapter.alpha}${adapter.targetModules.length > 0 ? `, on ${adapter.targetModules.join(', ')}` : ''}`,
    `base     ${base.name}  ${colors.dim(base.path)}`,
    `aligned  ${aligned.name}  ${colors.dim(aligned.path)}`,
    `device   ${device.provider}${device.fallbackReason === null ? '' : colors.dim(`  (${device.requested}: ${device.fallbackReason})`)}`,
    '',
    ...moduleTable(report.modules, colors),
    '',
    ...summary(report, colors, selectionIsDefault),
    ...report.notices.map((notice) => `${colors.yellow('!')} ${notice.message}`),
  ];
}

function moduleTable(modules: readonly ModuleReport[], colors: Colors): string[] {
  const stacked = modules.some((module) => module.stack !== null);
  const experts = modules.some((module) => module.expert !== null);
  const columns: { title: string; left?: boolean; cell: (module: ModuleReport) => Cell }[] = [
    ...(stacked
      ? [{ title: 'stack', left: true, cell: (module: ModuleReport) => ({ text: module.stack ?? '' }) }]
      : []),
    { title: 'layer', cell: (module) => ({ text: module.layer === null ? '-' : String(module.layer) }) },
    { title: 'kind', left: true, cell: (module) => ({ text: module.kind }) },
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
      cell: (module) => ({ text: decimal(module.similarity), ...(module.selected ? { style: colors.bold } : {}) }),
    },
    { title: 'null', cell: (module) => ({ text: nullText(module), style: colors.dim }) },
    {
      title: 'direction',
      cell: (module) => ({
        text: signed(module.direction),
        ...((module.direction ?? 0) < 0 ? { style: colors.magenta } : {}),
      }),
    },
    { title: 'gain', cell: (module) => ({ text: decimal(module.gain) }) },
    {
      title: 'selected',
      left: true,
      cell: (module) =>
        module.selected ? { text: 'yes', style: colors.cyan } : { text: module.notice ?? '', style: colors.dim },
    },
  ];
  const rows = modules.map((module) => columns.map((column) => column.cell(module)));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => row[index]!.text.length)),
  );
  const line = (cells: readonly Cell[]): string =>
    cells
      .map(({ text, style }, index) => {
        const padding = ' '.repeat(widths[index]! - text.length);
        const styled = style && text ? style(text) : text;
        return columns[index]!.left ? styled + padding : padding + styled;
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ title }) => ({ text: title, style: colors.underline }))), ...rows.map(line)];
}

function nullText(module: ModuleReport): string {
  return module.nullSimilarity === null ? '-' : `${decimal(module.nullSimilarity)} ±${decimal(module.nullSpread)}`;
}

function decimal(value: number | null): string {
  return value === null ? '-' : value.toFixed(3);
}

function signed(value: number | null): string {
  return value === null ? '-' : `${value < 0 ? '' : '+'}${value.toFixed(3)}`;
}

function summary({ selection, modules, totals }: Report, colors: Colors, selectionIsDefault: boolean): string[] {
  const rule =
    selection.mode === 'threshold'
      ? `at or below threshold ${selection.threshold}${selectionIsDefault ? ' (the default)' : ''}`
      : `selected: the ${selection.count} of lowest similarity`;
  const layers = [
    ...new Set(modules.filter((module) => module.selected && module.layer !== null).map((module) => module.layer)),
  ];
  const where = layers.length > 0 ? `, in layer${layers.length > 1 ? 's' : ''} ${layers.join(', ')}` : '';
  return [
    colors.bold(`${totals.selected} of ${totals.modules} modules ${rule}${where}`),
    `direction of all modules together ${signed(totals.direction)}`,
    colors.dim(`${bytesText(totals.bytesRead)} of weights read in ${totals.seconds.toFixed(1)} s`),
  ];
}
