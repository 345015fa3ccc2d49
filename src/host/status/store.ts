// Results in the workspace's storage: a file for each adapter on its two models, found by their identity, and for each adapter's folder one
// that names its last result.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { type Checkpoint } from '../../core/checkpoint';
import { areAsStamped, type FileStamp, readOwnText } from '../../core/files';
import { type AdapterIdentity, adapterIdentity, checkpointStamps, inspectionKey } from '../../core/identity';
import { type Inspection, makeInspection, parseInspection } from '../../core/inspection';
import { isObject } from '../../core/objects';
import { type Plan } from '../../core/plan';
import { replaceFile } from '../../core/atomic';
import { type MeasuredModule, type Report, reportText } from '../../core/report';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';

declare const SAFE_LORA_VERSION: string;

/** The last result of an adapter's folder: its identity, and the files whose change makes it stale. */
export interface Entry {
  key: string;
  adapter: AdapterIdentity;
  /** `base_model_name_or_path`, which determines the models. */
  trainedOn: string | null;
  models: ModelPair;
  modelFiles: FileStamp[];
}

/** For either kind of file, at most about 300 kB each; the oldest are removed. */
const MOST_FILES = 1000;

export class InspectionStore extends Disposable {
  private readonly kept = this._register(new vscode.EventEmitter<string>());
  /** A new result was stored for the adapter in this folder. */
  readonly onDidKeep = this.kept.event;

  /** For adapters as opened: a run asks at its start and its end. */
  private readonly identities = new WeakMap<Adapter, AdapterIdentity>();

  /** @param storage the extension's folder for this workspace */
  constructor(private readonly storage: vscode.Uri) {
    super();
  }

  /** The last result of the adapter in a folder, valid or stale. */
  async entry(folder: string): Promise<Entry | null> {
    try {
      const value: unknown = JSON.parse((await readOwnText(this.entryFile(folder))) ?? '');
      return isObject(value) && value.version === SAFE_LORA_VERSION ? (value.entry as Entry) : null;
    } catch {
      return null;
    }
  }

  /**
   * Reads the adapter's whole files if they have changed since the last time.
   * @throws SafeLoraError if they have changed since they were opened
   */
  async identify(adapter: Adapter): Promise<AdapterIdentity> {
    const known = this.identities.get(adapter) ?? (await this.entry(adapter.path))?.adapter;
    const isKnown =
      known?.originals === (adapter.originals !== null) && isDeepStrictEqual(known.stamps, adapter.stamps);
    const identity = isKnown && (await areAsStamped(known.stamps)) ? known : await adapterIdentity(adapter);
    this.identities.set(adapter, identity);
    return identity;
  }

  /** The location of a plan's result. */
  async entryFor({ adapter, base, aligned }: Plan): Promise<Entry> {
    const identity = await this.identify(adapter);
    const [baseFiles, alignedFiles] = [base, aligned].map((model: Checkpoint) => checkpointStamps(model));
    return {
      key: inspectionKey(SAFE_LORA_VERSION, identity, baseFiles!, alignedFiles!),
      adapter: identity,
      trainedOn: adapter.trainedOn,
      models: { base: base.path, aligned: aligned.path },
      modelFiles: [...baseFiles!, ...alignedFiles!],
    };
  }

  async load(key: string): Promise<Inspection | null> {
    return readFile(this.resultFile(key), 'utf8').then(parseInspection, () => null);
  }

  /** @param modules every module of the plan, as measured */
  async keep(plan: Plan, report: Report, modules: readonly MeasuredModule[]): Promise<void> {
    const entry = await this.entryFor(plan);
    await write(this.resultFile(entry.key), reportText(makeInspection(report, modules)));
    await this.point(plan.adapter.path, entry);
    await prune(this.folderOf('results'));
  }

  /** Makes a stored result the folder's last. */
  async point(folder: string, entry: Entry): Promise<void> {
    if (isDeepStrictEqual(await this.entry(folder), entry)) return;
    await write(this.entryFile(folder), JSON.stringify({ version: SAFE_LORA_VERSION, folder, entry }));
    this.kept.fire(folder);
    await prune(this.folderOf('adapters'));
  }

  private folderOf(kind: 'results' | 'adapters'): string {
    return join(this.storage.fsPath, 'inspections', kind);
  }

  private resultFile(key: string): string {
    return join(this.folderOf('results'), `${key}.json`);
  }

  private entryFile(folder: string): string {
    return join(this.folderOf('adapters'), `${createHash('sha256').update(folder).digest('hex')}.json`);
  }
}

export async function write(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await replaceFile(path, (temporary) => writeFile(temporary, text));
}

export async function prune(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.length <= MOST_FILES) return;
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return {
        path,
        modified: await stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      };
    }),
  );
  const old = files.sort((a, b) => a.modified - b.modified).slice(0, names.length - MOST_FILES);
  await Promise.all(old.map(({ path }) => rm(path, { force: true })));
}
