// Reads a saved safe_lora_report.json for the lenses: anybody may have edited it, and impossible values are not shown.
import { getNodeValue } from 'jsonc-parser';
import { type Report } from '../../core/report';
import { readReport } from '../../core/saved-report';
import { jsonTree } from '../common/json-tree';

/** A report of 560 modules has 300 kB; a far larger text is not one, and parsing it would block the host. */
const MAX_LENGTH = 10_000_000;

/**
 * @returns the report and each module's position in the text; null if the text is incomplete or has impossible values
 */
export function readReportText(text: string): { report: Report; offsets: number[] } | null {
  const root = jsonTree(text, MAX_LENGTH);
  if (root?.type !== 'object') return null;
  // The parser's objects have no prototype.
  const report = readReport(structuredClone(getNodeValue(root) as unknown));
  // For duplicate keys, the last value counts.
  const modules = root.children?.findLast(({ children }) => children?.[0]?.value === 'modules');
  const nodes = modules?.children?.[1]?.children ?? [];
  return report && { report, offsets: nodes.map(({ offset }) => offset) };
}
