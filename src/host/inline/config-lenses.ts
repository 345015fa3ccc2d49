// Above an adapter_config.json: how the adapter stands, and what can be done about it.
import * as vscode from 'vscode';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type Standing, type Standings } from '../status/standings';
import { CONFIG_SELECTOR, folderOf } from '../common/files';
import { findingText, isProjectedAsSelected, projectedText, staleText } from '../status/finding-texts';
import { type Lens, type LensProvider, registerLenses } from '../common/surface';

export class ConfigLenses extends Disposable implements LensProvider {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly standings: Standings) {
    super();
    this._register(standings.onDidChange(() => this.changed.fire()));
    this._register(registerLenses(CONFIG_SELECTOR, this));
  }

  async lenses(document: vscode.TextDocument): Promise<Lens[]> {
    const folder = folderOf(document.uri);
    const range = new vscode.Range(0, 0, 0, 0);
    return lensesOf(await this.standings.of(folder)).map((lens) => ({ ...lens, range, arguments: [folder] }));
  }
}

function lensesOf(standing: Standing): Omit<Lens, 'range'>[] {
  const { report, selection, selected, projected, restorable, state } = standing;
  const open = { title: vscode.l10n.t('Open Report'), command: commands.openReport };
  const restore = restorable ? [{ title: vscode.l10n.t('Restore'), command: commands.restoreOriginals }] : [];
  const isProjected = projected.length > 0 ? [{ title: projectedText(standing) }] : [];
  switch (state) {
    case 'unreadable':
      return [{ icon: 'warning', title: standing.problem!, command: commands.openReport }];
    case 'uninspected':
      return [
        ...isProjected,
        {
          title: vscode.l10n.t('Inspect'),
          command: commands.inspectAdapter,
          tooltip: vscode.l10n.t('Safe LoRA: measure how each module lies to the alignment of its model'),
        },
        ...restore,
      ];
    case 'stale':
      return [
        { icon: 'warning', title: staleText(standing) },
        { title: vscode.l10n.t('Inspect Again'), command: commands.inspectAdapter },
        ...(standing.changed === 'models'
          ? [{ title: vscode.l10n.t('Choose Models…'), command: commands.chooseModels }]
          : []),
        open,
        ...restore,
        ...isProjected,
      ];
    case 'inspected': {
      const project = {
        title: vscode.l10n.t('Project'),
        command: commands.projectSelected,
        tooltip: vscode.l10n.t('Project the {0} selected modules as an unsaved edit, one step of Undo', selected.size),
      };
      return [
        { title: findingText(report!, selection, selected.size), command: commands.openReport },
        ...(selected.size > 0 && !isProjectedAsSelected(standing) ? [project] : []),
        open,
        ...restore,
        ...isProjected,
      ];
    }
  }
}
