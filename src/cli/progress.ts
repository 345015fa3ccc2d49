// One line on standard error that says how far the work is, where a person is watching.
import { bytesText } from '../core/bytes';
import { type Fetched } from '../engine/fetching';
import { type Progress } from '../engine/run';

/** A line that is written over and over. */
export class StatusLine {
  private shown = false;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(text: string): void {
    if (!this.stream.isTTY) return;
    this.stream.write(`\r\x1b[K${text}`);
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.stream.write('\r\x1b[K');
    this.shown = false;
  }
}

/** That of a walk over weights. */
export class ProgressLine extends StatusLine {
  private readonly started = performance.now();
  private modules = '';
  private left = '';

  update({ modulesDone, modulesTotal, bytesDone, bytesTotal, ...fetched }: Progress): void {
    const left = ((performance.now() - this.started) / 1000) * (bytesTotal / bytesDone - 1);
    this.modules = `${modulesDone} of ${modulesTotal} modules, ${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`;
    this.left = `, ${Math.ceil(left)} s left`;
    this.fetched(fetched);
  }

  fetched({ bytesFetched, bytesToFetch }: Fetched): void {
    const fetched = bytesToFetch === 0 ? '' : `${bytesText(bytesFetched)} of ${bytesText(bytesToFetch)} fetched`;
    this.show([fetched, this.modules].filter(Boolean).join(', ') + this.left);
  }
}
