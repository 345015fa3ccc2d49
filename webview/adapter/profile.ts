// The chosen measure by depth: one line per kind, with the chance level and the threshold if they apply.
import { Chart, type ChartDataset } from 'chart.js';
import { levelOf } from '../../src/core/rules';
import { type PageStrings } from '../../src/page/adapter-strings';
import { measures } from '../shared/measures';
import { type PageState } from './state';
import { readTheme } from '../shared/theme';
import { chartLabel, element, format, setLabel, show } from '../shared/ui';

type Line = ChartDataset<'line', { x: number; y: number }[]>;

// Each line also has its own dash and point style.
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
const POINTS = ['circle', 'rect', 'triangle', 'rectRot', 'star', 'cross', 'crossRot'] as const;

export class Profile {
  readonly root: HTMLElement;
  private readonly canvas = element('canvas', { role: 'img' });
  /** The kind whose line is pointed at. */
  private pointed: string | null = null;
  private chart: Chart<'line', { x: number; y: number }[]> | undefined;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    this.root = element(
      'section',
      { class: 'profile' },
      element('h2', {}, strings.profile),
      element('div', { class: 'profile-box' }, this.canvas),
    );
  }

  /** A single layer has no depth. */
  update(): void {
    const layers = new Set(this.state.document?.modules.flatMap(({ layer }) => (layer === null ? [] : [layer])));
    show(this.root, layers.size > 1);
    if (layers.size > 1) this.draw(Math.min(...layers), Math.max(...layers));
  }

  private draw(first: number, last: number): void {
    const theme = readTheme();
    const measure = this.strings.measures[this.state.measure];
    setLabel(this.canvas, format(this.strings.profileLabel, measure));
    this.chart ??= new Chart(this.canvas, {
      type: 'line',
      data: { datasets: [] },
      options: {
        clip: false,
        interaction: { mode: 'nearest', intersect: false },
        scales: { x: { type: 'linear', ticks: { precision: 0 } }, y: {} },
        onHover: (_, [nearest], { data }) => {
          this.point(nearest ? (data.datasets[nearest.datasetIndex]?.label ?? null) : null);
        },
        plugins: {
          legend: {
            position: 'bottom',
            labels: { usePointStyle: true, boxHeight: 6, padding: 12 },
            onHover: (_, { text }) => {
              this.point(text);
            },
            onLeave: () => {
              this.point(null);
            },
          },
        },
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
    Object.assign(options.scales!.x!, { min: first, max: last });
    options.plugins!.legend!.labels!.color = theme.foreground;
    this.chart.data.datasets = [...this.levels(theme.foreground), ...this.kindLines(theme.lines)];
    this.emphasise();
    this.chart.update('none');
  }

  /** Highlights one line. */
  private point(label: string | null): void {
    if (label === this.pointed) return;
    this.pointed = label;
    this.emphasise();
    this.chart?.update('none');
  }

  private emphasise(): void {
    const lines = this.chart?.data.datasets as Line[] | undefined;
    const isThere = lines?.some(({ label }) => label === this.pointed);
    for (const line of lines ?? []) {
      const isBack = isThere && line.label !== this.pointed;
      line.borderColor = isBack ? faded(line.backgroundColor as string) : line.backgroundColor;
      line.borderWidth = line.label === this.pointed ? 3 : 1.5;
    }
  }

  /** Only the threshold changed. */
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
      label: kind,
      data: [...layers].flatMap(([layer, modules]) => {
        const values = modules
          .map((module) => measure.value(this.state.shown, module))
          .filter((value) => !Number.isNaN(value));
        return values.length === 0 ? [] : [{ x: layer, y: Math.min(...values) }];
      }),
      backgroundColor: colors[index % colors.length]!,
      borderDash: DASHES[index % DASHES.length]!,
      pointStyle: POINTS[index % POINTS.length]!,
      pointRadius: layers.size > 40 ? 0 : 3,
    }));
  }

  private byKind(): Map<string, Map<number, number[]>> {
    const kinds = new Map<string, Map<number, number[]>>();
    const modules = this.state.document?.modules ?? [];
    const stacked = new Set(modules.map(({ stack }) => stack)).size > 1;
    modules.forEach(({ stack, kind, layer }, index) => {
      if (layer === null) return;
      const own = chartLabel(kind);
      const label = stacked ? `${chartLabel(stack ?? this.strings.mainStack)} ${own}` : own;
      const layers = kinds.get(label) ?? new Map<number, number[]>();
      layers.set(layer, [...(layers.get(layer) ?? []), index]);
      kinds.set(label, layers);
    });
    return kinds;
  }

  private levels(color: string): Line[] {
    if (this.state.measure !== 'similarity') return [];
    const modules = this.state.document?.modules ?? [];
    const layers = new Map<number, number[]>();
    modules.forEach(({ layer }, index) => {
      const value = this.state.shown.value(index, 'nullSimilarity');
      if (layer !== null && !Number.isNaN(value)) layers.set(layer, [...(layers.get(layer) ?? []), value]);
    });
    const level = { pointRadius: 0, fill: false };
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const nullLine: Line = {
      ...level,
      label: this.strings.nullLevel,
      data: [...layers].sort(([a], [b]) => a - b).map(([x, values]) => ({ x, y: mean(values) })),
      backgroundColor: color,
      borderDash: [2, 4],
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
        backgroundColor: color,
        borderDash: [12, 4],
        pointStyle: 'line',
      },
    ];
  }
}

/** The same colour at a quarter of its opacity. */
function faded(color: string): string {
  return `color-mix(in srgb, ${color} 25%, transparent)`;
}
