// The measures that can be shown, each with its scale, its text and its definition.
import { decimal, signed } from '../src/core/text';
import { type PageStrings } from '../src/host/editor/strings';
import { type PageState } from './state';
import { type Scale } from './theme';

export const measureIds = ['similarity', 'aboveNull', 'direction', 'gain', 'updateNorm'] as const;
export type MeasureId = (typeof measureIds)[number];

export interface Measure {
  scale: Scale;
  value: (state: PageState, module: number) => number;
  /** The ends of the scale for these values. */
  range: (values: readonly number[]) => [number, number];
  text: (value: number) => string;
}

/** Three significant digits, whatever the magnitude. */
export function magnitude(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value === 0 || (value >= 0.001 && value < 1000) ? value.toPrecision(3) : value.toExponential(2);
}

const symmetric = (values: readonly number[]): [number, number] => {
  const end = niceAbove(Math.max(...values.map(Math.abs), 0.01));
  return [-end, end];
};
const fromZero = (values: readonly number[]): [number, number] => [0, niceAbove(Math.max(...values, 0))];

export const measures: Readonly<Record<MeasureId, Measure>> = {
  similarity: {
    scale: 'sequential',
    value: (state, module) => state.value(module, 'similarity'),
    range: () => [0, 1],
    text: decimal,
  },
  aboveNull: {
    scale: 'diverging',
    value: (state, module) => state.value(module, 'similarity') - state.value(module, 'nullSimilarity'),
    range: symmetric,
    text: signed,
  },
  direction: {
    scale: 'diverging',
    value: (state, module) => state.value(module, 'direction'),
    range: symmetric,
    text: signed,
  },
  gain: { scale: 'sequential', value: (state, module) => state.value(module, 'gain'), range: fromZero, text: decimal },
  updateNorm: {
    scale: 'sequential',
    value: (state, module) => state.value(module, 'updateNorm'),
    range: fromZero,
    text: magnitude,
  },
};

export function placeOn([low, high]: readonly [number, number], value: number): number {
  return high === low ? 0.5 : (value - low) / (high - low);
}

/** The similarity lies where a random update's would: within two standard errors of the null level. */
export function isNearNull(state: PageState, module: number): boolean {
  const distance = Math.abs(state.value(module, 'similarity') - state.value(module, 'nullSimilarity'));
  return distance <= 2 * state.value(module, 'nullSpread');
}

/** Every number of a module with its definition, as the tooltip and the details show them. */
export function numbersOf(
  state: PageState,
  module: number,
  strings: PageStrings,
): { label: string; text: string; definition: string }[] {
  const { names, definitions } = strings;
  const value = (column: Parameters<PageState['value']>[1]): number => state.value(module, column);
  const nullText = Number.isNaN(value('nullSimilarity'))
    ? '–'
    : `${decimal(value('nullSimilarity'))} ± ${decimal(value('nullSpread'))}`;
  return [
    { label: names.similarity, text: decimal(value('similarity')), definition: definitions.similarity },
    { label: names.nullSimilarity, text: nullText, definition: definitions.nullSimilarity },
    { label: names.direction, text: signed(value('direction')), definition: definitions.direction },
    { label: names.gain, text: decimal(value('gain')), definition: definitions.gain },
    { label: names.updateNorm, text: magnitude(value('updateNorm')), definition: definitions.updateNorm },
    { label: names.alignmentNorm, text: magnitude(value('alignmentNorm')), definition: definitions.alignmentNorm },
    {
      label: names.participationRatio,
      text: `≈ ${magnitude(value('participationRatio'))}`,
      definition: definitions.participationRatio,
    },
  ];
}

/** The next of 1, 2, 5 times a power of ten. */
function niceAbove(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((candidate) => candidate * power >= value * (1 - 1e-12))!;
  return step * power;
}
