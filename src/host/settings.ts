// The settings, checked: whatever stands in a settings file, the code gets a value of the right kind.
import * as vscode from 'vscode';
import { DEFAULT_THRESHOLD } from '../core/selection';
import { isObject } from '../core/objects';
import { type ModelPair, SECTION, type Settings } from './contributions';

const MIN_MEMORY_MIB = 256;
const DEFAULT_MEMORY_MIB = 1024;

/** @param scope the adapter that the setting is for */
export function setting<K extends keyof Settings>(name: K, scope?: vscode.Uri): Settings[K] {
  return checks[name](vscode.workspace.getConfiguration(SECTION, scope).get(name));
}

const checks: { [K in keyof Settings]: (value: unknown) => Settings[K] } = {
  pairs: (value) =>
    Object.fromEntries(
      Object.entries(isObject(value) ? value : {}).filter((entry): entry is [string, ModelPair] => isPair(entry[1])),
    ),
  threshold: (value) => (typeof value === 'number' && value >= 0 && value <= 1 ? value : DEFAULT_THRESHOLD),
  device: (value) => (value === 'cpu' ? value : 'auto'),
  memoryBudget: (value) =>
    typeof value === 'number' && value >= MIN_MEMORY_MIB ? Math.floor(value) : DEFAULT_MEMORY_MIB,
  keepOriginals: (value) => (value === 'workspaceStorage' ? value : 'beside'),
};

function isPair(value: unknown): value is ModelPair {
  return isObject(value) && typeof value.base === 'string' && typeof value.aligned === 'string';
}
