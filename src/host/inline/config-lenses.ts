// Lenses above an adapter_config.json: the adapter's status and its actions.
import * as vscode from 'vscode';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { CONFIG_SELECTOR, folderOf } from '../common/files';
import { fileOf, hasUnsavedEdit } from '../common/tabs';
import {
  behaviourText,
  isProjectedAsSelected,
  projectedText,
  projectText,
  staleText,
  statusFinding,
} from '../status/finding-texts';
import { type Lens, type LensProvider, registerLenses } from '../common/surface';

export class ConfigLenses extends Disposable implements LensProvider {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly statuses: AdapterStatuses) {
    super();
    this._register(statuses.onDidChange(() => this.changed.fire()));
    this._register(
      vscode.window.tabGroups.onDidChangeTabs(({ opened, closed, changed }) => {
        if ([...opened, ...closed, ...changed].some((tab) => fileOf(tab))) this.changed.fire();
      }),
    );
    this._register(registerLenses(CONFIG_SELECTOR, this));
  }

  async lenses(document: vscode.TextDocument): Promise<Lens[]> {
    const folder = folderOf(document.uri);
    const range = new vscode.Range(0, 0, 0, 0);
    const status = await this.statuses.of(folder);
    return [...stateLenses(status), ...behaviourLenses(status), ...lensesOf(status)].map((lens) => ({
      ...lens,
      range,
      arguments: [folder],
    }));
  }
}

/** The state of the file and its tab, before measurements. */
function stateLenses(status: AdapterStatus): Omit<Lens, 'range'>[] {
  const unsaved = { icon: 'circle-filled', title: vscode.l10n.t('unsaved edit'), command: commands.openReport };
  return [
    ...(hasUnsavedEdit(status.folder) ? [unsaved] : []),
    ...(status.projected.length > 0 ? [{ title: projectedText(status) }] : []),
  ];
}

/** What the selected modules do to the model's behaviour. */
function behaviourLenses({ evaluation, selected }: AdapterStatus): Omit<Lens, 'range'>[] {
  const title = behaviourText(evaluation, selected);
  return title === '' ? [] : [{ icon: 'comment-discussion', title, command: commands.openBehaviour }];
}

function lensesOf(status: AdapterStatus): Omit<Lens, 'range'>[] {
  const { selected, restorable, state } = status;
  const open = { title: vscode.l10n.t('Open Heatmap'), command: commands.openReport };
  const restore = restorable ? [{ title: vscode.l10n.t('Restore'), command: commands.restoreOriginals }] : [];
  switch (state) {
    case 'unreadable':
      return [{ icon: 'warning', title: status.problem!, command: commands.openReport }];
    case 'uninspected':
      return [
        {
          title: vscode.l10n.t('Measure'),
          command: commands.inspectAdapter,
          tooltip: vscode.l10n.t(
            'Measures how closely each module follows the alignment of its model; changes nothing',
          ),
        },
        ...restore,
      ];
    case 'stale':
      return [
        { icon: 'warning', title: staleText(status) },
        { title: vscode.l10n.t('Measure Again'), command: commands.inspectAdapter },
        ...(status.changed === 'models'
          ? [{ title: vscode.l10n.t('Choose Models…'), command: commands.chooseModels }]
          : []),
        open,
        ...restore,
      ];
    case 'inspected': {
      const project = {
        title: projectText(selected.size),
        command: commands.projectSelected,
        tooltip: vscode.l10n.t('Makes an unsaved edit; nothing is written before Save.'),
      };
      const finding = { title: statusFinding(status), command: commands.openReport };
      const actions = [...(selected.size > 0 && !isProjectedAsSelected(status) ? [project] : []), open, ...restore];
      // After the state or the behaviour both do not fit: the finding comes last.
      const isLast = status.projected.length > 0 || status.evaluation !== null;
      return isLast ? [...actions, finding] : [finding, ...actions];
    }
  }
}
