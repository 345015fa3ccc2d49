// The effect of each threshold: how many modules it selects, and how much of the whole update their projection keeps.
import { Chart, type ChartDataset, type ScaleOptionsByType } from 'chart.js';
import { levelOf } from '../../src/core/rules';
import { percent } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { readTheme, type Theme } from '../shared/theme';
import { element, setLabel, show } from '../shared/ui';
import { type PageState } from './state';

type Line = ChartDataset<'line', { x: number; y: number }[]>;

export class Sweep {
  readonly root: HTMLElement;
  private readonly canvas = element('canvas', { role: 'img' });
  private chart: Chart<'line', { x: number; y: number }[]> | undefined;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    setLabel(this.canvas, strings.sweep.label);
    this.root = element(
      'section',
      { class: 'sweep' },
      element('h2', {}, strings.sweep.title),
      element('div', { class: 'sweep-box' }, this.canvas),
    );
  }

  /** The values or the theme changed. */
  update(): void {
    show(this.root, this.state.hasNumbers);
    if (!this.state.hasNumbers) return;
    const theme = readTheme();
    const { counts, kept } = this.curves();
    this.chart ??= new Chart(this.canvas, {
      type: 'line',
      data: { datasets: [] },
      options: {
        interaction: { mode: 'nearest', axis: 'x', intersect: false },
        scales: {
          x: { type: 'linear' },
          count: { type: 'linear', position: 'left', min: 0, ticks: { precision: 0 } },
          kept: {
            type: 'linear',
            position: 'right',
            min: 0,
            suggestedMax: 1,
            grid: { display: false },
            ticks: { callback: (value) => percent(Number(value)) },
          },
        },
        plugins: {
          legend: { position: 'bottom', labels: { usePointStyle: true, boxHeight: 6, padding: 12 } },
          tooltip: { callbacks: { label: ({ dataset, parsed }) => this.tip(dataset as Line, parsed.y) } },
        },
      },
    });
    this.colour(theme);
    const line = { pointRadius: 0, borderWidth: 2, stepped: true } as const;
    const [first, second] = theme.lines;
    this.chart.data.datasets = [
      { ...line, label: this.strings.sweep.count, yAxisID: 'count', data: counts, borderColor: first, backgroundColor: first, pointStyle: 'line' },
      { ...line, label: this.strings.sweep.kept, yAxisID: 'kept', data: kept, borderColor: second, backgroundColor: second, borderDash: [6, 3], pointStyle: 'line' },
      ...this.level(theme, counts),
    ]; // prettier-ignore
    this.chart.update('none');
  }

  /** Only the threshold changed. */
  moveThreshold(): void {
    const level = levelOf(this.state.draft);
    const line = this.chart?.data.datasets.find(({ label }) => label === this.strings.sweep.threshold);
    if (!line || level === null) {
      this.update();
      return;
    }
    for (const point of line.data) point.x = level;
    this.chart!.update('none');
  }

  /** From none to all, lowest similarity first; modules without originals stay unchanged. */
  private curves(): { counts: { x: number; y: number }[]; kept: { x: number; y: number }[] } {
    const { modules } = this.state.document!;
    const size = (module: number): number => this.state.value(module, 'updateNorm') * Math.abs(modules[module]!.scale);
    const measured = modules.map((_, module) => module).filter((module) => !Number.isNaN(size(module)));
    const ordered = measured
      .filter((module) => modules[module]!.selectable && !Number.isNaN(this.state.value(module, 'similarity')))
      .sort((a, b) => this.state.value(a, 'similarity') - this.state.value(b, 'similarity'));
    const whole = measured.reduce((sum, module) => sum + size(module) ** 2, 0);
    let left = whole;
    const counts = [{ x: 0, y: 0 }];
    const kept = [{ x: 0, y: 1 }];
    ordered.forEach((module, i) => {
      left -= (1 - this.state.value(module, 'gain') ** 2) * size(module) ** 2;
      const x = this.state.value(module, 'similarity');
      counts.push({ x, y: i + 1 });
      kept.push({ x, y: whole > 0 ? Math.sqrt(Math.max(0, left) / whole) : 0 });
    });
    return { counts: [...counts, { x: 1, y: ordered.length }], kept: [...kept, { x: 1, y: kept.at(-1)!.y }] };
  }

  private level(theme: Theme, counts: readonly { y: number }[]): Line[] {
    const level = levelOf(this.state.draft);
    if (level === null) return [];
    const data = [0, counts.at(-1)!.y].map((y) => ({ x: level, y }));
    const { threshold } = this.strings.sweep;
    return [
      { label: threshold, yAxisID: 'count', data, pointRadius: 0, borderWidth: 1.5, borderDash: [3, 3], borderColor: theme.foreground, backgroundColor: theme.foreground, pointStyle: 'line' },
    ]; // prettier-ignore
  }

  private tip({ label, yAxisID }: Line, value: number | null): string {
    return `${label ?? ''}: ${yAxisID === 'kept' ? percent(value) : String(value)}`;
  }

  private colour({ foreground, grid, highContrast }: Theme): void {
    const { sweep } = this.strings;
    const titles = { x: this.strings.byThreshold, count: sweep.count, kept: null };
    for (const [axis, text] of Object.entries(titles)) {
      const scale = this.chart!.options.scales![axis] as ScaleOptionsByType<'linear'>;
      Object.assign(scale.ticks, { color: foreground });
      if (axis !== 'kept') Object.assign(scale, { grid: { color: grid, display: !highContrast } });
      Object.assign(scale, {
        border: { color: grid },
        title: { display: text !== null, text: text ?? '', color: foreground },
      });
    }
    this.chart!.options.plugins!.legend!.labels!.color = foreground;
  }
}
