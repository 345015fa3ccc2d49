// How long a stage of known size still takes, by its rate since it began.
export class TimeLeft {
  private stage = '';
  private started = 0;
  private from = 0;

  /** @returns seconds, rounded up; null where the rate is unknown */
  seconds(stage: string, done: number, total: number): number | null {
    if (this.stage !== stage || done < this.from)
      [this.stage, this.started, this.from] = [stage, performance.now(), done];
    if (done <= this.from) return null;
    return Math.ceil(((performance.now() - this.started) / 1000) * ((total - done) / (done - this.from)));
  }
}
