// Every message between the host and the page. The page gets numbers, never weights; it says `ready` before the host sends.
import { type ErrorCode, type Notice } from '../core/errors';
import { type ModuleReport, type Report } from '../core/report';
import { type WriteObstacle } from '../core/save';
import { type Selection } from '../core/rules';
import { type PageStrings } from './adapter-strings';

export interface ModuleView extends Pick<
  ModuleReport,
  'name' | 'stack' | 'layer' | 'kind' | 'expert' | 'shape' | 'rank'
> {
  /** With which the running model adds B·A: alpha / r, or alpha / √r. */
  scale: number;
  /** False where the original is gone, so that it can be selected no more. */
  selectable: boolean;
}

export interface ModelView {
  name: string;
  path: string;
}

/** Why the adapter's own file cannot be written: `not-on-disk` for any file system but the disk's. */
export type ReadOnlyReason = WriteObstacle | 'not-on-disk';

/** Of the adapter's files since they were opened: `deleted` where the weights are gone. */
export type DiskChange = 'changed' | 'deleted' | null;

/** What is shown of the adapter before anything is measured. */
export interface DocumentView {
  adapter: {
    name: string;
    path: string;
    rank: number;
    alpha: number;
    targetModules: string[];
    trainedOn: string | null;
  };
  modules: ModuleView[];
  readOnly: ReadOnlyReason | null;
  trusted: boolean;
  diskChange: DiskChange;
  /** The selection with which the page begins: the file's own, or the threshold of the settings. */
  selection: Selection;
  /** What was being chosen when the page was last shown, or was applied since; null where the page may keep its own. */
  draft: Selection | null;
}

/** A tensor of the adapter's file. */
export interface TensorView {
  name: string;
  dtype: string;
  shape: readonly number[];
}

/** A document that could not be read. */
export interface FailureView {
  path: string;
  error: ErrorView;
  /** VS Code kept edits that cannot be brought back. */
  hasUnsaved: boolean;
}

export interface ErrorView {
  code: ErrorCode;
  message: string;
}

export type RunState = 'no-models' | 'idle' | 'running' | 'cancelled' | 'failed' | 'done';

export interface RunView {
  state: RunState;
  base: ModelView | null;
  aligned: ModelView | null;
  modulesDone: number;
  modulesTotal: number;
  bytesDone: number;
  bytesTotal: number;
  /** Of the weights that have to come from the hub; null where none has. */
  fetched: { bytesFetched: number; bytesToFetch: number } | null;
  error: ErrorView | null;
  /** Set once a run began. */
  device: { provider: string; fallbackReason: string | null } | null;
  /** Set once a run is done. */
  totals: Pick<Report['totals'], 'direction' | 'bytesRead' | 'seconds'> | null;
  /** The numbers are those of an earlier run on the same files. */
  recalled: boolean;
  notices: Notice[];
}

/** The document's state, which Undo, Redo and Save move. */
export interface AppliedView {
  /** Modules whose lora_B is a projection, also such as cannot be given back. */
  modules: string[];
  /** Null where nothing is applied. */
  selection: Selection | null;
  dirty: boolean;
  canRestore: boolean;
}

export type ToPage =
  /** `language`: that of the strings, in which figures are written, too. */
  | { type: 'strings'; strings: PageStrings; language: string }
  | { type: 'document'; document: DocumentView }
  | { type: 'failure'; failure: FailureView }
  | { type: 'run'; run: RunView }
  /** Rows of `measureNames.length` numbers for the modules at these indices; `fresh` forgets all earlier rows. */
  | { type: 'measured'; fresh: boolean; indices: Uint32Array; values: Float64Array }
  /**
   * The same of projected modules as they are now, and the cosine over all modules together; no module before it is measured.
   * `measuring`: they are on their way.
   */
  | { type: 'after'; measuring: boolean; indices: Uint32Array; values: Float64Array; direction: number | null }
  /** `followSelection`: the state moved by Undo, Redo or a patch, and what is being chosen moves with it. */
  | { type: 'applied'; applied: AppliedView; followSelection: boolean }
  /** In the order of the file. */
  | { type: 'tensors'; tensors: readonly TensorView[] }
  /** Brings the button that projects the selection before the user, who asked for that. */
  | { type: 'offer' }
  /** Brings a module before the user. */
  | { type: 'reveal'; module: string }
  | { type: 'reply'; id: number; ok: true }
  | { type: 'reply'; id: number; ok: false; error: ErrorView };

export type ModelRole = 'base' | 'aligned';

/** What the page asks for. */
export interface PageCalls {
  run: [];
  /** Measures everything once more. */
  repeat: [];
  /** Measures what is applied. */
  measureProjection: [];
  cancel: [];
  chooseModel: [role: ModelRole];
  apply: [selection: Selection];
  save: [];
  saveAs: [selection: Selection];
  restore: [];
  reload: [];
  discard: [];
  exportReport: [format: 'json' | 'csv', selection: Selection];
  exportPicture: [format: 'png' | 'svg', content: Uint8Array];
  copyMarkdown: [selection: Selection];
  copyText: [text: string];
  /** Answered by `tensors`. */
  listTensors: [];
  manageTrust: [];
  showLog: [];
}

/** Makes one of the calls; rejects where the host could not do it. */
export type Call = <Name extends keyof PageCalls>(name: Name, ...values: PageCalls[Name]) => Promise<void>;

/** What the host does for each call; one reply follows. */
export type Answers = { readonly [Name in keyof PageCalls]: (...values: PageCalls[Name]) => unknown };

/** `selection`: what is being chosen, for those who show it elsewhere. */
export type FromPage =
  | { type: 'ready' }
  | { type: 'selection'; selection: Selection }
  | { type: 'call'; id: number; name: keyof PageCalls; values: PageCalls[keyof PageCalls] };
