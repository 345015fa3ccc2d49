// A saved safe_lora_report.json as the lenses show it: anybody may have edited it, and what cannot be is not shown.
import { getNodeValue } from 'jsonc-parser';
import { type Report } from '../../core/report';
import { readReport } from '../../core/saved-report';
import { jsonTree } from '../common/json-tree';

/** A report of 560 modules has 300 kB; a text far beyond is none, and parsing it would hold the host up. */
const MAX_LENGTH = 10_000_000;

/**
 * @returns with where each module begins in the text; null where the text is no whole report, or holds what no measurement gives
 */
export function readReportText(text: string): { report: Report; offsets: number[] } | null {
  const root = jsonTree(text, MAX_LENGTH);
  if (root?.type !== 'object') return null;
  // The parser's objects have no prototype.
  const report = readReport(structuredClone(getNodeValue(root) as unknown));
  // Of a key that is there twice, the value is the last one's.
  const modules = root.children?.findLast(({ children }) => children?.[0]?.value === 'modules');
  const nodes = modules?.children?.[1]?.children ?? [];
  return report && { report, offsets: nodes.map(({ offset }) => offset) };
}
