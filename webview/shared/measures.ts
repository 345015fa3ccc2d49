// The measures to show, each with its scale, its text and its definition.
import { type MeasureName } from '../../src/core/measure-names';
import { decimal, localised, percent, signed, UNDEFINED } from '../../src/core/text';

/** One adapter's numbers by module; NaN if not measured or undefined. */
export interface Numbers {
  value(module: number, column: MeasureName): number;
}

export type Scale = 'sequential' | 'diverging';
/** The ends of a scale. */
export type Range = readonly [number, number];

export const measureIds = ['similarity', 'aboveNull', 'direction', 'gain', 'updateNorm'] as const;
export type MeasureId = (typeof measureIds)[number];

export interface Measure {
  scale: Scale;
  value: (numbers: Numbers, module: number) => number;
  range: (values: readonly number[]) => Range;
  text: (value: number) => string;
  /** For the difference between two adapters, on a diverging scale. */
  difference: { range: (values: readonly number[]) => Range; text: (value: number) => string };
}

/** Three significant digits, whatever the magnitude. */
export function magnitude(value: number): string {
  if (Number.isNaN(value)) return UNDEFINED;
  return value === 0 || (value >= 0.001 && value < 1000)
    ? localised(value.toPrecision(3))
    : localised(value.toExponential(2));
}

function withSign(value: number, text: (value: number) => string): string {
  return `${value < 0 ? '−' : value > 0 ? '+' : ''}${text(Math.abs(value))}`;
}

/** @param least the smallest end, below which the numbers show no difference */
const symmetricFrom =
  (least: number) =>
  (values: readonly number[]): Range => {
    const end = niceAbove(Math.max(...values.map(Math.abs), least));
    return [-end, end];
  };
const symmetric = symmetricFrom(0.01);
const fromZero = (values: readonly number[]): Range => [0, niceAbove(Math.max(...values, 0))];
/** The step to which the ends of a fitted scale are rounded. */
const FIT_STEP = 0.05;
/** The range of the values, within 0 to 1; at least two steps, below which equal values would look different. */
const fitted = (values: readonly number[]): Range => {
  if (values.length === 0) return [0, 1];
  const low = Math.max(0, Math.floor(Math.min(...values) / FIT_STEP) * FIT_STEP);
  const high = Math.min(1, Math.ceil(Math.max(...values) / FIT_STEP) * FIT_STEP);
  if (high - low >= 2 * FIT_STEP) return [low, high];
  return high === 1 ? [1 - 2 * FIT_STEP, 1] : [low, low + 2 * FIT_STEP];
};
const decimals = { range: symmetric, text: signed };

export const measures: Readonly<Record<MeasureId, Measure>> = {
  similarity: {
    scale: 'sequential',
    value: (numbers, module) => numbers.value(module, 'similarity'),
    range: fitted,
    text: decimal,
    difference: decimals,
  },
  aboveNull: {
    scale: 'diverging',
    value: (numbers, module) => numbers.value(module, 'similarity') - numbers.value(module, 'nullSimilarity'),
    range: symmetric,
    text: signed,
    difference: decimals,
  },
  direction: {
    scale: 'diverging',
    value: (numbers, module) => numbers.value(module, 'direction'),
    range: symmetric,
    text: signed,
    difference: decimals,
  },
  gain: {
    scale: 'sequential',
    value: (numbers, module) => numbers.value(module, 'gain'),
    range: fromZero,
    text: percent,
    difference: { range: symmetric, text: (value) => withSign(value, percent) },
  },
  updateNorm: {
    scale: 'sequential',
    value: (numbers, module) => numbers.value(module, 'updateNorm'),
    range: fromZero,
    text: magnitude,
    difference: { range: symmetricFrom(0), text: (value) => withSign(value, magnitude) },
  },
};

export function fractionOf([low, high]: Range, value: number): number {
  return high === low ? 0.5 : (value - low) / (high - low);
}

/** Of the defined values, NaN if there are none. */
export function lowest(values: readonly number[]): number {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? NaN : Math.min(...known);
}

/** The defined value farthest from zero, NaN if there is none. */
export function furthest(values: readonly number[]): number {
  return values.reduce((far, value) => (Math.abs(value) > Math.abs(far) || Number.isNaN(far) ? value : far), NaN);
}

/** The similarity is at chance level: at most two standard errors above the null level. */
export function isNearNull(numbers: Numbers, module: number): boolean {
  const distance = numbers.value(module, 'similarity') - numbers.value(module, 'nullSimilarity');
  return distance <= 2 * numbers.value(module, 'nullSpread');
}

/** The next of 1, 2, 5 times a power of ten. */
function niceAbove(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((candidate) => candidate * power >= value * (1 - 1e-12))!;
  return step * power;
}
