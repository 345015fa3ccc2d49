// The whole heatmap: a block for each stack or for the experts of one layer, with its legend.
import { type SharedStrings } from '../../src/page/strings';
import { readTheme } from '../shared/theme';
import { element, format, linkButton, setLabel } from '../shared/ui';
import { BlockChart, type Look, type MatrixChart, roomOf } from './block-chart';
import { CellNavigation } from './cell-navigation';
import { type Block, blocksOf, type OpenLayer } from './layout';
import { keysLegend, scaleLegend } from './legend';
import { pictureOf } from './picture';
import { type HeatmapSource } from './source';
import { svgOf } from './svg';

export class Heatmap {
  readonly root = element('div', { class: 'heatmap' });
  private readonly blocks = element('div', { class: 'blocks' });
  private readonly heading = element('div', { class: 'heatmap-heading' });
  private readonly legend = element('div', { class: 'legend' });
  private readonly look: Look;
  private drawn: BlockChart[] = [];
  private open: OpenLayer | undefined;

  constructor(
    private readonly source: HeatmapSource,
    private readonly strings: SharedStrings,
    private readonly announce: (text: string) => void,
  ) {
    this.look = { shown: source.shown, theme: readTheme(), highlighted: [] };
    this.root.append(this.legend, this.heading, this.blocks);
  }

  /** The charts' own data, for the tests and the developer tools. */
  get charts(): readonly MatrixChart[] {
    return this.drawn.map(({ chart }) => chart);
  }

  /** Rebuilds the blocks: the adapter changed, or a layer's experts were opened or closed. */
  rebuild(): void {
    for (const { chart } of this.drawn) chart.destroy();
    this.readLook();
    const { modules } = this.source;
    const { open } = this;
    const isThere = modules.some(
      ({ stack, layer, expert }) => expert !== null && stack === open?.stack && layer === open.layer,
    );
    if (!isThere) this.open = undefined;
    const blocks = blocksOf(modules, this.open, this.strings.noLayer);
    this.heading.replaceChildren(...this.headingParts());
    const frames = blocks.map((block) => this.frame(block, blocks.length > 1));
    this.blocks.replaceChildren(...frames.map(({ frame }) => frame));
    this.drawn = blocks.map((block, index) => this.draw(block, frames[index]!.canvas));
    this.drawLegend();
  }

  /** The values, measure or theme changed. */
  recolour(): void {
    this.readLook();
    for (const block of this.drawn) {
      block.recolour();
      setLabel(block.canvas, this.label());
    }
    this.drawLegend();
  }

  /** The selection changed: updates only the marks, and the threshold on the scale. */
  remark(): void {
    for (const { chart } of this.drawn) chart.draw();
    this.look.shown = this.source.shown;
    this.drawLegend();
  }

  /** Shows one layer's experts, or all layers. */
  show(layer: OpenLayer | undefined): void {
    this.open = layer;
    this.rebuild();
  }

  /** Frames the cells of these modules, independent of the pointer. */
  highlight(modules: readonly number[]): void {
    if (modules === this.look.highlighted) return;
    this.look.highlighted = modules;
    for (const { chart } of this.drawn) chart.draw();
  }

  /** The picture of all blocks with their names and scale, for a file. */
  picture(title: string): Promise<Uint8Array> {
    return pictureOf(title, this.drawn, this.look, this.strings);
  }

  /** The same as SVG, at its own size. */
  svg(title: string): string {
    const blocks = this.drawn.map(({ block }) => block);
    return svgOf(title, blocks, this.source, this.look, this.strings);
  }

  private readLook(): void {
    this.look.theme = readTheme();
    this.look.shown = this.source.shown;
  }

  private headingParts(): (Node | string)[] {
    if (!this.open) return [];
    const back = linkButton(`‹ ${this.strings.allLayers}`, () => this.openLayer(undefined));
    return [back, format(this.strings.experts, this.open.layer ?? this.strings.noLayer)];
  }

  private frame(block: Block, named: boolean): { frame: HTMLElement; canvas: HTMLCanvasElement } {
    const canvas = element('canvas', {
      tabindex: 0,
      role: 'application',
      'aria-roledescription': this.strings.heatmapRole,
    });
    setLabel(canvas, this.label());
    const box = element('div', { class: 'canvas-box' }, canvas);
    const { width, height } = roomOf(block);
    box.style.width = `${width}px`;
    box.style.height = `${height}px`;
    const name = named ? element('h3', {}, block.stack ?? this.strings.mainStack) : null;
    return { frame: element('figure', { class: 'block' }, name, box), canvas };
  }

  private draw(block: Block, canvas: HTMLCanvasElement): BlockChart {
    const drawn = new BlockChart(block, canvas, this.source, this.look);
    new CellNavigation(drawn, this.source, this.announce, (layer) => this.openLayer(layer)).listen();
    return drawn;
  }

  private label(): string {
    return `${format(this.strings.heatmap, this.look.shown.name)}. ${this.source.help}`;
  }

  private openLayer(layer: OpenLayer | undefined): void {
    this.source.open(layer);
    this.drawn[0]?.canvas.focus();
  }

  private drawLegend(): void {
    this.legend.replaceChildren(
      scaleLegend(this.look.shown, this.look.theme),
      keysLegend(this.source.keys, this.strings),
    );
  }
}
