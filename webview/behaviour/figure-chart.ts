// One figure by the number of projected modules: answered points with their intervals, levels to compare with, and the selection.
import { Chart, type ChartOptions, type Scale, type TooltipItem } from 'chart.js';
import { decimal, signed } from '../../src/core/text';
import { type Measure } from '../../src/evaluation/figures';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourResults } from '../../src/page/behaviour';
import { pointsAt } from '../shared/charts';
import { type Theme } from '../shared/theme';
import { element, format, setLabel, setText } from '../shared/ui';
import { alignedPoint, answeredPoints, isShare, pointAt, scoredPoints } from './curve';
import { type Dot, dotOf, errorBars, type FigureLine } from './error-bars';
import { figureColor, figureLooks } from './figure-look';
import { type Level, levelLines } from './levels';
import { selectionMark } from './selection-mark';
import { countRange, countTicks, hundredths } from './axes';
import { pointTitle } from './texts';
import { tooltipLines } from './tooltip-text';

/** What the charts have in common, so that their axes match. */
export interface Frame {
  results: BehaviourResults;
  theme: Theme;
  /** Room beside each chart for the names of its levels. */
  room: number;
  showsScore: boolean;
}

/** Where a chart is in the stack. */
export interface Place {
  isFirst: boolean;
  isLast: boolean;
}

export interface ChartPorts {
  /** The number of selected modules. */
  selected: () => number;
  pick: (count: number) => void;
}

const AXIS_WIDTH = 44;
/** Width of a threshold at the upper axis, in CSS pixels. */
const THRESHOLD_WIDTH = 44;

export class FigureChart {
  readonly root: HTMLElement;
  private readonly sign = element('span', { class: 'figure-sign', 'aria-hidden': 'true' });
  private readonly name = element('h2');
  private readonly definition = element('span', { class: 'definition' });
  private readonly canvas = element('canvas', { role: 'img' });
  private readonly box = element('div', { class: 'figure-box' }, this.canvas);
  private chart: Chart<'line', Dot[]> | undefined;
  private frame: Frame | null = null;

  constructor(
    private readonly measure: Measure,
    private readonly strings: PageStrings,
    private readonly ports: ChartPorts,
  ) {
    this.canvas.setAttribute('data-figure', measure);
    this.root = element(
      'div',
      { class: 'figure-chart' },
      element('div', { class: 'figure-head' }, this.sign, this.name, this.definition),
      this.box,
    );
  }

  draw(frame: Frame, place: Place): void {
    this.frame = frame;
    const { charts } = this.strings.behaviour;
    const name = this.drawHead(frame);
    setLabel(this.canvas, format(charts.label, name));
    this.box.classList.toggle('first', place.isFirst);
    this.box.classList.toggle('last', place.isLast);
    this.chart ??= new Chart<'line', Dot[]>(this.canvas, {
      type: 'line',
      data: { datasets: [] },
      plugins: [
        selectionMark(() => this.frame && { selected: this.ports.selected(), theme: this.frame.theme }),
        levelLines(() => this.frame && { ...this.frame, levels: levelsOf(this.measure, this.frame, this.strings) }),
        errorBars,
      ],
    });
    this.chart.options = this.options(frame, place);
    this.chart.data.datasets = this.lines(frame);
    this.chart.update('none');
  }

  /** The selection changed. */
  remark(): void {
    this.chart?.draw();
  }

  /** Before the first answers, the chart shows the score alone. */
  private drawHead({ results, theme }: Frame): string {
    const { figures, definitions, charts } = this.strings.behaviour;
    const isAnswered = answeredPoints(results).length > 0;
    const name = isAnswered ? figures[this.measure] : charts.refusalScore;
    setText(this.sign, isAnswered ? figureLooks[this.measure].sign : '─');
    this.sign.style.color = isAnswered ? figureColor(this.measure, theme) : theme.foreground;
    setText(this.name, name);
    setText(this.definition, definitions[isAnswered ? this.measure : 'refusalScore']);
    return name;
  }

  private lines({ results, theme, showsScore }: Frame): FigureLine[] {
    const color = figureColor(this.measure, theme);
    const { pointStyle, radius } = figureLooks[this.measure];
    const figures: FigureLine = {
      label: this.strings.behaviour.figures[this.measure],
      yAxisID: 'y',
      data: answeredPoints(results).flatMap((point) => {
        const figure = point[this.measure];
        return figure ? [{ x: point.count, y: figure.value, interval: figure, point }] : [];
      }),
      borderColor: color,
      backgroundColor: color,
      borderWidth: 1.5,
      pointStyle,
      pointRadius: radius,
      pointHoverRadius: radius + 2,
      pointHitRadius: 6,
    };
    return showsScore && this.measure === 'asr' ? [figures, this.scoreLine(results, theme)] : [figures];
  }

  private scoreLine(results: BehaviourResults, { foreground }: Theme): FigureLine {
    return {
      label: this.strings.behaviour.charts.refusalScore,
      yAxisID: 'score',
      data: scoredPoints(results).map((point) => ({ x: point.count, y: point.refusalScore, point })),
      borderColor: foreground,
      backgroundColor: foreground,
      borderWidth: 1,
      pointRadius: 0,
      pointHitRadius: 4,
    };
  }

