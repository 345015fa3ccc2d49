// The marks painted over a cell's colour: none relies on it.
import { type Theme } from '../shared/theme';
import { paintText } from '../shared/ui';

/** A cell on the canvas, in CSS pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** In a smaller cell, signs would hide the colour. */
const SIGN_ROOM = { width: 30, height: 11 };

export function outline(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  paint.strokeStyle = theme.grid;
  paint.lineWidth = 1;
  paint.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
}

/** Around the focused or pointed-at cell. */
export function frame(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, theme: Theme): void {
  paint.strokeStyle = theme.focus;
  paint.lineWidth = 2;
  paint.strokeRect(x - 2, y - 2, width + 4, height + 4);
}

/** An "about equal" sign at the left, in a small cell a dash: the value is at chance level. */
export function markNearNull(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, ink: string): void {
  paint.fillStyle = ink;
  if (width < SIGN_ROOM.width || height < SIGN_ROOM.height) {
    paint.fillRect(x + 2, y + height / 2 - 1, Math.min(5, width / 4), 2);
    return;
  }
  paint.font = `${Math.min(13, height)}px sans-serif`;
  paint.textAlign = 'left';
  paint.textBaseline = 'middle';
  paintText(paint, '≈', x + 4, y + height / 2);
}

/** An arrow at the right: the cell opens. */
export function markOpens(paint: CanvasRenderingContext2D, { x, y, width, height }: Box, ink: string): void {
  if (width < SIGN_ROOM.width) return;
  const reach = Math.min(4, height / 3);
  const [right, middle] = [x + width - 5, y + height / 2];
  paint.beginPath();
  paint.moveTo(right - reach, middle - reach);
  paint.lineTo(right, middle);
  paint.lineTo(right - reach, middle + reach);
  paint.strokeStyle = ink;
  paint.lineWidth = 1;
  paint.stroke();
}

/**
 * A dot; for several modules filled by their selected share, with its outline.
 * @param share above 0, up to 1
 */
export function markSelected(
  paint: CanvasRenderingContext2D,
  { x, y, width, height }: Box,
  ink: string,
  share: number,
): void {
  const radius = Math.min(4, height / 3);
  const [left, top] = [x + width / 2, y + height / 2];
  paint.fillStyle = ink;
  paint.beginPath();
  paint.moveTo(left, top);
  paint.arc(left, top, radius, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * share);
  paint.fill();
  if (share === 1) return;
  paint.strokeStyle = ink;
  paint.lineWidth = 1;
  paint.beginPath();
  paint.arc(left, top, radius, 0, 2 * Math.PI);
  paint.stroke();
}

/** A corner, whatever is below it, also before measuring. */
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
