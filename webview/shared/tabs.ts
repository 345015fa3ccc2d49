// A strip of tabs over one panel, which shows the content of the selected one. Arrow keys move between them.
import { element } from './ui';

export interface Tab<Id extends string> {
  id: Id;
  label: string;
}

export class Tabs<Id extends string> {
  readonly root: HTMLElement;
  private readonly buttons: ReadonlyMap<Id, HTMLButtonElement>;

  /** @param panel named by the selected tab */
  constructor(
    label: string,
    tabs: readonly Tab<Id>[],
    private readonly panel: HTMLElement,
    private readonly onSelect: (id: Id) => void,
  ) {
    this.buttons = new Map(tabs.map((tab) => [tab.id, this.makeTab(tab)]));
    this.root = element('div', { class: 'tabs', role: 'tablist', 'aria-label': label }, ...this.buttons.values());
    this.root.addEventListener('keydown', (event) => {
      if (this.move(event.key)) event.preventDefault();
    });
    panel.setAttribute('role', 'tabpanel');
  }

  select(id: Id): void {
    for (const [other, tab] of this.buttons) {
      tab.setAttribute('aria-selected', String(other === id));
      tab.tabIndex = other === id ? 0 : -1;
    }
    this.panel.setAttribute('aria-labelledby', this.buttons.get(id)!.id);
  }

  private makeTab({ id, label }: Tab<Id>): HTMLButtonElement {
    const tab = element(
      'button',
      { type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': this.panel.id },
      label,
    );
    tab.addEventListener('click', () => {
      this.onSelect(id);
    });
    return tab;
  }

  private move(key: string): boolean {
    const tabs = [...this.buttons.values()];
    const at = tabs.indexOf(document.activeElement as HTMLButtonElement);
    const steps: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 };
    const next = steps[key];
    if (next === undefined || at < 0) return false;
    const tab = tabs.at(next % tabs.length)!;
    tab.focus();
    tab.click();
    return true;
  }
}
