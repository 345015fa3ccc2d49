// Lines on standard error: how far the work is, where a person is watching, and what is waited for.
import { bytesText } from '../core/bytes';
import { type Fetched } from '../engine/fetching';
import { type Progress } from '../engine/run';

/** To the line's start, which is then empty. */
const CLEAR = '\r\x1b[K';

/** A line that stays, in place of one that is written over and over. */
export function notice(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? CLEAR : ''}safe-lora: ${text}\n`);
}

/** A line that is written over and over. */
export class StatusLine {
  private shown = false;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  show(text: string): void {
    if (!this.stream.isTTY) return;
    this.stream.write(CLEAR + text);
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.stream.write(CLEAR);
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
