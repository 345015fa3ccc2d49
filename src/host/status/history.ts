// Actions on adapters in this workspace, newest first; stored with the workspace, without weights.
import * as vscode from 'vscode';
import { type Report } from '../../core/report';
import { type Selection } from '../../core/rules';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';

export type HistoryAction = 'measured' | 'saved' | 'restored' | 'copied' | 'patch';

export interface HistoryEntry {
  /** Milliseconds since 1970. */
  at: number;
  action: HistoryAction;
  /** The adapter's folder, as a URI. */
  folder: string;
  /** Selected modules where it was measured; projected ones of what was saved. */
  count: number;
  /** All modules of the adapter. */
  modules: number;
  /** Null where none belongs to what was saved. */
  selection: Selection | null;
  /** Agreement of all modules; null where it was not measured. */
  direction: number | null;
  models: Partial<ModelPair>;
  /** The file or folder that was written elsewhere; null where nothing was. */
  target: string | null;
}

/** @param report with the selection of the settings */
export function measuredEntry(
  folder: vscode.Uri,
  { base, aligned, selection, totals }: Report,
): Omit<HistoryEntry, 'at'> {
  return {
    action: 'measured',
    folder: folder.toString(),
    count: totals.selected,
    modules: totals.modules,
    selection,
    direction: totals.direction,
    models: { base: base.path, aligned: aligned.path },
    target: null,
  };
}

const KEY = 'history';
const MOST_ENTRIES = 200;

export class History extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;

  constructor(private readonly memory: vscode.Memento) {
    super();
  }

  get entries(): readonly HistoryEntry[] {
    return this.memory.get<HistoryEntry[]>(KEY, []);
  }

  add(entry: Omit<HistoryEntry, 'at'>): void {
    void this.set([{ at: Date.now(), ...entry }, ...this.entries].slice(0, MOST_ENTRIES));
  }

  async clear(): Promise<void> {
    await this.set([]);
  }

  private async set(entries: readonly HistoryEntry[]): Promise<void> {
    await this.memory.update(KEY, entries);
    this.changed.fire();
  }
}
