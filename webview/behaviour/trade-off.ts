// Utility against attack success, as in figure 3 of the paper (arXiv 2405.16833): a mark for each answered point.
import { Chart, type ChartDataset, type Plugin, type Scale } from 'chart.js';
import { decimal } from '../../src/core/text';
import { selectionOfCount } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type BehaviourResults, type PointView } from '../../src/page/behaviour';
import { pointsAt } from '../shared/charts';
import { readTheme, type Theme } from '../shared/theme';
import { element, paintText, setLabel, show } from '../shared/ui';
import { alignedPoint, answeredPoints, isOnCurve, isShare } from './curve';
import { type BehaviourSource } from './source';
import { figureText, pointTitle } from './texts';

interface Mark {
  x: number;
  y: number;
  point: PointView;
  label: string;
}

type Marks = ChartDataset<'scatter', Mark[]>;

/** A little more than 0 to 1, so that marks at the ends have room for their names. */
const SHARES = {
  min: -0.06,
  max: 1.03,
  afterBuildTicks: (axis: Scale) => {
    axis.ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value }));
  },
};
/** Width of a mark. */
const MARK = 12;
const LABEL_HEIGHT = 12;
/** From a mark's centre to its label. */
const LABEL_GAP = 10;

export class TradeOff {
  readonly root: HTMLElement;
  private readonly canvas = element('canvas', { role: 'img' });
  private chart: Chart<'scatter', Mark[]> | undefined;
  private theme: Theme = readTheme();

  constructor(
    private readonly source: BehaviourSource,
    private readonly strings: PageStrings,
  ) {
    const { tradeOff } = strings.behaviour;
    setLabel(this.canvas, tradeOff.label);
    this.root = element(
      'section',
      { class: 'trade-off' },
      element('h2', {}, tradeOff.title),
      element('div', { class: 'trade-off-box' }, this.canvas),
    );
  }

  /** The figures or the theme changed. */
  update(): void {
    const results = this.source.behaviour?.results ?? null;
    const marks = results ? this.marks(results) : [];
    show(this.root, marks.length > 1);
    if (!results || marks.length < 2) return;
    this.theme = readTheme();
    this.chart ??= new Chart<'scatter', Mark[]>(this.canvas, {
      type: 'scatter',
      data: { datasets: [] },
      plugins: [this.labels()],
    });
    this.chart.options = this.options(results);
    this.chart.data.datasets = this.datasets(marks);
    this.chart.update('none');
  }

  /** The selection changed. */
  remark(): void {
    this.chart?.draw();
  }

  private marks(results: BehaviourResults): Mark[] {
    const { aligned, original } = this.strings.behaviour.tradeOff;
    const model = alignedPoint(results);
    return [...(model ? [model] : []), ...answeredPoints(results)].flatMap((point) => {
      if (!point.asr || !point.utility) return [];
      const label = point.count === null ? aligned : point.count === 0 ? original : String(point.count);
      return [{ x: point.asr.value, y: point.utility.value, point, label }];
    });
  }

  private datasets(marks: readonly Mark[]): Marks[] {
    const [blue, orange, green] = this.theme.lines as [string, string, string];
    const look = (data: Mark[], color: string, pointStyle: 'circle' | 'rectRot' | 'star'): Marks => ({
      data,
      pointStyle,
      borderColor: color,
      backgroundColor: color,
      borderWidth: pointStyle === 'star' ? 2 : 1,
      pointRadius: pointStyle === 'circle' ? 5 : 7,
      pointHoverRadius: 8,
      pointHitRadius: 6,
    });
    return [
      look(marks.filter(({ point }) => point.count === null), green, 'star'),
      look(marks.filter(({ point }) => point.count === 0), orange, 'rectRot'),
      look(marks.filter(({ point }) => (point.count ?? 0) > 0), blue, 'circle'),
    ]; // prettier-ignore
  }

