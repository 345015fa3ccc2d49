// Parts of the adapter that no projection changes, and remarks to read with care.
import { type PageStrings } from '../../src/page/adapter-strings';
import { element, setLabel, show } from '../shared/ui';
import { type PageState } from './state';

export class Notices {
  readonly root = element('ul', { class: 'notices' });

  constructor(
    private readonly state: PageState,
    strings: PageStrings,
  ) {
    setLabel(this.root, strings.notices);
  }

  update(): void {
    // Shown in its own banner.
    const notices = (this.state.run?.notices ?? []).filter(({ code }) => code !== 'already-projected');
    show(this.root, notices.length > 0 && this.state.failure === undefined);
    this.root.replaceChildren(...notices.map(({ code, message }) => element('li', { 'data-code': code }, message)));
  }
}
