// The behaviour of both adapters in one chart for each figure, and the table of the same numbers.
import { Chart, type ChartDataset, type ChartOptions } from 'chart.js';
import { decimal } from '../../src/core/text';
import { type Measure, measures } from '../../src/evaluation/figures';
import { type BehaviourResults } from '../../src/page/behaviour';
import { type Side, sides } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { answeredPoints, type CurvePoint, isShare, measuredFigures } from '../behaviour/curve';
import { countRange, countTicks, hundredths } from '../behaviour/axes';
import { type Dot, dotOf, errorBars } from '../behaviour/error-bars';
import { figureText } from '../behaviour/texts';
import { readTheme, type Theme } from '../shared/theme';
import { chartLabel, element, format, setLabel, setText, show } from '../shared/ui';
import { type ComparisonState } from './state';

type Line = ChartDataset<'line', Dot[]>;
type Both = Record<Side, BehaviourResults>;

/** Equal points of A and B stay apart by this share of the axis. */
const APART = 0.006;

/** Of the theme's lines; dashes and marks tell them apart, too. */
const looks = {
  a: { color: 0, dashes: [], pointStyle: 'circle' },
  b: { color: 1, dashes: [6, 3], pointStyle: 'rect' },
} as const;

export class ComparedBehaviour {
  readonly root: HTMLElement;
  private readonly note = element('p', { class: 'definition' });
  private readonly figures = element('div', { class: 'compared-figures' });
  private readonly table: HTMLElement;
  private readonly charts = new Map<Measure, { box: HTMLElement; chart: Chart<'line', Dot[]> }>();

  constructor(
    private readonly state: ComparisonState,
    private readonly strings: ComparisonStrings,
  ) {
    const { title, table } = strings.behaviour;
    // A region that scrolls needs the focus to be scrolled from the keyboard.
    const region = { role: 'region', tabindex: 0, 'aria-label': table };
    this.table = element('div', { class: 'table-box compared-points', ...region });
    this.root = element(
      'section',
      { class: 'compared-behaviour' },
      element('h2', {}, title),
      this.note,
      this.figures,
      this.table,
    );
  }

  /** The figures or the theme changed. */
  update(): void {
    const { comparison } = this.state;
    const found = comparison?.adapters;
    show(
      this.root,
      sides.some((side) => found?.[side].behaviour),
    );
    if (!found) return;
    setText(this.note, this.noteText());
    const { a, b } = found;
    const both = a.behaviour && b.behaviour && { a: a.behaviour.results, b: b.behaviour.results };
    for (const part of [this.figures, this.table]) show(part, both !== null);
    if (both) this.draw(both);
  }

  private noteText(): string {
    const { adapters, samePrompts } = this.state.comparison!;
    const { behaviour: texts } = this.strings;
    const lacking = sides.filter((side) => !adapters[side].behaviour);
    if (lacking.length > 0) return format(texts.lacking, lacking.map((side) => adapters[side].name).join(', '));
    const stale = sides.filter((side) => adapters[side].behaviour!.stale.length > 0);
    return [
      samePrompts ? texts.same : texts.otherPrompts,
      stale.length > 0 ? format(texts.stale, stale.map((side) => adapters[side].name).join(', ')) : '',
    ]
      .filter(Boolean)
      .join(' ');
  }

  private draw(both: Both): void {
    const theme = readTheme();
    const shown = measures.filter((measure) => sides.some((side) => measuredFigures(both[side]).includes(measure)));
    for (const [measure, { box }] of this.charts) show(box, shown.includes(measure));
    for (const measure of shown) {
      const { chart } = this.chartOf(measure);
      chart.options = this.options(both, measure, theme);
      chart.data.datasets = sides.map((side) => this.line(both, side, measure, theme));
      chart.update('none');
    }
    this.drawTable(both, shown);
  }

