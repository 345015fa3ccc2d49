// The tensors of the adapter's file, even if Safe LoRA refuses it. Read from the file when opened here.
import { type Call, type TensorView } from '../../src/page/adapter';
import { type PageStrings } from '../../src/page/adapter-strings';
import { element, format, setText } from '../shared/ui';

/** More rows would slow down the page. */
const MOST_ROWS = 2000;

export class TensorList {
  readonly root = element('details', { class: 'tensors' });
  private readonly summary = element('summary');
  private readonly box = element('div', { class: 'table-box' });

  constructor(
    private readonly strings: PageStrings,
    call: Call,
  ) {
    this.root.append(this.summary, this.box);
    this.clear();
    this.root.addEventListener('toggle', () => {
      if (!this.root.open) return;
      call('listTensors').catch(() => {
        this.root.open = false;
      });
    });
  }

  /** The file or its content changed. */
  clear(): void {
    this.root.open = false;
    this.box.replaceChildren();
    setText(this.summary, this.strings.tensors.title);
  }

  show(tensors: readonly TensorView[]): void {
    const { title, name, dtype, shape, more } = this.strings.tensors;
    setText(this.summary, `${title} (${tensors.length})`);
    const head = [name, dtype, shape].map((text) => element('th', { scope: 'col' }, text));
    const rows = tensors
      .slice(0, MOST_ROWS)
      .map((tensor) =>
        element(
          'tr',
          {},
          element('td', { title: tensor.name }, tensor.name),
          element('td', {}, tensor.dtype),
          element('td', {}, `[${tensor.shape.join(' × ')}]`),
        ),
      );
    this.box.replaceChildren(
      element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows)),
    );
    if (tensors.length > MOST_ROWS)
      this.box.append(element('p', { class: 'empty' }, format(more, tensors.length - MOST_ROWS)));
  }
}
