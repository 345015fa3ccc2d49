// What every chart of a page has in common: its kinds, and that it fills its box without moving.
import {
  CategoryScale,
  Chart,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from 'chart.js';
import { MatrixController, MatrixElement } from 'chartjs-chart-matrix';

Chart.register(
  CategoryScale,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  MatrixController,
  MatrixElement,
  PointElement,
  Tooltip,
);

/** Call it before the first chart. */
export function setUpCharts(): void {
  const { defaults } = Chart;
  defaults.font.family = getComputedStyle(document.body).fontFamily;
  defaults.animation = false;
  defaults.maintainAspectRatio = false;
}

/** A pointer where a click on a chart does something. */
export function pointsAt(hits: readonly unknown[], canvas: HTMLCanvasElement): void {
  canvas.style.cursor = hits.length > 0 ? 'pointer' : '';
}
