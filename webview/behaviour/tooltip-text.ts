// The lines of a point's tooltip.
import { type Measure } from '../../src/evaluation/figures';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type CurvePoint } from './curve';
import { format } from '../shared/ui';
import { countedText, figureText, qualityText } from './texts';

export function tooltipLines(measure: Measure, point: CurvePoint, strings: PageStrings): string[] {
  const { corrected } = point;
  const figure = point[measure];
  const { figures, point: texts } = strings.behaviour;
  return [
    `${figures[measure]} ${figureText(figure)}`,
    figure ? countedText(figure, strings) : '',
    qualityText(point, strings),
    corrected === 0 ? '' : corrected === 1 ? texts.correctedOne : format(texts.corrected, corrected),
  ].filter(Boolean);
}
