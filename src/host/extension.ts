// The extension's start: makes the parts and wires them; the work is theirs.
import * as vscode from 'vscode';
import { EditorActions } from './actions';
import { WorkspaceAdapters } from './adapters';
import { Commands } from './commands';
import { AdapterEditorProvider } from './editor/provider';
import { EngineService } from './engine-service';
import { Standings } from './inspections/standings';
import { InspectionStore } from './inspections/store';
import { Inspector } from './inspector';
import { ModelPairs } from './models';
import { OriginalsPlace } from './originals-place';
import { Comparisons } from './views/comparison';

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Safe LoRA', { log: true });
  const engine = new EngineService(context.extensionPath, log);
  const models = new ModelPairs();
  const storage = context.storageUri ?? context.globalStorageUri;
  const originals = new OriginalsPlace(storage);
  const inspections = new InspectionStore(storage, context.workspaceState, originals);
  const services = { engine, models, originals, inspections, log };
  const actions = new EditorActions(models, { workspace: context.workspaceState, global: context.globalState });
  const editor = new AdapterEditorProvider(services, actions, context.extensionUri);
  const adapters = new WorkspaceAdapters();
  const standings = new Standings(inspections, models, originals);
  const inspector = new Inspector(services, editor, actions, standings);
  const comparisons = new Comparisons(standings, inspector, adapters, log, context.extensionUri);
  context.subscriptions.push(log, engine, editor, adapters, inspections, standings, comparisons);
  context.subscriptions.push(new Commands(editor, actions, adapters, log));
}
