// The text of a JSON file as a tree with offsets, however unfinished or hostile it is.
import { type Node, parseTree } from 'jsonc-parser';

/** Configurations, settings and reports have some levels; the parser's stack ends at some thousand. */
const MAX_LEVELS = 50;

/** @returns undefined for a text that is too long or too deep to be one of those */
export function jsonTree(text: string, maxLength: number): Node | undefined {
  if (text.length > maxLength) return undefined;
  try {
    return isDeep(text) ? undefined : parseTree(text);
  } catch (error) {
    // Brackets in comments may have hidden how deep it is.
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
