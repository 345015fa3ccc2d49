// The extension's entry point: creates the parts and connects them.
import * as vscode from 'vscode';
import { announceWaits } from '../core/claims';
import { EditorActions } from './editor/actions';
import { WorkspaceAdapters } from './status/adapters';
import { Commands } from './commands';
import { CudaInstall } from './devices/cuda-install';
import { AdapterEditorProvider } from './editor/provider';
import { EngineService } from './devices/engine-service';
import { LanguageService } from './devices/language-service';
import { HubService } from './models/hub-service';
import { ConfigHints } from './inline/config-hints';
import { ConfigHover } from './inline/config-hover';
import { ConfigLenses } from './inline/config-lenses';
import { ConfigDiagnostics } from './inline/diagnostics';
import { Dismissals } from './inline/dismissals';
import { Explanations } from './inline/explanations';
import { QuickFixes } from './inline/quick-fixes';
import { ReportLenses } from './inline/report-lenses';
import { Changes } from './status/changes';
import { AdapterStatuses } from './status/adapter-status';
import { MeasuringFailures } from './status/failures';
import { History } from './status/history';
import { EvaluationStore } from './status/evaluations';
import { InspectionStore } from './status/store';
import { Inspector } from './editor/inspector';
import { ModelPairs } from './models/models';
import { OriginalsLocation } from './status/originals-location';
import { Sample } from './sample';
import { SettingsCheck } from './inline/settings-check';
import { AdapterTasks } from './automation/tasks';
import { EvaluateTool } from './automation/evaluate-tool';
import { AdapterTools } from './automation/tools';
import { AdaptersTree } from './views/adapters-tree';
import { Comparisons } from './views/comparison';
import { ComputeDevices } from './devices/compute-devices';
import { Decorations } from './views/decorations';
import { HistoryTree } from './views/history-tree';
import { StatusBar } from './views/status-bar';
import { MOST_BYTES } from '../evaluation/prompts';
import { type LanguageServices } from '../work/services';
import { BehaviourActions } from './behaviour/actions';
import { writeFiguresIn } from '../core/text';
import { textLanguage } from './common/language';
import { createLog } from './common/surface';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

export function activate(context: vscode.ExtensionContext): void {
  writeFiguresIn(textLanguage());
  const log = createLog('Safe LoRA');
  announceWaits((text) => {
    log.info(text);
  });
  const engine = new EngineService(context.extensionPath, context.globalStorageUri.fsPath, log);
  const hub = new HubService(context.globalStorageUri.fsPath, context.secrets, log);
  const models = new ModelPairs(hub);
  const storage = context.storageUri ?? context.globalStorageUri;
  const originals = new OriginalsLocation(storage);
  const inspections = new InspectionStore(storage);
  const language = new LanguageService(context.extensionPath, engine, log);
  const work: LanguageServices = {
    version: SAFE_LORA_VERSION,
    onnxruntimeVersion: ONNXRUNTIME_VERSION,
    models: hub,
    engine,
    language,
    prompts: { fetch: (given, signal) => hub.datasetFile(given, MOST_BYTES, signal) },
  };
  const changes = new Changes(inspections, models, originals);
  const evaluations = new EvaluationStore(storage, changes);
  const history = new History(context.workspaceState);
  const services = { work, engine, hub, models, originals, inspections, evaluations, history, log };
  const failures = new MeasuringFailures(models, originals);
  const actions = new EditorActions(models, failures, {
    workspace: context.workspaceState,
    global: context.globalState,
  });
  const behaviour = new BehaviourActions(work, context.globalState);
  const editor = new AdapterEditorProvider(services, actions, behaviour, context.extensionUri);
  const adapters = new WorkspaceAdapters(log);
  const statuses = new AdapterStatuses(adapters, inspections, models, originals, changes, evaluations, failures, log);
  const inspector = new Inspector(services, editor, actions, statuses, failures);
  const dismissals = new Dismissals(context.workspaceState);
  const explanations = new Explanations(vscode.Uri.joinPath(context.extensionUri, 'docs', 'codes.md'));
  context.subscriptions.push(
    log,
    engine,
    hub,
    inspections,
    evaluations,
    history,
    failures,
    editor,
    adapters,
    statuses,
    new Commands(editor, actions, behaviour, adapters, inspector, statuses, log),
    dismissals,
    new ConfigLenses(statuses),
    new ConfigHints(statuses),
    new ConfigHover(statuses),
    new ConfigDiagnostics(statuses, originals, dismissals, explanations, log),
    new QuickFixes(statuses),
    new ReportLenses(statuses),
    new Decorations(adapters, statuses),
    new AdaptersTree(adapters, statuses, context.workspaceState),
    new HistoryTree(history, log),
    new StatusBar(editor, statuses),
    new Comparisons(statuses, inspector, adapters, log, context.extensionUri),
    new SettingsCheck(log),
    new AdapterTasks(adapters, models, context.extensionPath, context.globalStorageUri.fsPath),
    new CudaInstall(context.globalStorageUri.fsPath, log),
    new ComputeDevices(engine, log),
    new Sample(context, editor, actions, log),
    new AdapterTools(inspector, statuses, editor, actions, originals, hub, new EvaluateTool(inspector, work, hub)),
  );
}
