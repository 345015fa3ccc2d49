// The settings, checked: whatever stands in a settings file, the code gets a value of the right kind.
import * as vscode from 'vscode';
import { DEFAULT_THRESHOLD, type Selection } from '../core/selection';
import { isObject } from '../core/objects';
import { type ModelPair, SECTION, type Settings } from './contributions';

const MIN_MEMORY_MIB = 256;
const DEFAULT_MEMORY_MIB = 1024;
const DEFAULT_COUNT = 8;
const MAX_WORKERS = 64;

/** @param scope the adapter that the setting is for */
export function setting<K extends keyof Settings>(name: K, scope?: vscode.Uri): Settings[K] {
  return checks[name](vscode.workspace.getConfiguration(SECTION, scope).get(name));
}

/** The selection that the settings ask for. */
export function selectionSetting(scope?: vscode.Uri): Selection {
  const overrides = { added: [], removed: [] };
  return setting('selection', scope) === 'count'
    ? { mode: 'count', count: setting('count', scope), overrides }
    : { mode: 'threshold', threshold: setting('threshold', scope), overrides };
}

const checks: { [K in keyof Settings]: (value: unknown) => Settings[K] } = {
  pairs: (value) =>
    Object.fromEntries(
      Object.entries(isObject(value) ? value : {}).filter((entry): entry is [string, ModelPair] => isPair(entry[1])),
    ),
  threshold: (value) => (typeof value === 'number' && value >= 0 && value <= 1 ? value : DEFAULT_THRESHOLD),
  selection: (value) => (value === 'count' ? value : 'threshold'),
  count: (value) => (typeof value === 'number' && value >= 1 ? Math.floor(value) : DEFAULT_COUNT),
  device: (value) => (value === 'cpu' ? value : 'auto'),
  workers: (value) => (typeof value === 'number' && value >= 0 ? Math.min(Math.floor(value), MAX_WORKERS) : 0),
  memoryBudget: (value) =>
    typeof value === 'number' && value >= MIN_MEMORY_MIB ? Math.floor(value) : DEFAULT_MEMORY_MIB,
  keepOriginals: (value) => (value === 'workspaceStorage' ? value : 'beside'),
};

function isPair(value: unknown): value is ModelPair {
  return isObject(value) && typeof value.base === 'string' && typeof value.aligned === 'string';
}
