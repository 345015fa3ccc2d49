// The marks that are painted over a cell's colour: none of them relies on it.
import { type Theme } from '../shared/theme';

/** A cell on the canvas, in CSS pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Below this a full mark would hide the colour. */
const SMALL_CELL = 14;

export function outline(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  paint.strokeStyle = theme.grid;
  paint.lineWidth = 1;
  paint.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
}

/** Around the cell that has the focus or is pointed at. */
export function frame(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  paint.strokeStyle = theme.focus;
  paint.lineWidth = 2;
  paint.strokeRect(x - 2, y - 2, width + 4, height + 4);
}

export function hatch(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, ink: string): void {
  paint.save();
  paint.beginPath();
  paint.rect(x, y, width, height);
  paint.clip();
  paint.strokeStyle = ink;
  paint.globalAlpha = 0.45;
  paint.lineWidth = 1;
  paint.beginPath();
  for (let offset = -height; offset < width; offset += 6) {
    paint.moveTo(x + offset, y + height);
    paint.lineTo(x + offset + height, y);
  }
  paint.stroke();
  paint.restore();
}

/** A double frame and a dot, a single one where the cell is small: neither relies on the colour beneath. */
export function markSelected(
  paint: CanvasRenderingContext2D,
  { x, y, width, height }: Box,
  theme: Theme,
  ink: string,
): void {
  const small = height < SMALL_CELL;
  paint.strokeStyle = theme.mark;
  paint.lineWidth = small ? 1 : 2;
  paint.strokeRect(x, y, width, height);
  if (!small) {
    paint.strokeStyle = ink;
    paint.lineWidth = 1;
    paint.strokeRect(x + 1.5, y + 1.5, width - 3, height - 3);
  }
  const radius = Math.min(4, height / 4);
  paint.beginPath();
  paint.arc(x + width / 2, y + height / 2, radius, 0, 2 * Math.PI);
  paint.fillStyle = ink;
  paint.fill();
}

/** A corner, whatever lies beneath, also before anything is measured. */
export function markProjected(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  const size = Math.min(9, height / 2);
  paint.beginPath();
  paint.moveTo(x + width - size, y);
  paint.lineTo(x + width, y);
  paint.lineTo(x + width, y + size);
  paint.closePath();
  paint.fillStyle = theme.mark;
  paint.fill();
}
