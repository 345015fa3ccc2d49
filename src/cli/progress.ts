// Shows the progress of a walk over weights.
import { bytesText } from '../core/bytes';
import { type Fetched } from '../engine/fetching';
import { type Progress } from '../engine/run';
import { StatusLine } from './terminal';

export class ProgressLine extends StatusLine {
  private started = performance.now();
  private modules = '';
  private left = '';

  /** Restarts the estimate of the remaining time. */
  begin(): void {
    this.started = performance.now();
  }

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
