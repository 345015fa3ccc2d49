// The page as a whole: head with models and actions, what state things are in, and the parts that show the numbers.
import { bytesText } from '../../src/core/bytes';
import { signed } from '../../src/core/text';
import { type Call, type RunView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { AdapterCells } from './cells';
import { ModuleCard } from './card';
import { Heatmap } from '../heatmap/heatmap';
import { measureIds, type MeasureId } from '../shared/measures';
import { Profile } from './profile';
import { findingText, SelectionPanel } from './selection';
import { type Kept, type PageState } from './state';
import { ModuleTable } from './table';
import { onThemeChange } from '../shared/theme';
import {
  banner,
  type Button,
  button,
  dropdown,
  element,
  format,
  linkButton,
  menuButton,
  setLabel,
  setText,
  setTitle,
  show,
} from '../shared/ui';

export class Page {
  readonly root = element('div', { class: 'page' });
  readonly heatmap: Heatmap;
  private readonly title = element('h1');
  private readonly meta = element('p', { class: 'meta' });
  private readonly headFinding = element('span', { class: 'head-finding' });
  private readonly models = element('dl', { class: 'models' });
  private readonly banners = element('div', { class: 'banners' });
  private readonly progress = element('div', {
    class: 'progress',
    role: 'progressbar',
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  private readonly progressBar = element('div', { class: 'progress-bar' });
  private readonly content = element('div', { class: 'content' });
  private readonly notices = element('ul', { class: 'notices' });
  private readonly claim = element('p', { class: 'claim' });
  private readonly live = element('div', { class: 'visually-hidden', 'aria-live': 'polite' });
  private readonly measure;
  private readonly selection: SelectionPanel;
  private readonly profile: Profile;
  private readonly table: ModuleTable;
  private readonly card: ModuleCard;
  private readonly buttons: Record<'run' | 'cancel' | 'apply' | 'save' | 'saveAs' | 'restore', Button>;
  private readonly resultActions: HTMLElement;
  private readonly appliedText = element('span', { class: 'applied' });
  private wasRunning = false;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly call: Call,
    private readonly keep: (kept: Kept) => void,
  ) {
    const { actions } = strings;
    const announce = (text: string): void => {
      setText(this.live, text);
    };
    this.card = new ModuleCard(state, strings);
    const cells = new AdapterCells(state, strings, this.card, announce, (layer) => this.heatmap.show(layer));
    this.heatmap = new Heatmap(cells, strings, announce);
    this.profile = new Profile(state, strings);
    this.table = new ModuleTable(state, strings, this.card, announce);
    this.buttons = {
      run: button(
        actions.run,
        this.asking(() => this.call('run')),
        'primary',
      ),
      cancel: button(
        actions.cancel,
        this.asking(() => this.call('cancel')),
      ),
      apply: button(
        actions.apply,
        this.asking(() => this.call('apply', state.draft)),
        'primary',
      ),
      save: button(
        actions.save,
        this.asking(() => this.call('save')),
      ),
      saveAs: button(
        actions.saveAs,
        this.asking(() => this.call('saveAs', state.draft)),
      ),
      restore: button(
        actions.restore,
        this.asking(() => this.call('restore')),
      ),
    };
    const exports = menuButton(actions.export, [
      {
        label: actions.exportJson,
        run: this.asking(() => this.call('exportReport', 'json', state.draft)),
      },
      {
        label: actions.exportCsv,
        run: this.asking(() => this.call('exportReport', 'csv', state.draft)),
      },
      { label: actions.exportPicture, run: () => void this.exportPicture() },
    ]);
    const copy = button(actions.copyMarkdown, () => {
      void call('copyMarkdown', state.draft).then(
        () => announce(strings.announce.copied),
        () => undefined,
      );
    });
    this.resultActions = element('div', { class: 'group' }, exports, copy);
    this.selection = new SelectionPanel(
      state,
      strings,
      element('div', { class: 'apply' }, this.buttons.apply, this.appliedText),
    );
    const choices = measureIds.map((id) => ({ value: id, label: strings.measures[id] }));
    this.measure = dropdown(strings.measure, choices, (value) => {
      state.measure = value as MeasureId;
      this.heatmap.recolour();
      this.profile.update();
      state.emit('view');
    });
    this.progress.append(this.progressBar);
    setLabel(this.progress, strings.progress);
    setLabel(this.notices, strings.notices);
    setText(this.claim, strings.claim);
    this.build();
    state.onChange((change) => {
      if (change === 'document') this.documentChanged();
      if (change === 'run') this.runChanged();
      if (change === 'measured') this.measuredChanged();
      if (change === 'selection') this.selectionChanged();
      if (change === 'applied') this.appliedChanged();
      this.remember();
    });
    onThemeChange(() => {
      this.heatmap.recolour();
      this.profile.update();
      this.selection.redraw();
    });
  }

  private build(): void {
    const { run, cancel, save, saveAs, restore } = this.buttons;
    const toolbar = element(
      'div',
      { class: 'toolbar', role: 'toolbar', 'aria-label': this.strings.toolbar },
      element('div', { class: 'group' }, run, cancel),
      element('div', { class: 'group' }, save, saveAs, restore),
      this.resultActions,
    );
    const head = element(
      'header',
      {},
      element('div', { class: 'title' }, this.title, this.meta, this.headFinding),
      toolbar,
      this.progress,
    );
    const map = element(
      'section',
      { class: 'map' },
      element('div', { class: 'map-head' }, this.measure),
      this.heatmap.root,
    );
    const profile = element(
      'section',
      { class: 'profile' },
      element('h2', {}, this.strings.profile),
      this.profile.root,
    );
    this.content.append(
      element('div', { class: 'columns' }, map, element('div', { class: 'side' }, this.selection.root, profile)),
      this.table.root,
    );
    this.root.append(
      head,
      element('main', {}, this.models, this.banners, this.notices, this.content, this.claim),
      this.card.root,
      this.live,
    );
  }

  revealModule(name: string): void {
    this.table.reveal(name);
  }

  /** A click's work: the host shows what goes wrong. */
  private asking(what: () => Promise<void>): () => void {
    return () => {
      what().catch(() => undefined);
    };
  }

  private async exportPicture(): Promise<void> {
    const { name } = this.state.document!.adapter;
    const png = await this.heatmap.picture(`${name}: ${findingText(this.state, this.strings)}`);
    await this.call('exportPicture', png).catch(() => undefined);
  }

  private documentChanged(): void {
    const { document: shown, failure } = this.state;
    const broken = failure !== undefined;
    for (const part of [this.content, this.models, this.claim]) show(part, !broken && shown !== undefined);
    if (broken) {
      setText(this.title, failure.path.split(/[\\/]/).slice(-2).join('/'));
      setText(this.meta, '');
      setText(this.headFinding, '');
      this.drawBanners();
      this.drawNotices();
      this.drawActions();
      return;
    }
    if (!shown) return;
    const { adapter } = shown;
    setText(this.title, adapter.name);
    setTitle(this.title, adapter.path);
    setText(
      this.meta,
      [
        format(this.strings.rank, adapter.rank),
        format(this.strings.alpha, adapter.alpha),
        adapter.targetModules.join(', '),
      ]
        .filter(Boolean)
        .join(' · '),
    );
    this.measure.value = this.state.measure;
    this.heatmap.rebuild();
    this.table.rebuild();
    this.profile.update();
    this.selection.redraw();
    this.selectionChanged();
    this.drawModels();
    this.drawBanners();
    this.drawNotices();
  }

  private measuredChanged(): void {
    this.heatmap.recolour();
    this.table.update();
    this.profile.update();
    this.selection.redraw();
    this.drawFinding();
    this.drawActions();
  }

  private runChanged(): void {
    const running = this.state.run?.state === 'running';
    if (this.wasRunning && this.state.run?.state === 'done')
      setText(this.live, `${this.strings.announce.done} ${findingText(this.state, this.strings)}`);
    this.wasRunning = running;
    this.drawModels();
    this.drawBanners();
    this.drawProgress();
    this.drawFinding();
    this.drawNotices();
    this.drawActions();
  }

  private selectionChanged(): void {
    this.heatmap.remark();
    this.selection.update();
    this.profile.moveThreshold();
    this.table.remark();
    this.drawFinding();
    this.drawActions();
  }

  private appliedChanged(): void {
    this.table.remark();
    this.heatmap.remark();
    this.drawBanners();
    this.drawNotices();
    this.drawActions();
  }

  private drawFinding(): void {
    setText(this.headFinding, this.state.hasNumbers ? findingText(this.state, this.strings) : '');
  }

  private drawModels(): void {
    const { run } = this.state;
    if (!run) return;
    const row = (role: 'base' | 'aligned', label: string): HTMLElement[] => {
      const model = run[role];
      const name = model
        ? element('span', { class: 'model-name', title: model.path }, model.name)
        : element('span', { class: 'none' }, this.strings.notChosen);
      const path = model ? element('span', { class: 'model-path', title: model.path }, model.path) : null;
      const action = model ? this.strings.change : this.strings.choose;
      const choose = linkButton(
        action,
        this.asking(() => this.call('chooseModel', role)),
        `${action} ${label}`,
      );
      return [element('dt', {}, label), element('dd', {}, name, path, choose)];
    };
    const measured = this.measuredText(run);
    const focused = document.activeElement?.getAttribute('aria-label');
    this.models.replaceChildren(
      ...row('base', this.strings.base),
      ...row('aligned', this.strings.aligned),
      ...(measured ? [element('dt', {}, this.strings.measured), element('dd', { class: 'measured' }, measured)] : []),
    );
    if (focused) this.models.querySelector<HTMLElement>(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  /** A banner that says the same stays, with the focus that may be in it and what a screen reader has said of it. */
  private drawBanners(): void {
    const shown = [...this.banners.children] as HTMLElement[];
    const parts = this.bannerParts().map(
      (part) => shown.find(({ dataset }) => dataset.key === part.dataset.key) ?? part,
    );
    if (parts.length !== shown.length || parts.some((part, i) => part !== shown[i]))
      this.banners.replaceChildren(...parts);
  }

  private bannerParts(): HTMLElement[] {
    const { states, actions } = this.strings;
    const { document: shown, failure, run, applied } = this.state;
    const reload = (): [string, () => void] => [actions.reload, this.asking(() => this.call('reload'))];
    const log = (): [string, () => void] => [actions.showLog, this.asking(() => this.call('showLog'))];
    if (failure) {
      const discard: [string, () => void] = [actions.discard, this.asking(() => this.call('discard'))];
      const ways: [string, () => void][] = [
        [actions.retry, reload()[1]],
        ...(failure.hasUnsaved ? [discard] : []),
        log(),
      ];
      return [banner('error', failure.error.message, ways)];
    }
    if (!shown || !run) return [];
    const parts: HTMLElement[] = [];
    if (shown.changedOnDisk) {
      parts.push(
        banner('warning', applied?.dirty ? `${states.changedOnDisk} ${states.changedDirty}` : states.changedOnDisk, [
          reload(),
        ]),
      );
    }
    if (shown.readOnly) parts.push(banner('information', states.readOnly[shown.readOnly], []));
    if (!shown.trusted)
      parts.push(
        banner('information', states.untrusted, [[actions.manageTrust, this.asking(() => this.call('manageTrust'))]]),
      );
    const gone = shown.modules.filter(({ selectable }) => !selectable).length;
    if (gone > 0) parts.push(banner('information', format(states.alreadyProjected, this.modulesText(gone)), []));
    else if (applied && applied.modules.length > 0) {
      const text = applied.dirty ? this.strings.appliedDirty : this.strings.appliedClean;
      parts.push(
        banner(
          'information',
          `${format(text, this.modulesText(applied.modules.length))}. ${states.presentProjection}`,
          [],
        ),
      );
    }
    const text = runText(run, states);
    if (run.state === 'failed') {
      const done = run.modulesDone > 0 ? ` ${format(states.failed, run.modulesDone, run.modulesTotal)}` : '';
      parts.push(
        banner('error', `${run.error?.message ?? ''}${done}`, [
          [actions.retry, this.asking(() => this.call('run'))],
          log(),
        ]),
      );
    } else if (text !== null) parts.push(banner('information', text, [], run.state === 'running'));
    return parts;
  }

  private drawProgress(): void {
    const { run } = this.state;
    const running = run?.state === 'running';
    show(this.progressBar, running);
    this.progress.setAttribute('aria-hidden', String(!running));
    if (!running) return;
    const share = run.bytesTotal > 0 ? run.bytesDone / run.bytesTotal : 0;
    this.progressBar.style.width = `${(100 * share).toFixed(1)}%`;
    this.progress.setAttribute('aria-valuenow', (100 * share).toFixed(0));
    this.progress.setAttribute('aria-valuetext', runText(run, this.strings.states) ?? '');
  }

  private drawActions(): void {
    const { run, applied, document: shown, failure } = this.state;
    const usable = shown !== undefined && !failure && run !== undefined;
    const { run: start, cancel, apply, save, saveAs, restore } = this.buttons;
    const running = usable && run.state === 'running';
    const done = usable && run.state === 'done';
    show(start, usable && !running && !done && run.state !== 'failed' && !shown.changedOnDisk);
    setText(
      start,
      run?.state === 'cancelled' && run.modulesDone > 0 ? this.strings.actions.resume : this.strings.actions.run,
    );
    show(cancel, running);
    const writable = usable && shown.trusted && shown.readOnly === null && !shown.changedOnDisk;
    const takesBack = this.state.selected.size === 0 && (applied?.canRestore ?? false);
    setText(apply, takesBack ? this.strings.applyNone : `${this.strings.actions.apply} (${this.state.selected.size})`);
    apply.disabled = !(writable && done) || this.state.isApplied;
    save.disabled = !(writable && applied?.dirty);
    saveAs.disabled = !(usable && shown.trusted && !shown.changedOnDisk);
    restore.disabled = !(writable && applied?.canRestore);
    for (const part of [save, saveAs, restore, this.resultActions]) show(part, usable);
    for (const control of this.resultActions.querySelectorAll<Button>('vscode-button')) control.disabled = !done;
    const count = applied?.modules.length ?? 0;
    const dirty = applied?.dirty ?? false;
    const { nothingApplied, nothingAppliedDirty, appliedDirty, appliedClean } = this.strings;
    const text =
      count === 0
        ? dirty
          ? nothingAppliedDirty
          : nothingApplied
        : format(dirty ? appliedDirty : appliedClean, this.modulesText(count));
    setText(this.appliedText, text);
  }

  /** What the adapter holds that no projection reaches, and what is to be read with care. */
  private drawNotices(): void {
    // Its own banner says this one.
    const notices = (this.state.run?.notices ?? []).filter(({ code }) => code !== 'already-projected');
    show(this.notices, notices.length > 0 && this.state.failure === undefined);
    this.notices.replaceChildren(...notices.map(({ code, message }) => element('li', { 'data-code': code }, message)));
  }

  private measuredText({ device, totals, recalled }: RunView): string {
    if (!device || !totals) return '';
    const { facts } = this.strings;
    const why = device.fallbackReason === null ? '' : ` (${format(facts.fallback, device.fallbackReason)})`;
    const parts = [
      recalled ? facts.recalled : '',
      format(facts.provider, device.provider) + why,
      format(facts.read, bytesText(totals.bytesRead), totals.seconds.toFixed(1)),
      totals.direction === null ? '' : format(this.strings.totalDirection, signed(totals.direction)),
    ];
    return parts.filter(Boolean).join(' · ');
  }

  private modulesText(count: number): string {
    return count === 1 ? this.strings.oneModule : format(this.strings.manyModules, count);
  }

  private remember(): void {
    const { document: shown, draft, measure, filter } = this.state;
    if (shown) this.keep({ path: shown.adapter.path, draft, measure, filter });
  }
}

/** What a run's state means, where it needs words. */
function runText(run: RunView, states: PageStrings['states']): string | null {
  switch (run.state) {
    case 'no-models':
      return states.noModels;
    case 'idle':
      return states.idle;
    case 'running':
      return [
        run.bytesTotal > 0
          ? format(
              states.running,
              run.modulesDone,
              run.modulesTotal,
              bytesText(run.bytesDone),
              bytesText(run.bytesTotal),
            )
          : format(states.runningBare, run.modulesDone, run.modulesTotal),
        ...(run.fetched && run.fetched.bytesToFetch > 0
          ? [format(states.fetching, bytesText(run.fetched.bytesFetched), bytesText(run.fetched.bytesToFetch))]
          : []),
      ].join(' · ');
    case 'cancelled':
      return run.modulesDone > 0 ? format(states.cancelled, run.modulesDone, run.modulesTotal) : states.cancelledEarly;
    case 'failed':
    case 'done':
      return null;
  }
}
