// The mark and the colour of each figure, everywhere the same.
import { type Measure } from '../../src/evaluation/figures';
import { type Theme } from '../shared/theme';

interface FigureLook {
  sign: string;
  pointStyle: 'circle' | 'rect' | 'triangle';
  radius: number;
  /** Of the theme's line colours. */
  color: number;
}

export const figureLooks: Readonly<Record<Measure, FigureLook>> = {
  asr: { sign: '●', pointStyle: 'circle', radius: 5, color: 1 },
  overRefusal: { sign: '■', pointStyle: 'rect', radius: 6, color: 0 },
  utility: { sign: '▲', pointStyle: 'triangle', radius: 6, color: 2 },
};

export function figureColor(measure: Measure, { lines }: Theme): string {
  return lines[figureLooks[measure].color]!;
}
