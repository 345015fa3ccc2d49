// Parses a JSON file to a tree with offsets, even if it is unfinished or hostile.
import { type Node, parseTree } from 'jsonc-parser';

/** Configurations, settings and reports have a few levels; the parser's stack overflows at some thousand. */
const MAX_LEVELS = 50;

/** @returns undefined for text that is too long or too deep for these */
export function jsonTree(text: string, maxLength: number): Node | undefined {
  if (text.length > maxLength) return undefined;
  try {
    return isDeep(text) ? undefined : parseTree(text);
  } catch (error) {
    // Brackets in comments may have hidden its depth.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function isDeep(text: string): boolean {
  let level = 0;
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\[^][^"\\]*)*"?|[[\]{}]/g)) {
    if (token === '[' || token === '{') level++;
    else if (token === ']' || token === '}') level--;
    if (level > MAX_LEVELS) return true;
  }
  return false;
}
