// All texts of a comparison's page.
import { type Translation } from '../core/text';
import { behaviourStrings } from './behaviour-strings';
import { sharedStrings } from './strings';

export type ComparisonStrings = ReturnType<typeof comparisonStrings>;

export function comparisonStrings(l10n: Translation) {
  const shared = sharedStrings(l10n);
  const behaviour = behaviourStrings(l10n);
  return {
    ...shared,
    legend: { ...shared.legend, pending: l10n.t('not there, or not measured') },
    title: l10n.t('{0} and {1}'),
    adapters: l10n.t('The two adapters'),
    open: l10n.t('Open {0}'),
    inspect: l10n.t('Measure {0}'),
    sides: { a: l10n.t('A'), b: l10n.t('B') },
    difference: l10n.t('B − A'),
    differenceHeading: l10n.t('Difference'),
    differenceShown: l10n.t('{0}, B − A'),
    differenceDefinition: l10n.t('The number of B minus that of A, on a scale of its own around zero'),
    differenceEnds: [l10n.t('A is higher'), l10n.t('B is higher')] satisfies [string, string],
    sideShown: l10n.t('{0} of {1}'),
    help: l10n.t('Arrow keys move between cells, Enter goes to the row in the table or opens experts.'),
    module: l10n.t('module'),
    modules: l10n.t('Modules'),
    table: l10n.t('{0} of each module: A, B and the difference B − A'),
    common: l10n.t('{0} modules in both, {1} only in A, {2} only in B'),
    allCommon: l10n.t('the same {0} modules in both'),
    missing: l10n.t('not there'),
    missingIn: { a: l10n.t('A does not have this module'), b: l10n.t('B does not have this module') },
    expertsCell: l10n.t(
      '{0} experts: the lowest of each adapter, and the difference furthest from zero. Click or press Enter to open them.',
    ),
    nearNullNote: l10n.t('at chance level'),
    behaviour: {
      title: l10n.t('Behaviour'),
      figures: behaviour.figures,
      same: l10n.t('Both were evaluated on the same prompts, with the same judge. Bars are 95 % intervals.'),
      otherPrompts: l10n.t(
        'They were evaluated on different prompts or in different ways, so their figures are not comparable.',
      ),
      lacking: l10n.t('The behaviour of {0} is not measured; open it, and choose Evaluate… in its view Behaviour.'),
      stale: l10n.t('Changed since: {0}.'),
      chart: l10n.t('{0} of both adapters by number of projected modules. The table below has the same numbers.'),
      table: l10n.t('Behaviour of both adapters at each measured point, with 95 % intervals in brackets'),
      projected: l10n.t('projected modules'),
      original: behaviour.point.original,
      at: l10n.t('{0} projected'),
    },
    states: {
      loading: l10n.t('Reading…'),
      nothing: l10n.t('Neither adapter has numbers to compare.'),
      otherModels: l10n.t(
        'Measured on different models, so their similarities and agreements are not comparable. A: {0} and {1}. B: {2} and {3}.',
      ),
      uninspected: l10n.t('{0} is not measured.'),
      changedAdapter: l10n.t('{0} has changed since it was measured.'),
      changedModels: l10n.t('The models of {0} have changed since it was measured.'),
    },
  };
}
