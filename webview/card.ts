// The card beside a cell or a row: every number of one module, each with its definition.
import { type PageStrings } from '../src/host/editor/strings';
import { numbersOf } from './measures';
import { type PageState } from './state';
import { element, show } from './ui';

export const MARGIN = 8;

export interface Size {
  width: number;
  height: number;
}

export class Card {
  readonly root = element('div', { class: 'card', role: 'tooltip', hidden: true });

  showText(title: string, text: string, anchor: DOMRect): void {
    this.place(anchor, [element('strong', {}, title), element('div', { class: 'definition' }, text)]);
  }

  hide(): void {
    show(this.root, false);
  }

  get visible(): boolean {
    return !this.root.hidden;
  }

  /** Beside the anchor, always within the window. */
  protected place(anchor: DOMRect, content: Node[]): void {
    this.root.replaceChildren(...content);
    show(this.root, true);
    const { offsetWidth: width, offsetHeight: height } = this.root;
    const { left, top } = this.corner(anchor, { width, height });
    this.root.style.left = `${Math.max(MARGIN, Math.min(left, innerWidth - width - MARGIN))}px`;
    this.root.style.top = `${Math.max(MARGIN, Math.min(top, innerHeight - height - MARGIN))}px`;
  }

  /** Right of the anchor if there is room, else left of it. */
  protected corner(anchor: DOMRect, { width }: Size): { left: number; top: number } {
    const right = anchor.right + MARGIN;
    return { left: right + width <= innerWidth ? right : anchor.left - width - MARGIN, top: anchor.top };
  }
}

export class ModuleCard extends Card {
  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    super();
  }

  showModule(module: number, anchor: DOMRect): void {
    const { name, shape, rank, selectable } = this.state.document!.modules[module]!;
    const marks = [
      this.state.selected.has(module) && this.strings.legend.selected,
      this.state.isProjected(module) && this.strings.projectedMark,
      !selectable && this.strings.originalGone,
    ].filter((mark) => mark !== false);
    const numbers = numbersOf(this.state, module, this.strings).flatMap(({ label, text, definition }) => [
      element('dt', {}, label),
      element(
        'dd',
        {},
        element('span', { class: 'number' }, text),
        element('span', { class: 'definition' }, definition),
      ),
    ]);
    this.place(anchor, [
      element('strong', {}, name),
      element('div', { class: 'definition' }, [`[${shape.join(' × ')}], r = ${rank}`, ...marks].join(' · ')),
      element('dl', {}, ...numbers),
    ]);
  }
}
