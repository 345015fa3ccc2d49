// The tooltip beside a cell or a row: every number of one module, each with its definition.
import { type PageStrings } from '../../src/page/adapter-strings';
import { numbersOf } from '../shared/measures';
import { Tooltip } from '../shared/tooltip';
import { element } from '../shared/ui';
import { type PageState } from './state';

export class ModuleTooltip extends Tooltip {
  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
  ) {
    super();
  }

  showModule(module: number, anchor: DOMRect): void {
    const { name, shape, rank, selectable } = this.state.document!.modules[module]!;
    const marks = [
      this.state.selected.has(module) && this.strings.legend.selected,
      this.state.isProjected(module) && this.strings.projectedMark,
      !selectable && this.strings.originalGone,
    ].filter((mark) => mark !== false);
    const numbers = numbersOf(this.state, module, this.strings).flatMap(({ label, text, definition }) => [
      element('dt', {}, label),
      element(
        'dd',
        {},
        element('span', { class: 'number' }, text),
        element('span', { class: 'definition' }, definition),
      ),
    ]);
    this.showBeside(anchor, [
      element('strong', {}, name),
      element('div', { class: 'definition' }, [`[${shape.join(' × ')}], r = ${rank}`, ...marks].join(' · ')),
      element('dl', {}, ...numbers),
    ]);
  }
}
