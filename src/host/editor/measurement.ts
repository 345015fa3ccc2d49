// One adapter's way from two model folders to numbers: streamed, cancelled, resumed, and kept for every selection and window after it.
import * as vscode from 'vscode';
import { type Adapter } from '../../core/adapter';
import { folderName } from '../../core/model-names';
import { areAsStamped } from '../../core/files';
import { checkpointStamps, refuseOutdated } from '../../core/identity';
import { SafeLoraError } from '../../core/errors';
import { makePlan, type Plan } from '../../core/plan';
import { type Inspection, resultsOf } from '../../core/inspection';
import {
  buildReport,
  type Measured,
  type MeasuredModule,
  type ModuleFinding,
  type Report,
  selectable,
} from '../../core/report';
import { select, type Selection } from '../../core/rules';
import { type Fetched } from '../../engine/fetching';
import { measuredOf, type Progress } from '../../engine/run';
import { type Due, measureTogether, planFor, prepare } from '../../work/measure';
import { project, type Projected } from '../../work/project';
import { type Agree, type Services } from '../../work/services';
import { type ModelPair } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, errorView } from '../common/errors';
import { type HubService } from '../models/hub-service';
import { type InspectionStore } from '../status/store';
import { selectionSetting, setting } from '../settings/settings';
import { type ModelView, type RunState, type RunView } from '../../page/adapter';
import { type Log } from '../common/surface';

