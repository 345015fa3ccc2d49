// The bench's figures for people.
import { type CaseResult } from './measure';

type Columns = Readonly<Record<string, (result: CaseResult) => string>>;

const start: Columns = {
  case: ({ figures }) => figures.name,
  modules: ({ modules }) => String(modules),
  children: ({ children }) => String(children),
  'a alone s': ({ reading }) => seconds(reading.alone),
  'a together s': ({ reading }) => seconds(reading.together),
};
const engine: Columns = { 'b engine s': ({ figures }) => seconds(figures.engineMs) };
const engines: Columns = {
  'b device s': ({ figures }) => seconds(figures.engineMs),
  'cpu s': ({ figures }) => seconds(figures.cpuMs),
  'cpu/b': ({ figures }) => ratio(figures.cpuMs, figures.engineMs),
  'off the CPU': ({ cpuDifference }) => cpuDifference?.toExponential(0) ?? '-',
};
const end: Columns = {
  'c reference s': ({ figures }) => seconds(figures.referenceMs),
  'b/a': ({ figures }) => ratio(figures.engineMs, figures.readMs),
  'c/b': ({ figures }) => ratio(figures.referenceMs, figures.engineMs),
  'modules/s': ({ figures, modules }) => ((1000 * modules) / figures.engineMs).toFixed(1),
  'peak MiB': ({ figures }) => figures.peakMiB?.toFixed(0) ?? '-',
  'read/needed': ({ figures }) => (figures.bytesRead / figures.bytesNeeded).toFixed(2),
  'first ms': ({ figures }) => figures.firstModuleMs.toFixed(0),
  rounds: ({ rounds }) => String(rounds),
  'off by': ({ similarityError }) => similarityError.toExponential(0),
};

/** A table in Markdown, aligned for a terminal. */
export function tableLines(results: readonly CaseResult[]): string[] {
  const columns = { ...start, ...(results.some(({ figures }) => figures.cpuMs !== null) ? engines : engine), ...end };
  const rows = [Object.keys(columns), ...results.map((result) => Object.values(columns).map((cell) => cell(result)))];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) => `| ${row.map((cell, i) => pad(cell, widths[i]!, i)).join(' | ')} |`);
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [lines[0]!, rule, ...lines.slice(1)];
}

export const legend = `a: the same bytes read into one buffer per process, by one process and by as many as the engine has; b/a takes the faster
b: from the engine's start to the last module, page cache warm; cpu: the same on the CPU, in the same rounds
c: the dense products on one module of each shape, times their number
peak: Pss of the host and all children together, in a pass of its own   first: from the engine's start to the first module
off by: the largest difference in similarity to the dense products, on one module of each shape; off the CPU: to the CPU's, on all`;

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

function seconds(ms: number | null): string {
  return ms === null ? '-' : (ms / 1000).toFixed(2);
}

function ratio(value: number | null, by: number | null): string {
  return value === null || by === null ? '-' : (value / by).toFixed(2);
}
