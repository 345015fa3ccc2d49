// One line on standard error that says how far the walk is, where a person is watching.
import { bytesText } from '../core/bytes';
import { type Progress } from '../engine/run';

export class ProgressLine {
  private readonly started = performance.now();
  private shown = false;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  update({ modulesDone, modulesTotal, bytesDone, bytesTotal }: Progress): void {
    if (!this.stream.isTTY) return;
    const left = ((performance.now() - this.started) / 1000) * (bytesTotal / bytesDone - 1);
    this.stream.write(
      `\r\x1b[K${modulesDone} of ${modulesTotal} modules, ${bytesText(bytesDone)} of ${bytesText(bytesTotal)}, ${Math.ceil(left)} s left`,
    );
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.stream.write('\r\x1b[K');
    this.shown = false;
  }
}