  private chartOf(measure: Measure): { box: HTMLElement; chart: Chart<'line', Dot[]> } {
    const known = this.charts.get(measure);
    if (known) return known;
    const name = this.strings.behaviour.figures[measure];
    const canvas = element('canvas', { role: 'img', 'data-figure': measure });
    setLabel(canvas, format(this.strings.behaviour.chart, name));
    const box = element('div', { class: 'panel' }, element('h3', {}, name), element('div', { class: 'figure-box' }, canvas)); // prettier-ignore
    this.figures.append(box);
    const chart = new Chart<'line', Dot[]>(canvas, { type: 'line', data: { datasets: [] }, plugins: [errorBars] });
    const made = { box, chart };
    this.charts.set(measure, made);
    return made;
  }

  private line(both: Both, side: Side, measure: Measure, { lines }: Theme): Line {
    const { color, dashes, pointStyle } = looks[side];
    const apart = (side === 'a' ? -APART : APART) * mostOf(both);
    return {
      label: `${this.strings.sides[side]} · ${chartLabel(this.state.comparison!.adapters[side].name)}`,
      data: answeredPoints(both[side]).flatMap((point) => {
        const figure = point[measure];
        return figure ? [{ x: point.count + apart, y: figure.value, interval: figure, point }] : [];
      }),
      borderColor: lines[color]!,
      backgroundColor: lines[color]!,
      borderWidth: 1.5,
      borderDash: [...dashes],
      pointStyle,
      pointRadius: 4,
      pointHitRadius: 6,
    };
  }

  private options(both: Both, measure: Measure, { foreground, grid, highContrast }: Theme): ChartOptions<'line'> {
    const share = sides.every((side) => isShare(both[side], measure));
    const most = mostOf(both);
    const axis = { grid: { color: grid, display: !highContrast }, border: { color: grid } };
    return {
      clip: false,
      plugins: {
        legend: { position: 'bottom', labels: { color: foreground, usePointStyle: true, boxHeight: 7 } },
        tooltip: {
          callbacks: {
            title: ([item]) => (item ? this.pointText(dotOf(item).point) : ''),
            label: (item) => `${item.dataset.label ?? ''}: ${figureText(dotOf(item).point[measure])}`,
          },
        },
      },
      scales: {
        x: {
          type: 'linear',
          ...countRange(most),
          afterBuildTicks: (scale) => {
            scale.ticks = countTicks(most, scale.chart.width).map((value) => ({ value }));
          },
          ticks: { color: foreground, autoSkip: false, maxRotation: 0 },
          title: { display: true, text: this.strings.behaviour.projected, color: foreground },
          ...axis,
        },
        y: {
          type: 'linear',
          ...(share ? { min: 0, max: 1 } : {}),
          ticks: { color: foreground, ...(share ? { stepSize: 0.25, callback: hundredths } : {}) },
          ...axis,
        },
      },
    };
  }

  private drawTable(both: Both, shown: readonly Measure[]): void {
    const { behaviour: texts, sides: names } = this.strings;
    const at = (side: Side, count: number): CurvePoint | undefined =>
      answeredPoints(both[side]).find((point) => point.count === count);
    const counts = [...new Set(sides.flatMap((side) => answeredPoints(both[side]).map(({ count }) => count)))];
    const columns = shown.flatMap((measure) => sides.map((side) => ({ measure, side })));
    const titles = columns.map(({ measure, side }) =>
      element('th', { scope: 'col', class: 'number' }, `${texts.figures[measure]}, ${names[side]}`),
    );
    const rows = counts
      .sort((one, other) => one - other)
      .map((count) =>
        element(
          'tr',
          { 'data-count': count },
          element('th', { scope: 'row' }, count === 0 ? texts.original : String(count)),
          ...columns.map(({ measure, side }) => {
            const figure = at(side, count)?.[measure] ?? null;
            const cell = { class: 'number', 'data-figure': measure, 'data-side': side };
            return element('td', cell, figure ? figureText(figure) : decimal(null));
          }),
        ),
      );
    const head = element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, texts.projected), ...titles));
    this.table.replaceChildren(element('table', { 'aria-label': texts.table }, head, element('tbody', {}, ...rows)));
  }

  private pointText({ count }: CurvePoint): string {
    const { behaviour: texts } = this.strings;
    return count === 0 ? texts.original : format(texts.at, count);
  }
}

function mostOf(both: Both): number {
  return Math.max(1, ...sides.map((side) => both[side].order.length));
}
