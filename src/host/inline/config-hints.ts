// Hints beside the values of an adapter_config.json: each target's measurements, and the scale from rank and alpha.
import * as vscode from 'vscode';
import { loraScale } from '../../core/applied-config';
import { meanOf, modulesByTarget } from '../../core/report';
import { decimal, localised, signed } from '../../core/text';
import { Disposable } from '../common/dispose';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { type ConfigText, type Located, readConfigText } from './config-text';
import { CONFIG_SELECTOR, folderOf } from '../common/files';
import { DIGITS, ofOriginals } from '../status/finding-texts';

export class ConfigHints extends Disposable implements vscode.InlayHintsProvider {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  readonly onDidChangeInlayHints = this.changed.event;

  constructor(private readonly statuses: AdapterStatuses) {
    super();
    this._register(statuses.onDidChange(() => this.changed.fire()));
    this._register(vscode.languages.registerInlayHintsProvider(CONFIG_SELECTOR, this));
  }

  async provideInlayHints(document: vscode.TextDocument, range: vscode.Range): Promise<vscode.InlayHint[]> {
    const text = readConfigText(document);
    const status = await this.statuses.of(folderOf(document.uri));
    return [...scaleHints(document, text), ...targetHints(document, text, status)].filter(({ position }) =>
      range.contains(position),
    );
  }
}

function scaleHints(document: vscode.TextDocument, text: ConfigText): vscode.InlayHint[] {
  const { rank, alpha, rslora, hasPatterns } = text;
  if (!rank || !alpha) return [];
  const scale = localised(Number(loraScale(alpha.value, rank.value, rslora).toPrecision(4)));
  const label = rslora ? vscode.l10n.t('scale α/√r = {0} (rsLoRA)', scale) : vscode.l10n.t('scale α/r = {0}', scale);
  const tooltip = hasPatterns
    ? vscode.l10n.t('The update B·A is multiplied by this, except in modules with their own rank or alpha.')
    : vscode.l10n.t('The update B·A is multiplied by this in the running model.');
  return [rank, alpha].map((entry) => hint(document, entry, label, tooltip));
}

/** The editor truncates a hint at 43 characters (`editor.inlayHints.maximumLength`). */
function targetHints(
  document: vscode.TextDocument,
  { targets, targetsAreList }: ConfigText,
  { report, selected, projected }: AdapterStatus,
): vscode.InlayHint[] {
  if (!report) return [];
  const byTarget = modulesByTarget(
    report,
    targets.map(({ value }) => value),
    targetsAreList,
  );
  return targets.flatMap((target) => {
    const modules = byTarget.get(target.value);
    if (!modules) return [];
    const count = modules.filter(({ name }) => selected.has(name)).length;
    const means = [
      vscode.l10n.t('similarity {0}', decimal(meanOf(modules, 'similarity'), DIGITS)),
      vscode.l10n.t('agreement {0}', signed(meanOf(modules, 'direction'), DIGITS)),
    ];
    const tooltip = vscode.l10n.t(
      'Mean similarity and mean agreement of {0} modules; {1} of them are selected. Hover over the name to see each layer.',
      modules.length,
      count,
    );
    return projected.length > 0
      ? hint(document, target, vscode.l10n.t('before: {0}', means.join(' · ')), `${ofOriginals()} ${tooltip}`)
      : hint(document, target, [...means, `${count}/${modules.length}`].join(' · '), tooltip);
  });
}

function hint(
  document: vscode.TextDocument,
  entry: Located<unknown>,
  label: string,
  tooltip: string,
): vscode.InlayHint {
  const made = new vscode.InlayHint(document.positionAt(entry.end), label);
  made.paddingLeft = true;
  made.tooltip = tooltip;
  return made;
}
