// The findings of an interop run as tables, on the terminal and in docs/interop.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../fixtures/make';

export const DOCS = join(root, 'docs/interop.md');
const [BEGIN, END] = ['<!-- the run: begin -->', '<!-- the run: end -->'];

/** One adapter. Of numbers the largest difference; null where there is none, because the adapter is refused. */
export interface Row {
  family: string;
  adapter: string;
  modules: number | null;
  similarity: number | null;
  direction: number | null;
  /** Of all modules together. */
  total: number | null;
  /** Of the written lora_B from C·B: of F32 by its largest entry, of BF16 entry by entry. */
  written: number | null;
  loads: boolean | null;
  decision: string;
}

interface Conversion {
  rank: number;
  distance: number;
}

/** See ways_out.py. */
export interface WaysOut {
  doraBesideBA: { size: number; moved: number; distance: number; ranks: number[] }[];
  doraByPeftAlone: { fromDora: number; fromBA: number };
  dora: Conversion[];
  bdlora: Conversion[];
  loha: Conversion[];
}

const CONVERTED = { dora: 'DoRA, r = 8', bdlora: 'BD-LoRA, r = 8', loha: 'LoHa, r = 4' };

export function resultsText(rows: readonly Row[], waysOut: WaysOut, versions: Record<string, string>): string {
  const machine = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${rows.length} adapters, with ${machine.join(', ')}.`,
    table(
      ['family', 'adapter', 'modules', 'similarity', 'direction', 'all together', 'lora_B', 'loads', 'decision'],
      rows.map((row) => [
        row.family,
        row.adapter,
        row.modules === null ? '' : String(row.modules),
        ...[row.similarity, row.direction, row.total, row.written].map(difference),
        row.loads === null ? '' : row.loads ? 'yes' : 'no',
        row.decision,
      ]),
    ),
    'DoRA’s update beside B·A, on two layers’ q_proj [48, 48] and v_proj [24, 48]:',
    table(
      ['‖B·A‖ / ‖W‖', 'magnitudes moved', 'B·A’s distance from the update', 'rank of the update'],
      waysOut.doraBesideBA.map(({ size, moved, distance, ranks }) => [
        percent(size),
        percent(moved),
        percent(distance),
        ranks.join(' and '),
      ]),
    ),
    'Converted to plain LoRA, the distance from the original update by rank:',
    table(
      ['adapter', ...waysOut.dora.map(({ rank }) => `rank ${rank}`)],
      Object.entries(CONVERTED).map(([kind, title]) => [
        title,
        ...waysOut[kind as keyof typeof CONVERTED].map(({ distance }) => percent(distance)),
      ]),
    ),
  ].join('\n\n');
}

/** Between the two marks, and nowhere else. */
export function writeDocs(text: string): void {
  const page = readFileSync(DOCS, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  if (begin < BEGIN.length || end < begin) throw new Error(`${DOCS} lacks ${BEGIN} … ${END}`);
  writeFileSync(DOCS, `${page.slice(0, begin)}\n\n${text}\n\n${page.slice(end)}`);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[], fill = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(' | ')} |`;
  return [
    line(head),
    line(
      head.map(() => ''),
      '-',
    ),
    ...rows.map((row) => line(row)),
  ].join('\n');
}

function difference(value: number | null): string {
  return value === null ? '' : value === 0 ? '0' : value.toExponential(0);
}

function percent(share: number): string {
  if (share > 0 && share < 1e-4) return '< 0.01 %';
  return `${Number((100 * share).toPrecision(2))} %`;
}
