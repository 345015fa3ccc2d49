// The legend of a heatmap: its colour scale, and the marks on its cells.
import { type SharedStrings } from '../../src/page/strings';
import { fractionOf } from '../shared/measures';
import { scaleColor, type Theme } from '../shared/theme';
import { element } from '../shared/ui';
import { type Key, type Level, type Shown } from './source';

/** Levels closer than this cannot both have labels. */
const LABEL_SHARE = 0.16;

export function scaleLegend(shown: Shown, theme: Theme): HTMLElement {
  const { name, definition, scale, range, ends, levels, text } = shown;
  const stops = Array.from({ length: 17 }, (_, i) => scaleColor(scale, i / 16, theme));
  const bar = element('div', { class: 'scale-bar' });
  bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
  const [low, high] = range.map((value) => element('span', { class: 'number' }, text(value)));
  return element(
    'div',
    { class: 'scale' },
    element('span', { class: 'scale-name', title: definition }, name),
    element('div', { class: 'scale-levels' }, ...levelMarks(levels ?? [], shown)),
    bar,
    element(
      'div',
      { class: 'scale-ends' },
      element('span', {}, low, ` ${ends[0]}`),
      element('span', {}, `${ends[1]} `, high),
    ),
  );
}

/** Those within the scale, with their labels unless these overlap. */
function levelMarks(levels: readonly Level[], { range }: Shown): HTMLElement[] {
  let lastLabel = -1;
  return levels
    .map(({ value, label }) => ({ label, at: fractionOf(range, value) }))
    .filter(({ at }) => at >= 0 && at <= 1)
    .sort((a, b) => a.at - b.at)
    .map(({ label, at }) => {
      const isFree = lastLabel < 0 || at - lastLabel >= LABEL_SHARE;
      if (isFree) lastLabel = at;
      const mark = element('span', { class: 'scale-level', title: label }, isFree ? label : '');
      mark.style.left = `${100 * at}%`;
      return mark;
    });
}

/** The meaning of the marks on the cells. */
export function keysLegend(keys: readonly Key[], { legend }: SharedStrings): HTMLElement {
  const parts = keys.map((key) =>
    element('span', { class: 'key' }, element('span', { class: `swatch ${key}` }), legend[key]),
  );
  return element('div', { class: 'keys' }, ...parts);
}

/** The same in a line, for a file. */
export function marksLine({ legend }: SharedStrings): string {
  return `● ${legend.selected}   ◥ ${legend.projected}   ≈ ${legend.nearNull}`;
}
