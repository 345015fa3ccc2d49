// The extension's start: makes the parts and wires them; the work is theirs.
import * as vscode from 'vscode';
import { EditorActions } from './actions';
import { WorkspaceAdapters } from './adapters';
import { Commands } from './commands';
import { AdapterEditorProvider } from './editor/provider';
import { EngineService } from './engine-service';
import { InspectionStore } from './inspections/store';
import { ModelPairs } from './models';
import { OriginalsPlace } from './originals-place';
import { Sample } from './sample';

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
  const adapters = new WorkspaceAdapters(log);
  const sample = new Sample(context.extensionPath, log);
  context.subscriptions.push(log, engine, editor, adapters, new Commands(editor, actions, adapters, log), sample);
}
