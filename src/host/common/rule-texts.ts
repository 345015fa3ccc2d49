// Formats a rule in the editor's language.
import { l10n } from 'vscode';
import { type RuleTexts, ruleText, type Selection, type SelectionRule } from '../../core/rules';

/** "those with a similarity at or below τ = 0.35" */
export function takenText(selection: Selection): string {
  const texts: RuleTexts = {
    threshold: l10n.t('those with a similarity at or below τ = {0}'),
    count: l10n.t('the {0} with the lowest similarity'),
  };
  const rule = ruleText(selection, texts);
  const { added, removed } = selection.overrides;
  return added.length + removed.length === 0
    ? rule
    : l10n.t('{0}, with {1} added and {2} removed by hand', rule, added.length, removed.length);
}

/** "τ 0.35", in every language */
export function shortRuleText(rule: SelectionRule): string {
  return ruleText(rule, { threshold: 'τ {0}', count: 'K {0}' });
}
