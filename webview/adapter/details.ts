// The panel below the heatmap: the numbers of the last module pointed at, their meaning, and how to read them.
import { type MeasureName } from '../../src/core/measure-names';
import { decimal, percent, signed, UNDEFINED } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { isNearNull, magnitude } from '../shared/measures';
import { element, format, linkButton, setLabel } from '../shared/ui';
import { type PageState } from './state';

/** The numbers in display order, each with its text. */
const FIGURES = [
  ['similarity', decimal],
  ['nullSimilarity', decimal],
  ['direction', signed],
  ['gain', percent],
  ['updateNorm', magnitude],
  ['alignmentNorm', magnitude],
  ['participationRatio', (value: number) => (Number.isNaN(value) ? UNDEFINED : `≈ ${magnitude(value)}`)],
] as const satisfies [MeasureName, (value: number) => string][];
type Figure = (typeof FIGURES)[number];

export class ModuleDetails {
  readonly root = element('section', { class: 'details' });
  private readonly shown = element('div', { class: 'details-shown' });
  private modules: readonly number[] = [];

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    private readonly copy: (text: string) => void,
  ) {
    const { names, definitions, details } = strings;
    setLabel(this.root, details.label);
    const explained = FIGURES.flatMap(([name]) => [
      element('dt', {}, names[name]),
      element('dd', { class: 'definition' }, definitions[name]),
    ]);
    this.root.append(
      this.shown,
      element(
        'details',
        {},
        element('summary', {}, details.howToRead),
        element('dl', {}, ...explained),
        element('p', { class: 'definition' }, strings.disclaimer),
      ),
    );
    this.update();
  }

  /** @param modules of one cell */
  show(modules: readonly number[]): void {
    if (modules.length === this.modules.length && modules.every((module, i) => module === this.modules[i])) return;
    this.modules = modules;
    this.update();
  }

  /** Updates numbers, selection or adapter; unchanged parts stay, with their focus and text selection. */
  update(): void {
    const all = this.state.document?.modules.length ?? 0;
    if (this.modules.some((module) => module >= all)) this.modules = [];
    const next = element('div', { class: 'details-shown' }, ...this.parts());
    if (next.isEqualNode(this.shown)) return;
    const hadFocus = this.shown.contains(document.activeElement);
    this.shown.replaceChildren(...next.childNodes);
    if (hadFocus) this.shown.querySelector('button')?.focus();
  }

  private parts(): HTMLElement[] {
    const [module] = this.modules;
    if (module === undefined) return [element('p', { class: 'definition' }, this.strings.details.none)];
    return this.modules.length > 1 ? this.ofExperts(this.modules) : this.ofModule(module);
  }

  private ofExperts(modules: readonly number[]): HTMLElement[] {
    const { kind, layer } = this.state.document!.modules[modules[0]!]!;
    const selected = modules.filter((module) => this.state.selected.has(module)).length;
    return [
      element('strong', {}, `${this.strings.layer} ${layer ?? this.strings.noLayer}, ${kind}`),
      element('p', {}, format(this.strings.expertsCell, modules.length, selected)),
    ];
  }

  private ofModule(module: number): HTMLElement[] {
    const { name, shape, rank } = this.state.document!.modules[module]!;
    const facts = [`[${shape.join(' × ')}]`, `r = ${rank}`, ...this.marks(module)];
    return [
      element('div', { class: 'details-head' }, element('strong', {}, name), this.copyButton(module)),
      element('div', { class: 'definition' }, facts.join(' · ')),
      element('dl', { class: 'figures' }, ...FIGURES.map((figure) => this.figure(module, figure))),
      element('p', {}, this.meaning(module)),
    ];
  }

  private copyButton(module: number): HTMLElement {
    const { actions, details, names } = this.strings;
    return linkButton(
      actions.copy,
      () => {
        const { name } = this.state.document!.modules[module]!;
        const figures = FIGURES.map((figure) => `${names[figure[0]]}\t${this.texts(module, figure).join(' → ')}`);
        this.copy([name, ...figures].join('\n'));
      },
      details.copy,
    );
  }

  private marks(module: number): string[] {
    const { legend, projectedMark, originalGone } = this.strings;
    return [
      ...(this.state.selected.has(module) ? [legend.selected] : []),
      ...(this.state.isProjected(module) ? [projectedMark] : []),
      ...(this.state.document!.modules[module]!.selectable ? [] : [originalGone]),
    ];
  }

  private figure(module: number, figure: Figure): HTMLElement {
    const [column] = figure;
    const [before, after] = this.texts(module, figure);
    return element(
      'div',
      { 'data-figure': column },
      element('dt', { class: 'definition', title: this.strings.definitions[column] }, this.strings.names[column]),
      element('dd', { class: 'number' }, before, after ? element('span', { class: 'after' }, ` → ${after}`) : null),
    );
  }

  /** A number, and its value after the projection if different. */
  private texts(module: number, [column, text]: Figure): string[] {
    const value = this.state.value(module, column);
    const spread = this.state.value(module, 'nullSpread');
    const before =
      column === 'nullSimilarity' && !Number.isNaN(value) ? `${text(value)} ± ${text(spread)}` : text(value);
    const after = this.state.valueAfter(module, column);
    return after !== null && text(after) !== text(value) ? [before, text(after)] : [before];
  }

  /** One sentence each: against chance, for or against the alignment, and after a projection. */
  private meaning(module: number): string {
    const { meaning } = this.strings.details;
    const value = (column: MeasureName): number => this.state.value(module, column);
    if (Number.isNaN(value('similarity'))) return meaning.none;
    const direction = value('direction');
    return [
      isNearNull(this.state, module) ? meaning.chance : meaning.aboveChance,
      direction < 0 ? meaning.against : meaning.along,
      format(meaning.kept, percent(value('gain'))),
    ].join(' ');
  }
}
