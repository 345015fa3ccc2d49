// What explains a heatmap: the scale of its colours, and the marks on its cells.
import { type SharedStrings } from '../../src/page/strings';
import { scaleColor, type Theme } from '../shared/theme';
import { element } from '../shared/ui';
import { type Key, type Shown } from './source';

export function scaleLegend({ name, definition, scale, range, text }: Shown, theme: Theme): HTMLElement {
  const stops = Array.from({ length: 17 }, (_, i) => scaleColor(scale, i / 16, theme));
  const bar = element('div', { class: 'scale-bar' });
  bar.style.background = `linear-gradient(to right, ${stops.join(', ')})`;
  const [low, high] = range;
  const ends = [low, (low + high) / 2, high].map((value) => element('span', {}, text(value)));
  return element(
    'div',
    { class: 'scale' },
    element('span', { class: 'scale-name', title: definition }, name),
    bar,
    element('div', { class: 'scale-ends' }, ...ends),
  );
}

/** What the marks on the cells mean. */
export function keysLegend(keys: readonly Key[], { legend }: SharedStrings): HTMLElement {
  const parts = keys.map((key) =>
    element('span', { class: 'key' }, element('span', { class: `swatch ${key}` }), legend[key]),
  );
  return element('div', { class: 'keys' }, ...parts);
}
