// Views of a document for the page and the status bar.
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { comparePositions, positions } from '../../core/naming';
import { type Report, selectable } from '../../core/report';
import { select, type Selection } from '../../core/rules';
import { type AppliedView, type DocumentView, type ModuleView } from '../../page/adapter';
import { type AdapterDocument } from './document';

/** Shown before measuring. */
export function documentView(document: AdapterDocument): DocumentView {
  const { name, path, rank, trainedOn, config } = document.adapter;
  const { alpha, targetModules } = config;
  return {
    adapter: { name, path, rank, alpha, targetModules, trainedOn },
    modules: moduleViews(document.adapter),
    readOnly: document.readOnlyReason,
    trusted: vscode.workspace.isTrusted,
    diskChange: document.diskChange,
    selection: document.firstSelection,
    draft: document.draft,
  };
}

/** The state that Undo, Redo and Save change. */
export function appliedView({ projection, irrecoverable, selection, isDirty }: AdapterDocument): AppliedView {
  return {
    modules: projection?.provenance.modules ?? irrecoverable,
    selection,
    dirty: isDirty,
    canRestore: projection !== null,
  };
}

export interface Choice {
  selection: Selection;
  /** Names of the selected modules; null before measuring. */
  selected: ReadonlySet<string> | null;
  /** The device of the measurement; null before measuring. */
  device: Report['device'] | null;
}

/** The current selection. */
export function choiceOf({ draft, firstSelection, isOutdated, measuring }: AdapterDocument): Choice {
  const selection = draft ?? firstSelection;
  const measured = isOutdated ? null : measuring.measured;
  return {
    selection,
    selected: measured && select(measured.modules.map(selectable), selection),
    device: measured?.device ?? null,
  };
}

function moduleViews(adapter: Adapter): ModuleView[] {
  const where = positions(adapter.modules.map((module) => module.name));
  return adapter.modules
    .map(({ name, a, b, rank, scale, alreadyProjected }): ModuleView => ({
      name,
      ...where.get(name)!,
      shape: [b.shape[0]!, a.shape[1]!],
      rank,
      scale,
      selectable: !alreadyProjected,
    }))
    .sort(comparePositions);
}
