// The hover of a target module: its layers as a small table, and as a picture with τ and the null level.
import * as vscode from 'vscode';
import { modulesByTarget, type ModuleReport } from '../../core/report';
import { levelOf } from '../../core/rules';
import { decimal, elided, localised, markdownText, signed } from '../../core/text';
import { Disposable } from '../common/dispose';
import { type AdapterStatus, type AdapterStatuses } from '../status/adapter-status';
import { readConfigText } from './config-text';
import { CONFIG_SELECTOR, folderOf } from '../common/files';
import { sparkline } from './sparkline';
import { DIGITS, ofOriginals, ruleText } from '../status/finding-texts';
import { markdown } from '../common/surface';

/** A hover is read at a glance; the editor has the details. */
const MOST_ROWS = 32;
const MOST_LETTERS = 80;

export class ConfigHover extends Disposable implements vscode.HoverProvider {
  constructor(private readonly statuses: AdapterStatuses) {
    super();
    this._register(vscode.languages.registerHoverProvider(CONFIG_SELECTOR, this));
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const { targets, targetsAreList } = readConfigText(document);
    const offset = document.offsetAt(position);
    const target = targets.find(({ start, end }) => start <= offset && offset <= end);
    if (!target) return undefined;
    const status = await this.statuses.of(folderOf(document.uri));
    const { report } = status;
    const modules = (report && modulesByTarget(report, [target.value], targetsAreList).get(target.value)) ?? [];
    if (modules.length === 0) return undefined;
    const range = new vscode.Range(document.positionAt(target.start), document.positionAt(target.end));
    return new vscode.Hover(content(target.value, modules, status), range);
  }
}

function content(target: string, modules: readonly ModuleReport[], status: AdapterStatus): vscode.MarkdownString {
  const { selection, selected, projected } = status;
  const threshold = levelOf(selection);
  const { kind } = vscode.window.activeColorTheme;
  const dark = kind === vscode.ColorThemeKind.Dark || kind === vscode.ColorThemeKind.HighContrast;
  const count = modules.filter(({ name }) => selected.has(name)).length;
  const shown =
    modules.length > MOST_ROWS
      ? new Set(modules.toSorted((a, b) => (a.similarity ?? 2) - (b.similarity ?? 2)).slice(0, MOST_ROWS))
      : new Set(modules);
  const legend = [
    vscode.l10n.t('bars: similarity by layer, selected ones in colour'),
    vscode.l10n.t('lines across: chance level'),
    ...(threshold === null ? [] : [vscode.l10n.t('dashed: τ = {0}', localised(Number(threshold.toFixed(6))))]),
  ].join(' · ');
  const titles = [
    vscode.l10n.t('layer'),
    vscode.l10n.t('similarity'),
    vscode.l10n.t('chance level'),
    vscode.l10n.t('agreement'),
    vscode.l10n.t('selected'),
  ];
  const rows = modules
    .filter((module) => shown.has(module))
    .map(({ name, stack, layer, expert, similarity, nullSimilarity, nullSpread, direction }) =>
      row([
        [stack, layer ?? name, expert === null ? null : vscode.l10n.t('expert {0}', expert)]
          .filter((part) => part !== null)
          .join(' '),
        decimal(similarity, DIGITS),
        `${decimal(nullSimilarity, DIGITS)} ± ${decimal(nullSpread, DIGITS)}`,
        signed(direction, DIGITS),
        selected.has(name) ? '●' : '',
      ]),
    );
  const left = modules.length - shown.size;
  return markdown(
    [
      `**${cellText(target)}** · ${cellText(ruleText(selection, count, modules.length))}`,
      `![${vscode.l10n.t('Similarity by layer')}](${sparkline({ modules, selected, threshold, dark })})`,
      legend,
      ...(projected.length > 0 ? [ofOriginals()] : []),
      [row(titles), row(['---:', '---:', '---:', '---:', ':---:']), ...rows].join('\n'),
      ...(left > 0 ? [vscode.l10n.t('The heatmap shows {0} more, of higher similarity.', left)] : []),
    ].join('\n\n'),
  );
}

function row(cells: readonly string[]): string {
  // The editor gives cells no padding.
  return `| ${cells.map((cell) => (/^:?-+:?$/.test(cell) ? cell : `${cellText(cell)}&nbsp;&nbsp;`)).join(' | ')} |`;
}

/** Names come from files, and a hover fits only short ones. */
function cellText(text: string): string {
  return markdownText(elided(text, MOST_LETTERS));
}
