// Finds entries in the text of an adapter_config.json, even while it is incomplete.
import { findNodeAtLocation, getNodeValue, type Node } from 'jsonc-parser';
import type * as vscode from 'vscode';
import { jsonTree } from '../common/json-tree';

export interface Located<T> {
  value: T;
  /** Offsets in the text. */
  start: number;
  end: number;
}

export interface ConfigText {
  /** The entries of `target_modules`; one if it is a pattern. */
  targets: Located<string>[];
  /** `target_modules` is a list of name endings, not a pattern. */
  targetsAreList: boolean;
  rank: Located<number> | null;
  alpha: Located<number> | null;
  rslora: boolean;
  /** Some modules have their own rank or alpha. */
  hasPatterns: boolean;
  /** An entry's value if that is one word, else its key. */
  entry: (key: string) => Located<unknown> | null;
}

/** Some thousand characters; a far larger text is no configuration. */
const MOST_LETTERS = 1_000_000;

export function readConfigText(document: vscode.TextDocument): ConfigText {
  const root = jsonTree(document.getText(), MOST_LETTERS);
  const find = (key: string): Node | undefined => root && findNodeAtLocation(root, [key]);
  const entry = (key: string): Located<unknown> | null => {
    const value = find(key);
    const shown = value?.children ? value.parent?.children?.[0] : value;
    return value && shown ? { ...located(shown), value: getNodeValue(value) as unknown } : null;
  };
  const number = (key: string): Located<number> | null => {
    const found = entry(key);
    return typeof found?.value === 'number' && found.value > 0 ? (found as Located<number>) : null;
  };
  const targets = find('target_modules');
  const entries = targets?.type === 'array' ? (targets.children ?? []) : targets ? [targets] : [];
  const isFull = (key: string): boolean => (find(key)?.children?.length ?? 0) > 0;
  return {
    targets: entries.map(located).filter((target): target is Located<string> => typeof target.value === 'string'),
    targetsAreList: targets?.type === 'array',
    rank: number('r'),
    alpha: number('lora_alpha'),
    rslora: entry('use_rslora')?.value === true,
    hasPatterns: isFull('rank_pattern') || isFull('alpha_pattern'),
    entry,
  };
}

function located(node: Node): Located<unknown> {
  return { value: getNodeValue(node) as unknown, start: node.offset, end: node.offset + node.length };
}
