// Banners above the numbers: one line per state, with its actions.
import { type ErrorCode } from '../../src/core/errors';
import { type Call, type ModelRole, type ModelView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { banner, element, format } from '../shared/ui';
import { appliedText } from './applied-text';
import { asking } from '../shared/asking';
import { modulesText } from '../shared/modules-text';
import { runText } from './run-text';
import { type PageState } from './state';

type Action = [label: string, act: () => void];

/** The models and the adapter do not match: either may be wrong. */
const UNFIT: readonly ErrorCode[] = ['model-missing-target', 'model-shape'];

export class Banners {
  readonly root = element('div', { class: 'banners' });

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly call: Call,
  ) {}

  /** An unchanged banner stays, so that it keeps the focus and is not announced again. */
  update(): void {
    const shown = [...this.root.children] as HTMLElement[];
    const parts = this.parts().map((part) => shown.find(({ dataset }) => dataset.key === part.dataset.key) ?? part);
    if (parts.length !== shown.length || parts.some((part, i) => part !== shown[i]))
      this.root.replaceChildren(...parts);
  }

  private parts(): HTMLElement[] {
    const { document: shown, failure, run } = this.state;
    if (failure) return [this.failureBanner(failure)];
    if (!shown || !run) return [];
    return [
      this.changedBanner(shown),
      this.readOnlyBanner(shown),
      this.trustBanner(shown),
      this.projectedBanner(shown),
      this.runBanner(run),
    ].filter((part) => part !== null);
  }

  private failureBanner({ error, hasUnsaved }: NonNullable<PageState['failure']>): HTMLElement {
    const { actions } = this.strings;
    return banner('error', error.message, [
      [actions.retry, this.asking('reload')],
      ...(hasUnsaved ? [[actions.discard, this.asking('discard')] satisfies Action] : []),
      this.showLog(),
    ]);
  }

  private changedBanner({ diskChange }: NonNullable<PageState['document']>): HTMLElement | null {
    if (diskChange === null) return null;
    const { states, actions } = this.strings;
    const what = states.onDisk[diskChange];
    const text = this.state.applied?.dirty ? `${what} ${states.changedDirty}` : what;
    return banner('warning', text, [[actions.reload, this.asking('reload')]]);
  }

  private readOnlyBanner({ readOnly }: NonNullable<PageState['document']>): HTMLElement | null {
    return readOnly && banner('information', this.strings.states.readOnly[readOnly], []);
  }

  private trustBanner({ trusted }: NonNullable<PageState['document']>): HTMLElement | null {
    if (trusted) return null;
    const { states, actions } = this.strings;
    return banner('information', states.untrusted, [[actions.manageTrust, this.asking('manageTrust')]]);
  }

  private projectedBanner({ modules }: NonNullable<PageState['document']>): HTMLElement | null {
    const { strings } = this;
    const { states } = strings;
    const gone = modules.filter(({ selectable }) => !selectable).length;
    if (gone > 0) return banner('information', format(states.alreadyProjected, modulesText(gone, strings)), []);
    const { applied } = this.state;
    if (!applied || applied.modules.length === 0) return null;
    return banner('information', `${appliedText(applied, strings)}. ${states.presentProjection}`, []);
  }

  private runBanner(run: NonNullable<PageState['run']>): HTMLElement | null {
    const { states, actions } = this.strings;
    if (run.state === 'failed') {
      const done = run.modulesDone > 0 ? ` ${format(states.failed, run.modulesDone, run.modulesTotal)}` : '';
      return banner('error', `${run.error?.message ?? ''}${done}`, [
        [actions.retry, this.asking('run')],
        ...this.chooseModels(run),
        this.showLog(),
      ]);
    }
    const text = runText(run, states);
    return text === null ? null : banner('information', text, [], run.state === 'running');
  }

  /** If the failure is in a model: choose another. */
  private chooseModels({ base, aligned, error }: NonNullable<PageState['run']>): Action[] {
    const { chooseBase, chooseAligned } = this.strings.actions;
    const doesNotFit = error !== null && UNFIT.includes(error.code);
    const isMeant = (model: ModelView | null): boolean =>
      doesNotFit || (model !== null && (error?.message.includes(model.path) ?? false));
    return [
      ...(isMeant(base) ? [this.chooseModel(chooseBase, 'base')] : []),
      ...(isMeant(aligned) ? [this.chooseModel(chooseAligned, 'aligned')] : []),
    ];
  }

  private chooseModel(label: string, role: ModelRole): Action {
    return [label, asking(() => this.call('chooseModel', role))];
  }

  private showLog(): Action {
    return [this.strings.actions.showLog, this.asking('showLog')];
  }

  private asking(name: 'run' | 'reload' | 'discard' | 'manageTrust' | 'showLog'): () => void {
    return asking(() => this.call(name));
  }
}
