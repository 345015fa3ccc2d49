// Every id shared by package.json and the code; a test compares the two.
import { type RuleMode } from '../../core/rules';
import { type Device } from '../../engine/providers';

export const EDITOR = 'safeLora.adapter';
export const VIEW = 'safeLora.adapters';
export const HISTORY_VIEW = 'safeLora.history';

export const commands = {
  projectAdapter: 'safeLora.projectAdapter',
  chooseModels: 'safeLora.chooseModels',
  restoreOriginals: 'safeLora.restoreOriginals',
  savePatch: 'safeLora.savePatch',
  applyPatch: 'safeLora.applyPatch',
  compareAdapters: 'safeLora.compareAdapters',
  openSample: 'safeLora.openSample',
  showLog: 'safeLora.showLog',
  inspectAdapter: 'safeLora.inspectAdapter',
  inspectAll: 'safeLora.inspectAll',
  evaluateAdapter: 'safeLora.evaluateAdapter',
  openBehaviour: 'safeLora.openBehaviour',
  openReport: 'safeLora.openReport',
  projectSelected: 'safeLora.projectSelected',
  sortAdapters: 'safeLora.sortAdapters',
  clearHistory: 'safeLora.clearHistory',
  dismissProblem: 'safeLora.dismissReport',
  showDismissedProblems: 'safeLora.showDismissedReports',
  setHubToken: 'safeLora.setHubToken',
  showDevices: 'safeLora.showDevices',
  installCuda: 'safeLora.installCuda',
} as const;

/** Language model tools. */
export const tools = {
  inspectAdapter: 'safeLora_inspectAdapter',
  projectAdapter: 'safeLora_projectAdapter',
  evaluateAdapter: 'safeLora_evaluateAdapter',
} as const;

export const TASK_TYPE = 'safe-lora';
export const PROBLEM_MATCHER = '$safe-lora';

export const contextKeys = {
  /** The file system paths of the workspace's adapter folders. */
  adapterFolders: 'safeLora.adapterFolders',
} as const;

export const SECTION = 'safeLora';

/** The section of docs/codes.md for codes without a row. */
export const PROBLEMS_ANCHOR = '## Other codes';

/** The settings by name in the section, with their types. */
export interface Settings extends Record<RuleMode, number> {
  pairs: Record<string, ModelPair>;
  /** Folders of models, absolute or from `~`. */
  modelFolders: string[];
  selection: RuleMode;
  device: Device;
  /** 0 means as many as help. */
  workers: number;
  memoryBudget: number;
  keepOriginals: 'beside' | 'workspaceStorage';
}

export const settingNames = [
  'pairs',
  'modelFolders',
  'selection',
  'threshold',
  'count',
  'device',
  'workers',
  'memoryBudget',
  'keepOriginals',
] as const satisfies readonly (keyof Settings)[];

/** The folders of an adapter's two models. */
export interface ModelPair {
  base: string;
  aligned: string;
}
