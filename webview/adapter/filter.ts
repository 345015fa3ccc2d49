// Filters modules: by a part of the name or an expression between slashes, and by ranges of layers.
import { type ModuleView } from '../../src/page/adapter';

type Matches = (module: Pick<ModuleView, 'name' | 'layer'>) => boolean;

/** @returns null if the expression is invalid */
export function nameFilter(text: string): Matches | null {
  const wanted = text.trim();
  const expression = /^\/(.*)\/$/.exec(wanted)?.[1];
  if (expression === undefined) return ({ name }) => name.toLowerCase().includes(wanted.toLowerCase());
  try {
    const pattern = new RegExp(expression, 'i');
    return ({ name }) => pattern.test(name);
  } catch {
    return null;
  }
}

/**
 * @param text layers and ranges of them, such as "0-7, 12"; empty means all modules
 * @returns null if it is invalid
 */
export function layerFilter(text: string): Matches | null {
  const wanted = text.trim();
  if (wanted === '') return () => true;
  const ranges = wanted.split(',').map((part) => /^\s*(\d{1,6})(?:\s*[-–]\s*(\d{1,6}))?\s*$/.exec(part));
  if (ranges.some((range) => range === null)) return null;
  const bounds = ranges.map((range) => [Number(range![1]), Number(range![2] ?? range![1])] as const);
  return ({ layer }) => layer !== null && bounds.some(([first, last]) => layer >= first && layer <= last);
}
