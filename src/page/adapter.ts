// Messages between the host and the page. The page receives numbers, never weights; it sends `ready` before the host sends.
import { type Notice } from '../core/errors';
import { type ModuleReport, type Report } from '../core/report';
import { type WriteObstacle } from '../core/save';
import { type Selection } from '../core/rules';
import { type Correction } from '../evaluation/corrections';
import { type PageStrings } from './adapter-strings';
import { type AnswersView, type BehaviourView } from './behaviour';
import { type ErrorView } from './error-view';

export interface ModuleView extends Pick<
  ModuleReport,
  'name' | 'stack' | 'layer' | 'kind' | 'expert' | 'shape' | 'rank'
> {
  /** The factor of B·A in the running model: alpha / r, or alpha / √r. */
  scale: number;
  /** False if the original is gone, so it cannot be selected any more. */
  selectable: boolean;
}

export interface ModelView {
  name: string;
  path: string;
}

/** Why the adapter's own file cannot be written: `not-on-disk` for any other file system. */
export type ReadOnlyReason = WriteObstacle | 'not-on-disk';

/** Changes of the adapter's files since they were opened: `deleted` if the weights are gone. */
export type DiskChange = 'changed' | 'deleted' | null;

/** The adapter as shown before measuring. */
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
  /** The page's initial selection: the file's own, or the threshold of the settings. */
  selection: Selection;
  /** The selection when the page was last shown, or applied since; null if the page may keep its own. */
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
  /** VS Code kept edits that cannot be restored. */
  hasUnsaved: boolean;
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
  /** Download of weights from the hub; null if none is needed. */
  fetched: { bytesFetched: number; bytesToFetch: number } | null;
  error: ErrorView | null;
  /** Set once a run has started. */
  device: { provider: string; fallbackReason: string | null } | null;
  /** Set once a run has finished. */
  totals: Pick<Report['totals'], 'direction' | 'bytesRead' | 'seconds'> | null;
  /** The numbers are from an earlier run on the same files. */
  recalled: boolean;
  notices: Notice[];
}

/** The document's state, changed by Undo, Redo and Save. */
export interface AppliedView {
  /** Modules whose lora_B is a projection, including those that cannot be restored. */
  modules: string[];
  /** Null if nothing is applied. */
  selection: Selection | null;
  dirty: boolean;
  canRestore: boolean;
}

export type ToPage =
  /** `language`: of the strings and of number formats. */
  | { type: 'strings'; strings: PageStrings; language: string }
  | { type: 'document'; document: DocumentView }
  | { type: 'failure'; failure: FailureView }
  | { type: 'run'; run: RunView }
  /** Rows of `measureNames.length` numbers for the modules at these indices; `fresh` discards all earlier rows. */
  | { type: 'measured'; fresh: boolean; indices: Uint32Array; values: Float64Array }
  /**
   * The same for projected modules as they are now, and the cosine over all modules together; no module until measured. `measuring`: in
   * progress.
   */
  | { type: 'after'; measuring: boolean; indices: Uint32Array; values: Float64Array; direction: number | null }
  /** `followSelection`: Undo, Redo or a patch changed the state, and the page's selection follows. */
  | { type: 'applied'; applied: AppliedView; followSelection: boolean }
  | { type: 'behaviour'; behaviour: BehaviourView }
  /** Hazardous text: null hides it. */
  | { type: 'answers'; answers: AnswersView | null }
  /** A selection made for the user, such as the result of Choose by Target. */
  | { type: 'select'; selection: Selection }
  /** Shows the second view. */
  | { type: 'showBehaviour' }
  /** In file order. */
  | { type: 'tensors'; tensors: readonly TensorView[] }
  /** Reveals the button that projects the selection, on the user's request. */
  | { type: 'offer' }
  /** Reveals a module. */
  | { type: 'reveal'; module: string }
  | { type: 'reply'; id: number; ok: true }
  | { type: 'reply'; id: number; ok: false; error: ErrorView };

export type ModelRole = 'base' | 'aligned';

/** The page's requests. */
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
  /** Answered with `tensors`. */
  listTensors: [];
  /** Asks for prompts and points, then measures the behaviour at them. */
  evaluate: [];
  /** Continues an evaluation that was cancelled or failed. */
  resumeEvaluation: [];
  cancelEvaluation: [];
  /** Asks for demands, and selects the point that meets them with the fewest modules. */
  chooseByTarget: [];
  /** Answered with `answers`. @param count of the chosen point */
  showAnswers: [count: number];
  hideAnswers: [];
  correctJudgement: [correction: Correction];
  askModelToJudge: [];
  exportBehaviour: [format: 'json' | 'html' | 'answers', selection: Selection];
  manageTrust: [];
  showLog: [];
}

/** Calls the host; rejects if the host failed. */
export type Call = <Name extends keyof PageCalls>(name: Name, ...values: PageCalls[Name]) => Promise<void>;

/** The host's handlers, with one reply for each call. */
export type Answers = { readonly [Name in keyof PageCalls]: (...values: PageCalls[Name]) => unknown };

/** `selection`: the page's current selection, for other views. */
export type FromPage =
  | { type: 'ready' }
  | { type: 'selection'; selection: Selection }
  | { type: 'call'; id: number; name: keyof PageCalls; values: PageCalls[keyof PageCalls] };
