// HTML and SVG as text. All text from files is escaped on input.
import { visible } from '../core/text';

/** Markup that is already safe. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | string | number | null | readonly (Markup | string)[];

/** A template that escapes its values unless they are markup; null becomes nothing. */
export function html(strings: TemplateStringsArray, ...values: Part[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + (i === 0 ? '' : textOf(values[i - 1]!)) + part, ''));
}

function textOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(textOf).join('');
  return visible(String(part)).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
