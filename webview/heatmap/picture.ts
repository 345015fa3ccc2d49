// The picture of a heatmap for a file: all its blocks with their names, the scale, and the legend of the marks.
import { type SharedStrings } from '../../src/page/strings';
import { scaleColor, type Theme } from '../shared/theme';
import { element, paintText } from '../shared/ui';
import { type BlockChart, type Look } from './block-chart';
import { marksLine } from './legend';
import { type Shown } from './source';

/** Picture pixels per page pixel. */
const RATIO = 2;
const MARGIN = 20;
const TOP = 56;

/** @returns a PNG */
export async function pictureOf(
  title: string,
  drawn: readonly BlockChart[],
  { shown, theme }: Look,
  strings: SharedStrings,
): Promise<Uint8Array> {
  for (const block of drawn) block.sharpen(RATIO);
  const boxes = drawn.map(({ canvas }) => ({ canvas, width: canvas.clientWidth, height: canvas.clientHeight }));
  const width = boxes.reduce((sum, box) => sum + box.width + MARGIN, MARGIN);
  const height = TOP + Math.max(...boxes.map((box) => box.height)) + 84;
  const target = element('canvas', { width: Math.max(width, 420) * RATIO, height: height * RATIO });
  const paint = target.getContext('2d')!;
  paint.scale(RATIO, RATIO);
  paint.fillStyle = theme.background;
  paint.fillRect(0, 0, target.width, target.height);
  paint.fillStyle = theme.foreground;
  paint.font = '600 14px sans-serif';
  paintText(paint, title, MARGIN, 24);
  paint.font = '12px sans-serif';
  paintText(paint, shown.name, MARGIN, 44);
  let left = MARGIN;
  for (const box of boxes) {
    paint.drawImage(box.canvas, left, TOP, box.width, box.height);
    left += box.width + MARGIN;
  }
  for (const block of drawn) block.sharpen(undefined);
  paintScale(paint, shown, theme, MARGIN, height - 44, 380);
  paint.textAlign = 'left';
  paintText(paint, marksLine(strings), MARGIN, height - 52);
  const blob = await new Promise<Blob | null>((resolve) => {
    target.toBlob(resolve, 'image/png');
  });
  return new Uint8Array(await blob!.arrayBuffer());
}

function paintScale(
  paint: CanvasRenderingContext2D,
  { scale, range, ends, text }: Shown,
  theme: Theme,
  x: number,
  y: number,
  width: number,
): void {
  for (let i = 0; i < width; i++) {
    paint.fillStyle = scaleColor(scale, i / (width - 1), theme);
    paint.fillRect(x + i, y, 1.5, 10);
  }
  paint.fillStyle = theme.foreground;
  const [low, high] = range;
  paintText(paint, `${text(low)} ${ends[0]}`, x, y + 26);
  paint.textAlign = 'right';
  paintText(paint, `${ends[1]} ${text(high)}`, x + width, y + 26);
}
