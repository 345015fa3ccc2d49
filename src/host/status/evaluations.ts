// The last evaluation of each adapter's folder, in the workspace's storage: figures, verdicts and hashes, never an answer or a prompt.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { areAsStamped, type FileStamp } from '../../core/files';
import { type AdapterIdentity } from '../../core/identity';
import { isObject } from '../../core/objects';
import { hashFile } from '../../core/safetensors';
import { type PointRequest } from '../../evaluation/points';
import { type PromptFile } from '../../evaluation/prompts';
import { type EvaluationRecord, readRecord } from '../../evaluation/record';
import { type StaleReason } from '../../page/behaviour';
import { Disposable } from '../common/dispose';
import { isOnHub } from '../models/hub-service';
import { type Changes } from './changes';
import { type Entry, prune, write } from './store';

declare const SAFE_LORA_VERSION: string;

/** What the user asked for, to ask again. */
export interface EvaluationRequest {
  prompts: PromptFile[];
  points: PointRequest;
  scoreOnly: boolean;
}

/** A file, and the hash of what was read from it. */
type HashedFile = FileStamp & { sha256: string };

/** The files whose change makes an evaluation stale. */
export interface EvaluationEntry extends Omit<Entry, 'key'> {
  prompts: HashedFile[];
  /** Of the tokenizer and the chat template, those that do not exist among them. */
  chat: FileStamp[];
}

export interface KeptEvaluation {
  request: EvaluationRequest;
  record: EvaluationRecord;
  entry: EvaluationEntry;
  /** Empty where the figures hold. */
  stale: StaleReason[];
}

/** In a model's folder, whatever affects a prompt's tokens. */
export const CHAT_FILES = [
  'chat_template.jinja',
  'chat_template.json',
  'generation_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

export class EvaluationStore extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<string>());
  /** An evaluation of the adapter in this folder was stored, or one of its files changed. */
  readonly onDidChange = this.changed.event;
  /** Watchers of prompts and chat templates, by folder. */
  private readonly watched = new Map<string, vscode.Disposable>();

  /** @param storage the extension's folder for this workspace */
  constructor(
    private readonly storage: vscode.Uri,
    private readonly changes: Changes,
  ) {
    super();
  }

  /** The journal of an evaluation under way. */
  journalPath(key: string): string {
    return join(this.storage.fsPath, 'evaluations', 'unfinished', `${key}.jsonl`);
  }

  /** Null where there is none, or an earlier version stored it. */
  async of(folder: string): Promise<KeptEvaluation | null> {
    const kept = await readFile(this.file(folder), 'utf8').then(parse, () => null);
    if (!kept) return null;
    this.watch(folder, kept.entry);
    return { ...kept, stale: await this.staleness(folder, kept.entry) };
  }

  async keep(folder: string, { request, record, entry }: Omit<KeptEvaluation, 'stale'>): Promise<void> {
    await write(this.file(folder), JSON.stringify({ version: SAFE_LORA_VERSION, folder, request, record, entry }));
    this.changed.fire(folder);
    await prune(dirname(this.file(folder)));
    await prune(dirname(this.journalPath(''))).catch(() => undefined);
  }

  /** The same evaluation of the same original weights in a file that was written since. */
  async rename(folder: string, adapter: AdapterIdentity): Promise<void> {
    const kept = await this.of(folder);
    if (kept) await this.keep(folder, { ...kept, entry: { ...kept.entry, adapter } });
  }

  override dispose(): void {
    for (const watcher of this.watched.values()) watcher.dispose();
    super.dispose();
  }

  private async staleness(folder: string, entry: EvaluationEntry): Promise<StaleReason[]> {
    const touched = (adapter: AdapterIdentity): Promise<void> => {
      entry.adapter = adapter;
      return Promise.resolve();
    };
    const changed = await this.changes.since(folder, { ...entry, key: '' }, touched);
    const prompts = await Promise.all(entry.prompts.map(isUnchanged));
    return [
      ...(changed ? [changed] : []),
      ...(prompts.every(Boolean) ? [] : ['prompts' as const]),
      ...((await areAsStamped(entry.chat)) ? [] : ['template' as const]),
    ];
  }

  private watch(folder: string, { prompts, chat, modelFiles }: EvaluationEntry): void {
    const files = new Set(
      [...prompts, ...chat, ...modelFiles].map(({ path }) => path).filter((path) => !isOnHub(path)),
    );
    for (const watched of new Set([...files].map((path) => dirname(path)))) {
      const key = `${folder}\n${watched}`;
      if (this.watched.has(key) || this.isDisposed) continue;
      const watcher = vscode.workspace.createFileSystemWatcher(
        new vscode.RelativePattern(vscode.Uri.file(watched), '*'),
      );
      const changed = ({ fsPath }: vscode.Uri): void => {
        if (files.has(fsPath)) this.changed.fire(folder);
      };
      this.watched.set(
        key,
        vscode.Disposable.from(
          watcher,
          watcher.onDidChange(changed),
          watcher.onDidCreate(changed),
          watcher.onDidDelete(changed),
        ),
      );
    }
  }

  private file(folder: string): string {
    const name = createHash('sha256').update(folder).digest('hex');
    return join(this.storage.fsPath, 'evaluations', 'adapters', `${name}.json`);
  }
}

function parse(text: string): Omit<KeptEvaluation, 'stale'> | null {
  try {
    const value: unknown = JSON.parse(text);
    const record = isObject(value) && value.version === SAFE_LORA_VERSION ? readRecord(value.record) : null;
    if (!record || !isObject(value)) return null;
    return { record, request: value.request as EvaluationRequest, entry: value.entry as EvaluationEntry };
  } catch {
    return null;
  }
}

/** A file that was touched may be unchanged. */
async function isUnchanged(file: HashedFile): Promise<boolean> {
  return (await areAsStamped([file])) || (await hashFile(file.path).catch(() => null)) === file.sha256;
}
