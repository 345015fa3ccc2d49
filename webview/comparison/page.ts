// The whole page of a comparison: the status of both adapters, three heatmaps, and the table of the same numbers.
import { findingSum } from '../../src/core/rules';
import { signed } from '../../src/core/text';
import { type ComparedAdapterView, type FromComparison, type Side, sides } from '../../src/page/comparison';
import { type ComparisonStrings } from '../../src/page/comparison-strings';
import { type OpenLayer } from '../heatmap/layout';
import { ComparisonTooltip } from './tooltip';
import { type Actions, DifferenceSource, SideSource } from './heatmap-sources';
import { type ComparisonState } from './state';
import { ComparedBehaviour } from './behaviour';
import { ComparisonTable } from './table';
import { Heatmap } from '../heatmap/heatmap';
import { keysLegend } from '../heatmap/legend';
import { measureIds, type MeasureId } from '../shared/measures';
import { onThemeChange } from '../shared/theme';
import { banner, dropdown, element, format, linkButton, setLabel, setText, setTitle, show } from '../shared/ui';

const NOTHING: readonly number[] = [];

export class ComparisonPage {
  readonly root = element('div', { class: 'page' });
  readonly maps: Record<Side | 'difference', Heatmap>;
  private readonly title = element('h1');
  private readonly common = element('p', { class: 'meta' });
  private readonly adapters = element('ul', { class: 'compared' });
  private readonly banners = element('div', { class: 'banners' });
  private readonly headings = { a: element('h2'), b: element('h2'), difference: element('h2') };
  private readonly content = element('div', { class: 'content', hidden: true });
  private readonly live = element('div', { class: 'visually-hidden', 'aria-live': 'polite' });
  private readonly tooltip: ComparisonTooltip;
  private readonly table: ComparisonTable;
  private readonly behaviour: ComparedBehaviour;

  constructor(
    readonly state: ComparisonState,
    private readonly strings: ComparisonStrings,
    private readonly send: (message: FromComparison) => void,
    keep: (measure: MeasureId) => void,
  ) {
    this.tooltip = new ComparisonTooltip(state, strings);
    this.table = new ComparisonTable(state, strings);
    this.behaviour = new ComparedBehaviour(state, strings);
    const announce = (text: string): void => {
      setText(this.live, text);
    };
    const actions: Actions = {
      point: (modules, anchor) => this.point(modules, anchor),
      leave: () => this.leave(),
      act: (module) => this.table.focus(module),
      open: (layer) => this.show(layer),
    };
    this.maps = {
      a: new Heatmap(new SideSource(state, strings, actions, 'a'), strings, announce),
      b: new Heatmap(new SideSource(state, strings, actions, 'b'), strings, announce),
      difference: new Heatmap(new DifferenceSource(state, strings, actions), strings, announce),
    };
    const choices = measureIds.map((id) => ({ value: id, label: strings.measures[id] }));
    const measure = dropdown(strings.measure, choices, (value) => {
      state.setMeasure(value as MeasureId);
      for (const map of Object.values(this.maps)) map.recolour();
      this.table.update();
      keep(state.measureId);
    });
    measure.value = state.measureId;
    setLabel(this.adapters, strings.adapters);
    setText(this.headings.difference, `${strings.differenceHeading} · ${strings.difference}`);
    this.build(measure);
    onThemeChange(() => {
      for (const map of Object.values(this.maps)) map.recolour();
      this.behaviour.update();
    });
  }

  /** The numbers or statuses changed. */
  update(): void {
    const { comparison } = this.state;
    if (!comparison) return;
    const { a, b } = comparison.adapters;
    setText(this.title, format(this.strings.title, a.name, b.name));
    setTitle(this.title, this.title.textContent);
    setText(this.common, this.commonText());
    this.adapters.replaceChildren(...sides.map((side) => this.adapterLine(side)));
    this.banners.replaceChildren(...this.bannerParts());
    for (const side of sides) {
      const { name } = comparison.adapters[side];
      setText(this.headings[side], `${this.strings.sides[side]} · ${name}`);
      setTitle(this.headings[side], name);
    }
    const hasNumbers = this.state.modules.length > 0;
    show(this.content, hasNumbers);
    if (!hasNumbers) return;
    for (const map of Object.values(this.maps)) map.rebuild();
    this.table.rebuild();
    this.behaviour.update();
  }