export class Measurement extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** The run moved on or changed its state. */
  readonly onDidChange = this.changed.event;
  private readonly moduleMeasured = this._register(new vscode.EventEmitter<string>());
  /** A module's numbers are there. */
  readonly onDidMeasure = this.moduleMeasured.event;
  private readonly replaced = this._register(new vscode.EventEmitter<void>());
  /** All numbers are others: dropped, or those of an earlier run. */
  readonly onDidReplace = this.replaced.event;

  private readonly results = new Map<string, ModuleFinding>();
  private plan: Plan | undefined;
  private state: RunState = 'idle';
  private failure: unknown;
  private device: Report['device'] | undefined;
  private progress: Progress | undefined;
  private fetched: Fetched | undefined;
  private bytesRead = 0;
  private seconds = 0;
  /** The numbers are those of an earlier run. */
  private recalled = false;
  /** Projections are wanted, which no earlier run kept. */
  private again = false;
  private abort: AbortController | undefined;
  private current: Promise<void> | undefined;
  private recalling: Promise<void> | undefined;
  private pause: Promise<void> | undefined;

  constructor(
    private adapter: Adapter,
    private readonly services: Services,
    private readonly hub: HubService,
    private pair: Partial<ModelPair>,
    private readonly scope: vscode.Uri,
    /** Where the numbers are kept; null for an adapter that is a copy of something else. */
    private readonly store: InspectionStore | null,
    private readonly log: Log,
  ) {
    super();
  }

  get models(): Partial<ModelPair> {
    return this.pair;
  }

  get isRunning(): boolean {
    return this.state === 'running';
  }

  /** @throws SafeLoraError where not every module was measured */
  get complete(): { plan: Plan; modules: MeasuredModule[] } {
    this.requireDone();
    return { plan: this.plan!, modules: this.measuredModules(this.plan!) };
  }

  /** Null before every module was measured. */
  get measured(): { modules: MeasuredModule[]; device: Report['device'] } | null {
    if (this.state !== 'done' || !this.plan) return null;
    return { modules: this.measuredModules(this.plan), device: this.device! };
  }

  /** @throws why it is not measured: the failure of the run, or that it was cancelled, or that there was none */
  requireDone(): void {
    if (this.state === 'failed' || this.state === 'cancelled') throw this.failure;
    if (this.state === 'done') return;
    throw notMeasured();
  }

  resultOf(module: string): ModuleFinding | undefined {
    return this.results.get(module);
  }

  /** Other models make other numbers. */
  async setModels(pair: Partial<ModelPair>): Promise<void> {
    if (pair.base === this.pair.base && pair.aligned === this.pair.aligned) return;
    await this.recalling;
    await this.stop();
    this.pair = pair;
    this.clear();
  }

  /**
   * Does something to the adapter's file while no run goes on, which would read its tensors where they no longer are.
   * @param action answers with the adapter as it is then, and whether its original weights are the same, so that all numbers hold
   */
  async paused(action: () => Promise<{ adapter: Adapter; same: boolean }>): Promise<void> {
    const resume = this.isRunning;
    const { promise, resolve } = deferred();
    this.pause = promise;
    try {
      await this.recalling;
      await this.stop();
      const { adapter, same } = await action();
      this.adapter = adapter;
      if (!same) this.clear();
      else if (this.plan) this.plan = makePlan(adapter, this.plan.base, this.plan.aligned);
    } finally {
      this.pause = undefined;
      resolve();
      if (resume) void this.run();
    }
  }

  /** Measures what is not measured yet, and everything where the models are no longer what they were. Failures end in the state, not in the promise. */
  run(agree: Agree = this.hub.agree): Promise<void> {
    this.current ??= this.afterRecall(agree).finally(() => {
      this.current = undefined;
    });
    return this.current;
  }

  /** Takes up the numbers of an earlier run where nothing has changed since, without reading a weight. */
  recall(): Promise<void> {
    this.recalling ??= this.tryToRecall()
      .catch((error: unknown) => {
        // A run will meet the same, and say it.
        this.log.debug(`Nothing recalled: ${(error as Error).message}`);
      })
      .finally(() => {
        this.recalling = undefined;
      });
    return this.recalling;
  }

  /** Keeps the numbers for the adapter's file as it is now. */
  async keep(): Promise<void> {
    if (!this.store || this.state !== 'done' || !this.plan) return;
    try {
      const { plan } = this;
      await this.store.keep(plan, this.report(selectionSetting(this.scope)), this.measuredModules(plan));
    } catch (error) {
      this.log.warn(`The result is not kept: ${(error as Error).message}`);
    }
  }

  /**
   * What a selection makes of the adapter; projections that were not kept are computed now.
   * @throws SafeLoraError where the models are no longer those that were measured
   */
  async projected(selection: Selection): Promise<Projected> {
    for (;;) {
      const { modules } = this.complete;
      if (!(await this.modelsHold())) {
        this.clear();
        throw modelsChanged(this.adapter.path);
      }
      const names = select(modules.map(selectable), selection);
      const missing = modules.filter(({ name, projected }) => names.has(name) && !projected?.bytes);
      if (missing.length === 0) return project(this.plan!, this.all(modules), selection, this.context);
      await this.measureAgain(missing.map(({ name }) => name));
    }
  }

  /** Where it does not come to its end, what was known stays known. */
  private async measureAgain(names: readonly string[]): Promise<void> {
    const before = new Map(this.results);
    for (const name of names) this.results.delete(name);
    this.state = 'idle';
    this.again = true;
    await this.run();
    this.again = false;
    if (this.measured) return;
    const { failure } = this;
    for (const [name, finding] of before) if (!this.results.has(name)) this.results.set(name, finding);
    this.enter('done');
    throw failure;
  }

  /**
   * What a run on the present models would measure, for a pass over several adapters; null where the numbers of an earlier run hold.
   * @throws SafeLoraError where a model or the adapter cannot be read
   */
  async toMeasure(signal: AbortSignal, agree: Agree): Promise<Due | null> {
    await this.recalling;
    return this.state === 'done' ? null : this.prepare(signal, agree);
  }

  /** Ends a run at once; what was measured stays. */
  async stop(): Promise<void> {
    this.abort?.abort(new Cancelled());
    await this.current;
  }

  report(selection: Selection): Report {
    const { plan, modules } = this.complete;
    return buildReport(plan, this.all(modules), selection, this.context);
  }

  /** @param selection for the totals and notices, which a threshold hardly changes */
  view(selection: Selection): RunView {
    const report = this.state === 'done' ? this.report(selection) : null;
    const { base, aligned } = this.pair;
    return {
      state: this.state === 'idle' && !(base && aligned) ? 'no-models' : this.state,
      base: modelView(base, this.plan?.base),
      aligned: modelView(aligned, this.plan?.aligned),
      modulesDone: this.results.size,
      modulesTotal: this.adapter.modules.length,
      bytesDone: this.progress?.bytesDone ?? 0,
      bytesTotal: this.progress?.bytesTotal ?? 0,
      fetched: this.fetched ?? null,
      error: this.state === 'failed' ? errorView(this.failure) : null,
      device: this.device ? { provider: this.device.provider, fallbackReason: this.device.fallbackReason } : null,
      totals: report?.totals ?? null,
      recalled: this.recalled,
      notices: report?.notices ?? this.plan?.notices ?? this.adapter.notices,
    };
  }

  override dispose(): void {
    this.abort?.abort(new Cancelled());
    super.dispose();
  }

  private async afterRecall(agree: Agree): Promise<void> {
    await this.recalling;
    if (this.results.size > 0 && !(await this.modelsHold())) this.clear();
    await this.walk(agree);
  }

  /** False where a file of either model is not the one that was read. */
  private async modelsHold(): Promise<boolean> {
    if (!this.plan) return true;
    return areAsStamped([this.plan.base, this.plan.aligned].flatMap((model) => checkpointStamps(model)));
  }

  private async tryToRecall(): Promise<void> {
    const { pair, adapter } = this;
    const { base, aligned } = pair;
    const entry = await this.store?.entry(adapter.path);
    if (!base || !aligned || !entry || !(await areAsStamped(entry.adapter.stamps))) return;
    const plan = makePlan(adapter, await this.hub.openKept(base), await this.hub.openKept(aligned));
    const inspection = await this.kept(plan);
    if (!inspection || this.isDisposed || this.state !== 'idle' || this.pair !== pair || this.adapter !== adapter)
      return;
    this.plan = plan;
    this.takeUp(inspection);
  }

  /** What was kept of a plan; the numbers of every module, or nothing. What keeps it from being read costs a run, no more. */
  private async kept(plan: Plan): Promise<Inspection | null> {
    if (!this.store) return null;
    try {
      const entry = await this.store.place(plan);
      const inspection = await this.store.load(entry.key);
      if (inspection) await this.store.point(this.adapter.path, entry);
      return inspection;
    } catch (error) {
      this.log.warn(`Nothing recalled: ${(error as Error).message}`);
      return null;
    }
  }

  private takeUp(inspection: Inspection): void {
    const { device, totals } = inspection.report;
    for (const [name, finding] of resultsOf(inspection)) this.results.set(name, finding);
    this.device = device;
    this.bytesRead = totals.bytesRead;
    this.seconds = totals.seconds;
    this.recalled = true;
    this.enter('done');
    this.replaced.fire();
  }

  private async walk(agree: Agree): Promise<void> {
    const { base, aligned } = this.pair;
    if (!base || !aligned || this.state === 'done') return;
    const abort = new AbortController();
    this.abort = abort;
    this.progress = undefined;
    this.fetched = undefined;
    this.enter('running');
    const started = performance.now();
    try {
      await this.pause;
      abort.signal.throwIfAborted();
      const due = await this.prepare(abort.signal, agree);
      if (!due) return;
      const [outcome] = await measureTogether([due.plan], due.device, this.services, {
        signal: abort.signal,
        known: this.results,
        onFetched: (fetched) => {
          this.fetched = fetched;
          this.changed.fire();
        },
        onProgress: (progress) => {
          const { name, measurement, projected } = progress.module;
          this.results.set(name, { measurement: measurement!, projected });
          this.progress = progress;
          this.moduleMeasured.fire(name);
          this.changed.fire();
        },
      });
      measuredOf(outcome!);
      await refuseOutdated(this.adapter);
      this.settle(started);
      this.enter('done');
      await this.keep();
    } catch (error) {
      this.failure = error;
      this.settle(started);
      this.enter(abort.signal.aborted || error instanceof Cancelled ? 'cancelled' : 'failed');
    } finally {
      this.abort = undefined;
    }
  }

  /** Plans a run; null where the numbers of an earlier one hold, which are taken up. */
  private async prepare(signal: AbortSignal, agree: Agree): Promise<Due | null> {
    const { base, aligned } = this.pair;
    await refuseOutdated(this.adapter);
    const plan = await planFor(this.adapter, { base: base!, aligned: aligned! }, this.services, signal);
    const before = this.plan;
    if (before && (before.base.realPath !== plan.base.realPath || before.aligned.realPath !== plan.aligned.realPath)) {
      // A branch on the hub has moved: numbers of two commits are no one run.
      this.results.clear();
      this.replaced.fire();
    }
    this.plan = plan;
    const kept = this.results.size === 0 && !this.again ? await this.kept(plan) : null;
    if (kept) {
      this.takeUp(kept);
      return null;
    }
    const device = await prepare([plan], setting('device', this.scope), this.services, { agree, signal });
    if (this.device && this.device.provider !== device.provider && this.results.size > 0) {
      // Numbers of two devices are no one run.
      this.results.clear();
      this.replaced.fire();
    }
    this.device = device;
    return { plan, device };
  }

  private settle(started: number): void {
    this.recalled = false;
    this.bytesRead += this.progress?.bytesRead ?? 0;
    this.seconds += (performance.now() - started) / 1000;
  }

  private enter(state: RunState): void {
    if (this.isDisposed) return;
    this.state = state;
    this.changed.fire();
  }

  private clear(): void {
    this.results.clear();
    this.plan = undefined;
    this.progress = undefined;
    this.bytesRead = 0;
    this.seconds = 0;
    this.recalled = false;
    this.state = 'idle';
    this.replaced.fire();
    this.changed.fire();
  }

  private get context(): { version: string; device: Report['device'] } {
    return { version: this.services.version, device: this.device! };
  }

  private all(modules: MeasuredModule[]): Measured {
    return { modules, bytesRead: this.bytesRead, seconds: this.seconds };
  }

  private measuredModules(plan: Plan): MeasuredModule[] {
    return plan.modules.map((module) => ({
      ...module,
      ...(this.results.get(module.name) ?? { measurement: null, projected: null }),
    }));
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function modelView(folder: string | undefined, opened: { name: string } | undefined): ModelView | null {
  if (folder === undefined) return null;
  return { name: opened?.name ?? folderName(folder), path: folder };
}

function notMeasured(): SafeLoraError {
  return new SafeLoraError('not-measured', vscode.l10n.t('The adapter is not measured yet; run it first.'));
}

function modelsChanged(adapter: string): SafeLoraError {
  return new SafeLoraError(
    'changed-on-disk',
    vscode.l10n.t('{0}: the models have changed on disk since the adapter was measured; measure it again.', adapter),
  );
}
