// Sorting by a table's column headers.

export interface Sort {
  column: string;
  descending: boolean;
}

/** Up, down, and back to the order of the model. */
export function nextSort(sort: Sort | null, column: string): Sort | null {
  if (sort?.column !== column) return { column, descending: false };
  return sort.descending ? null : { column, descending: true };
}

/** Marks how each header sorts; it names its column in `data-column`. */
export function markSorted(head: HTMLElement, sort: Sort | null): void {
  for (const cell of head.children) {
    const sorted = cell.getAttribute('data-column') === sort?.column;
    cell.setAttribute('aria-sort', !sorted ? 'none' : sort.descending ? 'descending' : 'ascending');
  }
}

/** Null comes last, in both directions. */
export function compareKeys(a: number | string | null, b: number | string | null, descending: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = a < b ? -1 : a > b ? 1 : 0;
  return descending ? -order : order;
}
