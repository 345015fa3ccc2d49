// The page as a whole: its parts, and which of them a change concerns.
import { type Call } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { ActionButtons } from './action-buttons';
import { Banners } from './banners';
import { AdapterHeatmapSource } from './heatmap-source';
import { ModuleTooltip } from './tooltip';
import { ModelList } from './models';
import { Notices } from './notices';
import { Heatmap } from '../heatmap/heatmap';
import { measureIds, type MeasureId } from '../shared/measures';
import { Profile } from './profile';
import { ProgressBar } from './progress';
import { headlineText } from './headline';
import { findingText, SelectionPanel } from './selection';
import { type Kept, type PageState } from './state';
import { ModuleTable } from './table';
import { onThemeChange } from '../shared/theme';
import { dropdown, element, format, setText, setTitle, show } from '../shared/ui';

export class Page {
  readonly root = element('div', { class: 'page' });
  readonly heatmap: Heatmap;
  private readonly title = element('h1');
  private readonly meta = element('p', { class: 'meta' });
  private readonly headline = element('p', { class: 'headline' });
  private readonly content = element('div', { class: 'content' });
  private readonly disclaimer = element('p', { class: 'disclaimer' });
  private readonly live = element('div', { class: 'visually-hidden', 'aria-live': 'polite' });
  private readonly measure;
  private readonly models: ModelList;
  private readonly banners: Banners;
  private readonly progress: ProgressBar;
  private readonly notices: Notices;
  private readonly actions: ActionButtons;
  private readonly selection: SelectionPanel;
  private readonly profile: Profile;
  private readonly table: ModuleTable;
  private readonly tooltip: ModuleTooltip;
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
    this.tooltip = new ModuleTooltip(state, strings);
    const source = new AdapterHeatmapSource(state, strings, this.tooltip, announce, (layer) =>
      this.heatmap.show(layer),
    );
    this.heatmap = new Heatmap(source, strings, announce);
    this.profile = new Profile(state, strings);
    this.table = new ModuleTable(state, strings, this.tooltip, announce);
    this.models = new ModelList(state, strings, call);
    this.banners = new Banners(state, strings, call);
    this.progress = new ProgressBar(state, strings);
    this.notices = new Notices(state, strings);
    this.actions = new ActionButtons(state, strings, {
      call,
      announce,
      exportPicture: () => void this.exportPicture(),
    });
    this.selection = new SelectionPanel(state, strings, this.actions.apply);
    const choices = measureIds.map((id) => ({ value: id, label: strings.measures[id] }));
    this.measure = dropdown(strings.measure, choices, (value) => {
      state.measure = value as MeasureId;
      this.heatmap.recolour();
      this.profile.update();
      state.emit('view');
    });
    setText(this.disclaimer, strings.disclaimer);
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

  revealModule(name: string): void {
    this.table.reveal(name);
  }

  private build(): void {
    const head = element(
      'header',
      {},
      element('div', { class: 'title' }, this.title, this.meta, this.headline),
      this.actions.toolbar,
      this.progress.root,
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
      element('main', {}, this.models.root, this.banners.root, this.notices.root, this.content, this.disclaimer),
      this.tooltip.root,
      this.live,
    );
  }

  private async exportPicture(): Promise<void> {
    const { name } = this.state.document!.adapter;
    const png = await this.heatmap.picture(`${name}: ${findingText(this.state, this.strings)}`);
    await this.call('exportPicture', png).catch(() => undefined);
  }

  private documentChanged(): void {
    const { document: shown, failure } = this.state;
    const broken = failure !== undefined;
    for (const part of [this.content, this.models.root, this.disclaimer]) show(part, !broken && shown !== undefined);
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
    this.heatmap.rebuild();
    this.table.rebuild();
    this.profile.update();
    this.selection.redraw();
    this.selectionChanged();
    this.models.update();
    this.banners.update();
    this.notices.update();
  }

  private measuredChanged(): void {
    this.heatmap.recolour();
    this.table.update();
    this.profile.update();
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
    this.drawHeadline();
    this.notices.update();
    this.actions.update();
  }

  private selectionChanged(): void {
    this.heatmap.remark();
    this.selection.update();
    this.profile.moveThreshold();
    this.table.remark();
    this.drawHeadline();
    this.actions.update();
  }

  private appliedChanged(): void {
    this.table.remark();
    this.heatmap.remark();
    this.banners.update();
    this.notices.update();
    this.actions.update();
  }

  private drawHeadline(): void {
    setText(this.headline, headlineText(this.state, this.strings));
  }

  private remember(): void {
    const { document: shown, draft, measure, filter } = this.state;
    if (shown) this.keep({ path: shown.adapter.path, draft, measure, filter });
  }
}