  private options(
    results: BehaviourResults,
  ): NonNullable<ConstructorParameters<typeof Chart<'scatter', Mark[]>>[1]['options']> {
    const { foreground, grid, highContrast } = this.theme;
    const { figures } = this.strings.behaviour;
    const share = isShare(results, 'utility');
    const axis = (text: string, fits: boolean): object => ({
      ...(fits ? { grace: '15%' } : SHARES),
      ticks: {
        color: foreground,
        ...(fits ? { maxTicksLimit: 5 } : { callback: (value: number) => decimal(value, 2) }),
      },
      grid: { color: grid, display: !highContrast },
      border: { color: grid, display: highContrast },
      title: { display: true, text, color: foreground },
    });
    return {
      clip: false,
      layout: { padding: { right: 44, top: 12 } },
      interaction: { mode: 'nearest', intersect: true },
      scales: { x: axis(figures.asr, false), y: axis(figures.utility, !share) },
      onClick: (_, [hit], { data }) => {
        const mark = hit && (data.datasets[hit.datasetIndex]!.data[hit.index] as unknown as Mark);
        if (mark && mark.point.count !== null) this.source.setDraft(selectionOfCount(mark.point.count));
      },
      onHover: (_, hits) => {
        pointsAt(hits, this.canvas);
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          callbacks: {
            label: ({ raw }) => {
              const { point } = raw as Mark;
              return [
                pointTitle(point, this.strings),
                `${figures.asr} ${figureText(point.asr)}`,
                `${figures.utility} ${figureText(point.utility)}`,
              ];
            },
          },
        },
      },
    };
  }

  /** Names beside the marks, one for all marks at one place, and a ring around the selection's. */
  private labels(): Plugin<'scatter'> {
    return {
      id: 'labels',
      afterDatasetsDraw: (chart) => {
        const paint = chart.ctx;
        paint.save();
        paint.font = `11px ${Chart.defaults.font.family ?? 'sans-serif'}`;
        paint.textBaseline = 'middle';
        paint.strokeStyle = this.theme.foreground;
        const marks = chart.data.datasets.flatMap(({ data }) => data as unknown as Mark[]);
        const groups = groupsOf(chart, marks);
        const taken = groups.map(({ x, y }) => ({
          left: x - MARK / 2,
          top: y - LABEL_HEIGHT / 2,
          width: MARK,
        }));
        const { behaviour, selectedNames } = this.source;
        const current = behaviour?.results && isOnCurve(behaviour.results, selectedNames) ? selectedNames.size : null;
        for (const group of groups) {
          if (group.marks.some(({ point }) => current !== null && point.count === current)) {
            paint.beginPath();
            paint.arc(group.x, group.y, LABEL_GAP, 0, 2 * Math.PI);
            paint.stroke();
          }
          const text = group.marks.map(({ label }) => label).join(', ');
          const place = freePlace(group, paint.measureText(text).width, chart, taken);
          // Its tooltip and the table still name it.
          if (!place) continue;
          taken.push(place);
          paint.fillStyle = this.theme.background;
          paint.fillRect(place.left - 2, place.top, place.width + 4, LABEL_HEIGHT);
          paint.fillStyle = this.theme.foreground;
          paintText(paint, text, place.left, place.top + LABEL_HEIGHT / 2);
        }
        paint.restore();
      },
    };
  }
}

interface Group {
  x: number;
  y: number;
  marks: Mark[];
}

interface Box {
  left: number;
  top: number;
  width: number;
}

/** Marks that lie on one another, in page pixels. */
function groupsOf({ scales }: Pick<Chart, 'scales'>, marks: readonly Mark[]): Group[] {
  const groups: Group[] = [];
  for (const mark of marks) {
    const x = scales.x!.getPixelForValue(mark.x);
    const y = scales.y!.getPixelForValue(mark.y);
    const same = groups.find((group) => Math.hypot(group.x - x, group.y - y) < LABEL_GAP);
    if (same) same.marks.push(mark);
    else groups.push({ x, y, marks: [mark] });
  }
  return groups;
}

/** Beside the mark, else above or below it: where no other mark or label is. Null if there is no such place. */
function freePlace(
  { x, y }: Group,
  width: number,
  { chartArea, width: end }: Pick<Chart, 'chartArea' | 'width'>,
  taken: readonly Box[],
): Box | null {
  const level = y - LABEL_HEIGHT / 2;
  const places: Box[] = [
    { left: x + LABEL_GAP + 4, top: level, width },
    { left: x - LABEL_GAP - 4 - width, top: level, width },
    { left: x - width / 2, top: y - LABEL_GAP - LABEL_HEIGHT - 2, width },
    { left: x - width / 2, top: y + LABEL_GAP + 2, width },
    { left: x + 4, top: y - LABEL_GAP - LABEL_HEIGHT - 2, width },
    { left: x - LABEL_GAP, top: y - LABEL_GAP - LABEL_HEIGHT - 2, width },
    { left: x + LABEL_GAP - width, top: y - LABEL_GAP - LABEL_HEIGHT - 2, width },
  ];
  const isFree = ({ left, top }: Box): boolean =>
    left >= chartArea.left + 2 &&
    left + width <= end &&
    top + LABEL_HEIGHT <= chartArea.bottom &&
    taken.every(
      (other) =>
        left + width + 6 < other.left ||
        other.left + other.width + 6 < left ||
        Math.abs(top - other.top) >= LABEL_HEIGHT,
    );
  return places.find(isFree) ?? null;
}
