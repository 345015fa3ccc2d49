// The tooltip beside what is pointed at, always within the window.
import { element, show } from './ui';

export const MARGIN = 8;

export interface Size {
  width: number;
  height: number;
}

export class Tooltip {
  readonly root = element('div', { class: 'tooltip', role: 'tooltip', hidden: true });

  showText(title: string, text: string, anchor: DOMRect): void {
    this.showBeside(anchor, [element('strong', {}, title), element('div', { class: 'definition' }, text)]);
  }

  hide(): void {
    show(this.root, false);
  }

  get visible(): boolean {
    return !this.root.hidden;
  }

  /** Beside the anchor, always within the window. */
  protected showBeside(anchor: DOMRect, content: Node[]): void {
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
