// What the Behaviour view needs of the page: the evaluation, the answers, and the selection that it shows and changes.
import { type Selection } from '../../src/core/rules';
import { type AnswersView, type BehaviourView } from '../../src/page/behaviour';

export interface BehaviourSource {
  /** Null until the host sends it. */
  readonly behaviour: BehaviourView | null;
  readonly answers: AnswersView | null;
  /** Names of the selected modules. */
  readonly selectedNames: ReadonlySet<string>;
  readonly draft: Selection;
  setDraft(selection: Selection): void;
}
