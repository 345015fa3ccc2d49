// An adapter's tab as its user sees it: the finding, the table, the heatmap's data, the controls.
import assert from 'node:assert/strict';
import type { FrameLocator, Locator } from 'playwright-core';
import { type Workbench } from './workbench';

export interface Row {
  name: string;
  similarity: number;
  selected: boolean;
}

export class AdapterTab {
  private readonly frame: FrameLocator;

  constructor(workbench: Workbench, index = 0) {
    this.frame = workbench.page(index);
  }

  get finding(): Locator {
    return this.within('p.finding');
  }

  get slider(): Locator {
    return this.within('input[type=range]');
  }

  get title(): Locator {
    return this.within('h1');
  }

  get rows(): Locator {
    return this.within('tbody tr');
  }

  row(module: string): Locator {
    return this.within(`tbody tr[data-module="${module}"]`);
  }

  button(name: string | RegExp): Locator {
    return this.within('vscode-button:visible').filter({ hasText: name });
  }

  banner(text: string | RegExp): Locator {
    return this.within('.banner').filter({ hasText: text });
  }

  /** The labels of the buttons. */
  async buttonsIn(part: Locator): Promise<string[]> {
    const labels = await part.locator('vscode-button').allInnerTexts();
    return labels.map((label) => label.trim());
  }

  within(selector: string): Locator {
    return this.frame.locator(selector);
  }

  /** Until every module has its numbers. */
  async measured(): Promise<void> {
    await this.within('dd.measured').waitFor();
  }

  async findingIs(text: string | RegExp): Promise<void> {
    await this.finding.filter({ hasText: text }).waitFor();
  }

  async setThreshold(value: number): Promise<void> {
    await this.slider.fill(String(value));
  }

  /** The table's figures, in the order in which it shows them. */
  async table(): Promise<Row[]> {
    const titles = await this.within('thead th').allInnerTexts();
    const column = titles.findIndex((title) => title.trim() === 'similarity');
    assert.ok(column > 0);
    return this.rows.evaluateAll(
      (rows, at) =>
        rows.map((row) => ({
          name: row.getAttribute('data-module') ?? '',
          similarity: Number((row as HTMLTableRowElement).cells[at]!.textContent),
          selected: row.getAttribute('aria-selected') === 'true',
        })),
      column,
    );
  }

  /** The values that the heatmap's charts hold, by module. */
  async chartValues(): Promise<Map<string, number>> {
    const values = await this.within('canvas')
      .first()
      .evaluate(() => {
        const { heatmap, state } = (window as unknown as { safeLoraPage: PageHandle }).safeLoraPage;
        return heatmap.charts.flatMap((chart) =>
          chart.data.datasets[0].data.map(({ v, cell }) => [state.document.modules[cell.modules[0]]!.name, v] as const),
        );
      });
    return new Map(values);
  }
}

/** What the page shows to those who look from outside, as far as it is looked at here. */
interface PageHandle {
  heatmap: { charts: { data: { datasets: [{ data: { v: number; cell: { modules: [number] } }[] }] } }[] };
  state: { document: { modules: { name: string }[] } };
}
