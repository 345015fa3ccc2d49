// The chosen measure by depth: one line per kind, with the null level and the threshold where they mean something.
import { Chart, type ChartDataset } from 'chart.js';
import { levelOf } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { measures } from '../shared/measures';
import { type PageState } from './state';
import { readTheme } from '../shared/theme';
import { chartLabel, element, format, setLabel } from '../shared/ui';

type Line = ChartDataset<'line', { x: number; y: number }[]>;

// Besides colour: a dash and a point style a line.
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
const POINTS = ['circle', 'rect', 'triangle', 'rectRot', 'star', 'cross', 'crossRot'] as const;

export class Profile {
  private readonly canvas = element('canvas', { role: 'img' });
  readonly root = element('div', { class: 'profile-box' }, this.canvas);
  private chart: Chart<'line', { x: number; y: number }[]> | undefined;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {}

  update(): void {
    const theme = readTheme();
    const measure = this.strings.measures[this.state.measure];
    setLabel(this.canvas, format(this.strings.profileLabel, measure));
    this.chart ??= new Chart(this.canvas, {
      type: 'line',
      data: { datasets: [] },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: 'nearest', intersect: false },
        scales: { x: { type: 'linear', ticks: { precision: 0 } }, y: {} },
        plugins: { legend: { position: 'bottom', labels: { usePointStyle: true, boxHeight: 6, padding: 12 } } },
      },
    });
    const { options } = this.chart;
    for (const axis of ['x', 'y'] as const) {
      const scale = options.scales![axis]!;
      scale.ticks = { ...scale.ticks, color: theme.foreground };
      scale.grid = { color: theme.grid, display: !theme.highContrast };
      scale.border = { color: theme.grid };
      scale.title = { display: true, text: axis === 'x' ? this.strings.layer : measure, color: theme.foreground };
    }
    const whole = this.state.measure === 'similarity';
    Object.assign(options.scales!.y!, { suggestedMin: whole ? 0 : undefined, suggestedMax: whole ? 1 : undefined });
    options.plugins!.legend!.labels!.color = theme.foreground;
    this.chart.data.datasets = [...this.kindLines(theme.lines), ...this.levels(theme.muted, theme.foreground)];
    this.chart.update('none');
  }

  /** Only the threshold moved. */
  moveThreshold(): void {
    const line = this.chart?.data.datasets.find((dataset) => dataset.label === this.strings.threshold);
    const level = levelOf(this.state.draft);
    if (!this.chart || (line === undefined) === (level !== null && this.state.measure === 'similarity')) {
      this.update();
      return;
    }
    if (!line || level === null) return;
    for (const point of line.data) point.y = level;
    this.chart.update('none');
  }

  private kindLines(colors: readonly string[]): Line[] {
    const measure = measures[this.state.measure];
    return [...this.byKind()].map(([kind, layers], index) => ({
      label: chartLabel(kind),
      data: [...layers].flatMap(([layer, modules]) => {
        const values = modules
          .map((module) => measure.value(this.state, module))
          .filter((value) => !Number.isNaN(value));
        return values.length === 0 ? [] : [{ x: layer, y: Math.min(...values) }];
      }),
      borderColor: colors[index % colors.length]!,
      backgroundColor: colors[index % colors.length]!,
      borderDash: DASHES[index % DASHES.length]!,
      pointStyle: POINTS[index % POINTS.length]!,
      borderWidth: 1.5,
      pointRadius: layers.size > 40 ? 0 : 3,
    }));
  }

  private byKind(): Map<string, Map<number, number[]>> {
    const kinds = new Map<string, Map<number, number[]>>();
    const modules = this.state.document?.modules ?? [];
    const stacked = new Set(modules.map(({ stack }) => stack)).size > 1;
    modules.forEach(({ stack, kind, layer }, index) => {
      if (layer === null) return;
      const label = stacked ? `${stack ?? this.strings.mainStack} ${kind}` : kind;
      const layers = kinds.get(label) ?? new Map<number, number[]>();
      layers.set(layer, [...(layers.get(layer) ?? []), index]);
      kinds.set(label, layers);
    });
    return kinds;
  }

  private levels(muted: string, foreground: string): Line[] {
    if (this.state.measure !== 'similarity') return [];
    const modules = this.state.document?.modules ?? [];
    const layers = new Map<number, number[]>();
    modules.forEach(({ layer }, index) => {
      const value = this.state.value(index, 'nullSimilarity');
      if (layer !== null && !Number.isNaN(value)) layers.set(layer, [...(layers.get(layer) ?? []), value]);
    });
    const level = { pointRadius: 0, borderWidth: 1.5, fill: false };
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const nullLine: Line = {
      ...level,
      label: this.strings.nullLevel,
      data: [...layers].sort(([a], [b]) => a - b).map(([x, values]) => ({ x, y: mean(values) })),
      borderColor: muted,
      backgroundColor: muted,
      borderDash: [3, 3],
      pointStyle: 'line',
    };
    const depths = modules.flatMap(({ layer }) => (layer === null ? [] : [layer]));
    const y = levelOf(this.state.draft);
    if (y === null || depths.length === 0) return [nullLine];
    return [
      nullLine,
      {
        ...level,
        label: this.strings.threshold,
        data: [Math.min(...depths), Math.max(...depths)].map((x) => ({ x, y })),
        borderColor: foreground,
        backgroundColor: foreground,
        borderDash: [10, 4],
        pointStyle: 'line',
      },
    ];
  }
}