  private build(measure: HTMLElement): void {
    const panels = ([...sides, 'difference'] as const).map((map) =>
      element('section', { class: 'panel', 'data-map': map }, this.headings[map], this.maps[map].root),
    );
    const keys = keysLegend(['selected', 'projected', 'nearNull', 'pending'], this.strings);
    this.content.append(
      element('section', { class: 'maps' }, measure, element('div', { class: 'panels' }, ...panels), keys),
      this.behaviour.root,
      this.table.root,
      element('p', { class: 'disclaimer' }, this.strings.disclaimer),
    );
    this.banners.append(banner('information', this.strings.states.loading, []));
    this.root.append(
      element('header', {}, element('div', { class: 'title' }, this.title, this.common)),
      element('main', {}, this.adapters, this.banners, this.content),
      this.tooltip.root,
      this.live,
    );
  }

  private commonText(): string {
    const { modules, comparison } = this.state;
    if (!comparison!.adapters.a.finding || !comparison!.adapters.b.finding) return '';
    const onlyIn = (side: Side, other: Side): number => modules.filter(({ has }) => has[side] && !has[other]).length;
    const [onlyA, onlyB] = [onlyIn('a', 'b'), onlyIn('b', 'a')];
    const both = modules.length - onlyA - onlyB;
    return onlyA + onlyB === 0 ? format(this.strings.allCommon, both) : format(this.strings.common, both, onlyA, onlyB);
  }

  private adapterLine(side: Side): HTMLElement {
    const { name, path, finding } = this.state.comparison!.adapters[side];
    const open = linkButton(name, () => this.send({ type: 'open', side }), format(this.strings.open, name));
    setTitle(open, path);
    return element(
      'li',
      { 'data-side': side },
      element('span', { class: 'side-name' }, this.strings.sides[side]),
      open,
      element('span', { class: 'found' }, finding && this.foundText(finding)),
      element(
        'span',
        { class: 'direction' },
        finding?.direction != null && format(this.strings.totalDirection, signed(finding.direction)),
      ),
    );
  }

  private foundText({ selection, selected, modules }: NonNullable<ComparedAdapterView['finding']>): string {
    return findingSum(selection, selected.length, modules, this.strings.found);
  }

  private bannerParts(): HTMLElement[] {
    const { states } = this.strings;
    const { adapters, sameModels } = this.state.comparison!;
    const parts = sides.flatMap((side) => {
      const { finding } = adapters[side];
      if (finding) return [];
      const inspect = (): void => this.send({ type: 'inspect', side });
      return [
        banner('warning', this.statusText(adapters[side]), [
          [format(this.strings.inspect, this.strings.sides[side]), inspect],
        ]),
      ];
    });
    const [a, b] = [adapters.a.finding, adapters.b.finding];
    if (!a && !b) parts.push(banner('information', states.nothing, []));
    if (a && b && !sameModels) {
      const paths = [a, b].flatMap(({ base, aligned }) => [base.path, aligned.path]);
      parts.push(banner('warning', format(states.otherModels, ...paths), []));
    }
    return parts;
  }

  private statusText({ name, changed, problem }: ComparedAdapterView): string {
    const { states } = this.strings;
    if (problem !== null) return problem;
    if (changed === null) return format(states.uninspected, name);
    return format(changed === 'adapter' ? states.changedAdapter : states.changedModels, name);
  }

  private show(layer: OpenLayer | undefined): void {
    for (const map of Object.values(this.maps)) map.show(layer);
  }

  /** Frames the same cell in all three. */
  private point(modules: readonly number[], anchor: DOMRect): void {
    for (const map of Object.values(this.maps)) map.highlight(modules);
    if (modules.length === 1) {
      this.tooltip.showModule(modules[0]!, anchor);
      return;
    }
    const { kind, layer } = this.state.modules[modules[0]!]!;
    const title = `${this.strings.layer} ${layer ?? this.strings.noLayer}, ${kind}`;
    this.tooltip.showText(title, format(this.strings.expertsCell, modules.length), anchor);
  }

  private leave(): void {
    for (const map of Object.values(this.maps)) map.highlight(NOTHING);
    this.tooltip.hide();
  }
}
