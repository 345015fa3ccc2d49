// Valid values of each setting, and the fallback for invalid ones.
import { isAbsolute } from 'node:path';
import { isObject } from '../../core/objects';
import { type RuleMode, ruleModes, ruleNumber } from '../../core/rules';
import { devices } from '../../engine/providers';
import { type ModelPair, type Settings } from '../common/contributions';

type ScalarRule =
  /** The first replaces an invalid one. */
  | { kind: 'choice'; choices: readonly string[] }
  | { kind: 'number' | 'integer'; min: number; max: number; instead: number };
type Rule = ScalarRule | { kind: 'pairs' } | { kind: 'folders' };

/** Description of the valid values. */
export type Wanted = Rule | { kind: 'pair' } | { kind: 'folder' };

export interface WrongValue {
  /** Path within the setting; empty if the setting itself is wrong. */
  path: readonly (string | number)[];
  value: unknown;
  wanted: Wanted;
  /** Undefined to omit the value. */
  instead: unknown;
}

export interface CheckedSetting<T> {
  value: T;
  wrong: WrongValue[];
}

export const rules = {
  pairs: { kind: 'pairs' },
  modelFolders: { kind: 'folders' },
  selection: { kind: 'choice', choices: ruleModes },
  threshold: numberRule('threshold'),
  count: numberRule('count'),
  device: { kind: 'choice', choices: devices },
  workers: { kind: 'integer', min: 0, max: 64, instead: 0 },
  memoryBudget: { kind: 'integer', min: 256, max: Infinity, instead: 1024 },
  keepOriginals: { kind: 'choice', choices: ['beside', 'workspaceStorage'] },
} as const satisfies Record<keyof Settings, Rule>;

function numberRule(mode: RuleMode): ScalarRule {
  const { kind, min, max, usual } = ruleNumber(mode);
  return { kind, min, max, instead: usual };
}

export function checkSetting<K extends keyof Settings>(name: K, value: unknown): CheckedSetting<Settings[K]> {
  return check(rules[name], value) as CheckedSetting<Settings[K]>;
}

function check(wanted: Rule, value: unknown): CheckedSetting<unknown> {
  if (wanted.kind === 'pairs') return checkPairs(value);
  if (wanted.kind === 'folders') return checkFolders(value);
  const instead = valid(wanted, value);
  const wrong = instead === value ? [] : [{ path: [], value, wanted, instead }];
  return { value: instead, wrong };
}

/** The value itself if valid, else the closest valid one. */
function valid(wanted: ScalarRule, value: unknown): unknown {
  if (wanted.kind === 'choice') return wanted.choices.find((choice) => choice === value) ?? wanted.choices[0];
  const { kind, min, max, instead } = wanted;
  if (typeof value !== 'number' || !(value >= min)) return instead;
  if (kind === 'number') return value <= max ? value : instead;
  return Math.min(Math.floor(value), max);
}

function checkPairs(value: unknown): CheckedSetting<Settings['pairs']> {
  if (!isObject(value)) return { value: {}, wrong: [{ path: [], value, wanted: { kind: 'pairs' }, instead: {} }] };
  const entries = Object.entries(value);
  return {
    value: Object.fromEntries(entries.filter((entry): entry is [string, ModelPair] => isPair(entry[1]))),
    wrong: entries
      .filter(([, pair]) => !isPair(pair))
      .map(([key, pair]) => ({ path: [key], value: pair, wanted: { kind: 'pair' }, instead: undefined })),
  };
}

function checkFolders(value: unknown): CheckedSetting<Settings['modelFolders']> {
  if (!Array.isArray(value))
    return { value: [], wrong: [{ path: [], value, wanted: { kind: 'folders' }, instead: [] }] };
  const wrong = value.flatMap((folder: unknown, i): WrongValue[] =>
    isFolder(folder) ? [] : [{ path: [i], value: folder, wanted: { kind: 'folder' }, instead: undefined }],
  );
  return { value: value.filter(isFolder), wrong };
}

/** Must be absolute: the same setting applies in every window. */
function isFolder(value: unknown): value is string {
  return typeof value === 'string' && (isAbsolute(value) || /^~(?:[\\/]|$)/.test(value));
}

function isPair(value: unknown): value is ModelPair {
  return isObject(value) && [value.base, value.aligned].every((folder) => typeof folder === 'string' && folder !== '');
}