  private options(frame: Frame, place: Place): ChartOptions<'line'> {
    const { showsScore, room } = frame;
    const hasScore = showsScore && this.measure === 'asr';
    return {
      clip: false,
      interaction: { mode: 'nearest', intersect: true },
      layout: { padding: { right: room + (showsScore && !hasScore ? AXIS_WIDTH : 0), top: place.isFirst ? 0 : 6 } },
      onClick: (_, [hit], { data }) => {
        const dot = hit && (data.datasets[hit.datasetIndex]!.data[hit.index] as unknown as Dot);
        if (dot) this.ports.pick(dot.x);
      },
      onHover: (_, hits) => {
        pointsAt(hits, this.canvas);
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          callbacks: {
            title: ([item]) => (item ? pointTitle(dotOf(item).point, this.strings) : ''),
            label: (item) => this.tip(item),
          },
        },
      },
      scales: {
        x: this.countAxis(frame, place),
        y: this.figureAxis(frame),
        ...(hasScore ? { score: scoreAxis(frame.theme) } : {}),
        ...(place.isFirst ? { thresholds: thresholdAxis(frame) } : {}),
      },
    };
  }

  private countAxis({ results, theme }: Frame, { isLast }: Place): NonNullable<ChartOptions<'line'>['scales']>[string] {
    const most = mostOf(results);
    return {
      type: 'linear',
      ...countRange(most),
      afterBuildTicks: (axis: Scale) => {
        axis.ticks = countTicks(most, axis.chart.width).map((value) => ({ value }));
      },
      ticks: { display: isLast, color: theme.foreground, autoSkip: false, maxRotation: 0 },
      grid: { color: theme.grid, display: !theme.highContrast, tickLength: isLast ? 6 : 0 },
      border: { color: theme.grid, display: theme.highContrast },
      title: { display: isLast, text: this.strings.behaviour.charts.projected, color: theme.foreground },
    };
  }

  private figureAxis({ results, theme }: Frame): NonNullable<ChartOptions<'line'>['scales']>[string] {
    const share = isShare(results, this.measure);
    const isAnswered = answeredPoints(results).length > 0;
    return {
      type: 'linear',
      ...(share ? { min: 0, max: 1 } : { grace: '10%' }),
      afterFit: fixedWidth,
      ticks: {
        display: isAnswered,
        color: theme.foreground,
        ...(share ? { stepSize: 0.25, callback: hundredths } : { maxTicksLimit: 5 }),
      },
      grid: { color: theme.grid, display: !theme.highContrast },
      border: { color: theme.grid, display: theme.highContrast },
    };
  }

  private tip(item: TooltipItem<'line'>): string[] {
    const { point, interval } = dotOf(item);
    const { charts } = this.strings.behaviour;
    if (!interval) return [`${charts.refusalScore} ${signed(point.refusalScore, 1)}`];
    return tooltipLines(this.measure, point, this.strings);
  }
}

/** Levels of the aligned model and of the original adapter, where they are known. */
export function levelsOf(measure: Measure, { results }: Pick<Frame, 'results'>, { behaviour }: PageStrings): Level[] {
  const { aligned, original } = behaviour.charts;
  const level = (value: number | undefined, label: string, dashes: number[]): Level[] =>
    value === undefined ? [] : [{ value, label: format(label, decimal(value, 2)), dashes }];
  return [
    ...level(alignedPoint(results)?.[measure]?.value, aligned, [6, 3]),
    ...level(pointAt(results, 0)?.[measure]?.value, original, [2, 3]),
  ];
}

function scoreAxis({ foreground, grid }: Theme): NonNullable<ChartOptions<'line'>['scales']>[string] {
  return {
    type: 'linear',
    position: 'right',
    afterFit: fixedWidth,
    ticks: { color: foreground, maxTicksLimit: 5, callback: (value) => signed(Number(value), 0) },
    grid: { display: false },
    border: { color: grid },
  };
}

/** Thresholds of the answered points, at their counts; a label that would cover its neighbour is left out. */
function thresholdAxis({ results, theme, room }: Frame): NonNullable<ChartOptions<'line'>['scales']>[string] {
  const most = mostOf(results);
  const { min, max } = countRange(most);
  const labelled = answeredPoints(results).filter(({ threshold }) => threshold !== null);
  return {
    type: 'linear',
    position: 'top',
    min,
    max,
    afterBuildTicks: (axis: Scale) => {
      const pixels = (axis.chart.width - room - AXIS_WIDTH) / (max - min);
      let end = -Infinity;
      const free = labelled.filter(({ count }) => {
        // The first one also carries its sign.
        const half = (THRESHOLD_WIDTH / 2) * (end === -Infinity ? 1.6 : 1);
        if (count * pixels - half < end) return false;
        end = count * pixels + half;
        return true;
      });
      axis.ticks = free.map(({ count }) => ({ value: count }));
    },
    ticks: {
      color: theme.muted,
      autoSkip: false,
      maxRotation: 0,
      callback: (value, index) => {
        const text = decimal(labelled.find(({ count }) => count === value)?.threshold ?? null);
        return index === 0 ? `τ = ${text}` : text;
      },
    },
    grid: { display: true, drawOnChartArea: false, tickLength: 4, color: theme.grid },
    border: { display: false },
  };
}

function mostOf({ order, points }: BehaviourResults): number {
  return Math.max(1, order.length, ...points.map(({ count }) => count ?? 0));
}

/** Equal in all charts, so that their counts lie one above the other. */
function fixedWidth(axis: Scale): void {
  axis.width = AXIS_WIDTH;
}
