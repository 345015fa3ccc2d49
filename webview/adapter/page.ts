// The whole page: its parts, and the ones that each change affects.
import { type Call, type TensorView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { BehaviourPanel } from '../behaviour/panel';
import { ActionButtons } from './action-buttons';
import { Banners } from './banners';
import { AdapterHeatmapSource } from './heatmap-source';
import { ModuleDetails } from './details';
import { ModelList } from './models';
import { Notices } from './notices';
import { Heatmap } from '../heatmap/heatmap';
import { measureIds, type MeasureId } from '../shared/measures';
import { Profile } from './profile';
import { ProgressBar } from './progress';
import { headlineText } from './headline';
import { Sweep } from './sweep';
import { findingText, SelectionPanel } from './selection';
import { type Colouring, colourings, type Kept, type PageState, type ViewName } from './state';
import { ModuleTable } from './table';
import { TensorList } from './tensors';
import { Tabs } from '../shared/tabs';
import { onThemeChange } from '../shared/theme';
import { dropdown, element, format, radioGroup, setText, setTitle, show } from '../shared/ui';

export class Page {
  readonly root = element('div', { class: 'page' });
  readonly heatmap: Heatmap;
  private readonly title = element('h1');
  private readonly meta = element('p', { class: 'meta' });
  private readonly headline = element('p', { class: 'headline' });
  private readonly content = element('div', { class: 'content', id: 'view' });
  private readonly tabs: Tabs<ViewName>;
  private readonly behaviour: BehaviourPanel;
  /** Shown in the first view only. */
  private readonly weights: HTMLElement[];
  private readonly live = element('div', { class: 'visually-hidden', 'aria-live': 'polite' });
  private readonly measure;
  private readonly colours;
  private readonly side;
  private readonly sideNote = element('span', { class: 'definition', 'aria-live': 'polite' });
  private readonly models: ModelList;
  private readonly banners: Banners;
  private readonly progress: ProgressBar;
  private readonly notices: Notices;
  private readonly actions: ActionButtons;
  private readonly selection: SelectionPanel;
  private readonly profile: Profile;
  private readonly sweep: Sweep;
  private readonly table: ModuleTable;
  private readonly tensors: TensorList;
  private readonly details: ModuleDetails;
  private wasRunning = false;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly call: Call,
    private readonly keep: (kept: Kept) => void,
  ) {
    const announce = (text: string): void => {
      setText(this.live, text);
    };
    const copy = (text: string): void => {
      void call('copyText', text).then(
        () => announce(strings.announce.copied),
        () => undefined,
      );
    };
    this.details = new ModuleDetails(state, strings, copy);
    const source = new AdapterHeatmapSource(state, strings, this.details, announce, (layer) =>
      this.heatmap.show(layer),
    );
    this.heatmap = new Heatmap(source, strings, announce);
    this.profile = new Profile(state, strings);
    this.sweep = new Sweep(state, strings);
    this.table = new ModuleTable(state, strings, { point: (modules) => this.details.show(modules), announce, copy });
    this.tensors = new TensorList(strings, call);
    this.models = new ModelList(state, strings, call);
    this.banners = new Banners(state, strings, call);
    this.progress = new ProgressBar(state, strings);
    this.notices = new Notices(state, strings);
    this.actions = new ActionButtons(state, strings, {
      call,
      announce,
      exportPicture: (format) => void this.exportPicture(format),
      copyPicture: () => void this.copyPicture(),
    });
    this.selection = new SelectionPanel(state, strings, this.actions.apply);
    this.behaviour = new BehaviourPanel(state, strings, call);
    const views = (['weights', 'behaviour'] as const).map((id) => ({ id, label: strings.behaviour.tabs[id] }));
    this.tabs = new Tabs(strings.behaviour.tabs.label, views, this.content, (view) => state.setView(view));
    const choices = measureIds.map((id) => ({ value: id, label: strings.measures[id] }));
    this.measure = dropdown(strings.measure, choices, (value) => {
      state.measure = value as MeasureId;
      this.viewChanged();
    });
    const scales = colourings.map((id) => ({ value: id, label: strings.colours[id] }));
    this.colours = dropdown(strings.colours.label, scales, (value) => {
      state.colours = value as Colouring;
      this.viewChanged();
    });
    const sides = (['before', 'after'] as const).map((id) => ({ value: id, label: strings.sides[id] }));
    this.side = radioGroup(strings.sides.label, sides, (value) => {
      if (state.showsAfter === (value === 'after')) return;
      state.showsAfter = value === 'after';
      this.viewChanged();
      if (state.showsAfter && !state.hasAfter) void this.measureProjection();
    });
    this.weights = this.build();
    state.onChange((change) => {
      if (change === 'document') this.documentChanged();
      if (change === 'run') this.runChanged();
      if (change === 'measured') this.measuredChanged();
      if (change === 'selection') this.selectionChanged();
      if (change === 'applied') this.appliedChanged();
      if (change === 'tab') this.tabChanged();
      if (change === 'behaviour') this.behaviourChanged();
      if (change === 'answers') this.behaviour.answersChanged();
      this.remember();
    });
    onThemeChange(() => {
      this.heatmap.recolour();
      this.profile.update();
      this.sweep.update();
      this.selection.redraw();
      this.behaviour.update();
    });
  }

  offerProjection(): void {
    this.actions.offer();
  }

  showTensors(tensors: readonly TensorView[]): void {
    this.tensors.show(tensors);
  }

  revealModule(name: string): void {
    this.table.reveal(name);
  }

  /** @returns what the first view alone shows */
  private build(): HTMLElement[] {
    const head = element(
      'header',
      {},
      element('div', { class: 'title' }, this.title, this.meta),
      this.actions.toolbar,
      this.headline,
      this.tabs.root,
      this.progress.root,
    );
    const map = element(
      'section',
      { class: 'map' },
      element('div', { class: 'map-head' }, this.measure, this.colours, this.side, this.sideNote),
      this.heatmap.root,
      this.details.root,
      this.sweep.root,
    );
    // It hides itself where the adapter has a single layer.
    const profile = element('div', {}, this.profile.root);
    this.content.append(
      element(
        'div',
        { class: 'columns' },
        map,
        this.behaviour.main,
        element('div', { class: 'side' }, this.selection.root, profile, this.behaviour.side),
      ),
      this.table.root,
      this.behaviour.below,
    );
    this.root.append(
      head,
      element('main', {}, this.models.root, this.banners.root, this.notices.root, this.content, this.tensors.root),
      this.live,
    );
    return [map, profile, this.table.root, this.tensors.root];
  }

  private get pictureTitle(): string {
    return `${this.state.document!.adapter.name}: ${findingText(this.state, this.strings)}`;
  }

  private async exportPicture(format: 'png' | 'svg'): Promise<void> {
    const picture =
      format === 'png'
        ? await this.heatmap.picture(this.pictureTitle)
        : new TextEncoder().encode(this.heatmap.svg(this.pictureTitle));
    await this.call('exportPicture', format, picture).catch(() => undefined);
  }

  /** If the clipboard does not accept the picture, it is saved as a file. */
  private async copyPicture(): Promise<void> {
    const png = await this.heatmap.picture(this.pictureTitle);
    try {
      const type = 'image/png';
      await navigator.clipboard.write([new ClipboardItem({ [type]: new Blob([png.slice()], { type }) })]);
      setText(this.live, this.strings.announce.copied);
    } catch {
      await this.call('exportPicture', 'png', png).catch(() => undefined);
    }
  }

  private documentChanged(): void {
    const { document: shown, failure } = this.state;
    const broken = failure !== undefined;
    this.tensors.clear();
    for (const part of [this.content, this.models.root, this.tabs.root]) show(part, !broken && shown !== undefined);
    this.tabChanged();
    if (broken) {
      setText(this.title, failure.path.split(/[\\/]/).slice(-2).join('/'));
      setText(this.meta, '');
      setText(this.headline, '');
      this.banners.update();
      this.notices.update();
      this.actions.update();
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
    this.colours.value = this.state.colours;
    this.drawSides();
    this.details.update();
    this.heatmap.rebuild();
    this.table.rebuild();
    this.profile.update();
    this.sweep.update();
    this.selection.redraw();
    this.selectionChanged();
    this.models.update();
    this.banners.update();
    this.notices.update();
  }

  private measuredChanged(): void {
    this.drawSides();
    this.heatmap.recolour();
    this.details.update();
    this.table.update();
    this.profile.update();
    this.sweep.update();
    this.selection.redraw();
    this.drawHeadline();
    this.actions.update();
  }

  private runChanged(): void {
    const running = this.state.run?.state === 'running';
    if (this.wasRunning && this.state.run?.state === 'done')
      setText(this.live, `${this.strings.announce.done} ${findingText(this.state, this.strings)}`);
    this.wasRunning = running;
    this.models.update();
    this.banners.update();
    this.progress.update();
    this.drawSides();
    this.drawHeadline();
    this.notices.update();
    this.actions.update();
  }

  private selectionChanged(): void {
    if (this.state.measure === 'similarity' && this.state.colours === 'threshold') this.heatmap.recolour();
    else this.heatmap.remark();
    this.details.update();
    this.selection.update();
    this.profile.moveThreshold();
    this.sweep.moveThreshold();
    this.table.remark();
    this.behaviour.remark();
    this.drawHeadline();
    this.actions.update();
  }

  private behaviourChanged(): void {
    this.behaviour.update();
    this.actions.update();
  }

  private tabChanged(): void {
    // The tensors of a file that cannot be read are all there is to show.
    const isBehaviour = this.state.view === 'behaviour' && this.state.failure === undefined;
    for (const part of this.weights) show(part, !isBehaviour);
    this.content.classList.toggle('of-behaviour', isBehaviour);
    this.tabs.select(this.state.view);
    this.behaviour.show(isBehaviour);
    this.actions.update();
  }

  private appliedChanged(): void {
    this.table.remark();
    this.heatmap.remark();
    this.details.update();
    this.drawSides();
    this.banners.update();
    this.notices.update();
    this.actions.update();
  }

  /** The measure, the colours or the displayed side changed. */
  private viewChanged(): void {
    this.drawSides();
    this.heatmap.recolour();
    this.table.update();
    this.profile.update();
    this.state.emit('view');
  }

  /** On failure the host has reported it, and the numbers before are shown. */
  private async measureProjection(): Promise<void> {
    await this.call('measureProjection').catch(() => {
      this.state.showsAfter = false;
      this.viewChanged();
    });
  }

  private drawSides(): void {
    show(this.colours, this.state.measure === 'similarity');
    show(this.side, this.state.run?.state === 'done' && (this.state.applied?.canRestore ?? false));
    this.side.value = this.state.showsAfter ? 'after' : 'before';
    setText(this.sideNote, this.state.showsAfter && !this.state.hasAfter ? this.strings.sides.pending : '');
  }

  private drawHeadline(): void {
    setText(this.headline, headlineText(this.state, this.strings));
  }

  private remember(): void {
    const { document: shown, draft, measure, colours, filter, layers, view } = this.state;
    if (shown) this.keep({ path: shown.adapter.path, draft, measure, colours, filter, layers, view });
  }
}
