// Measures one adapter with two models: streamed, cancellable, resumable, and cached for later selections and windows.
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
import { type ModelView, type RunView } from '../../page/adapter';
import { type Log } from '../common/surface';

/** The state of the run. */
type Phase =
  | { state: 'idle' | 'done' }
  | { state: 'running'; progress: Progress | null; fetched: Fetched | null }
  | { state: 'cancelled' | 'failed'; failure: unknown };

/** The numbers' sources and cost. */
interface Ground {
  plan: Plan | null;
  device: Report['device'] | null;
  bytesRead: number;
  seconds: number;
  /** The numbers are from an earlier run. */
  recalled: boolean;
}

const nothing: Readonly<Ground> = { plan: null, device: null, bytesRead: 0, seconds: 0, recalled: false };

export class MeasuringRun extends Disposable {
  private readonly changed = this._register(new vscode.EventEmitter<void>());
  /** The run progressed or changed its state. */
  readonly onDidChange = this.changed.event;
  private readonly moduleMeasured = this._register(new vscode.EventEmitter<string>());
  /** A module's numbers arrived. */
  readonly onDidMeasure = this.moduleMeasured.event;
  private readonly replaced = this._register(new vscode.EventEmitter<void>());
  /** All numbers changed: dropped, or replaced by an earlier run's. */
  readonly onDidReplace = this.replaced.event;
  private readonly finished = this._register(new vscode.EventEmitter<void>());
  /** A run has measured the last module. */
  readonly onDidFinish = this.finished.event;

  private readonly results = new Map<string, ModuleFinding>();
  private ground: Ground = { ...nothing };
  private phase: Phase = { state: 'idle' };
  /** Of the current run, independent of its phase. */
  private aborting: AbortController | undefined;
  /** Projections are needed, which no earlier run kept. */
  private again = false;
  private current: Promise<void> | undefined;
  private recalling: Promise<void> | undefined;
  private pause: Promise<void> | undefined;

  constructor(
    private adapter: Adapter,
    private readonly services: Services,
    private readonly hub: HubService,
    private pair: Partial<ModelPair>,
    private readonly scope: vscode.Uri,
    /** The store of the numbers; null for a temporary copy of an adapter. */
    private readonly store: InspectionStore | null,
    private readonly log: Log,
  ) {
    super();
  }

  get models(): Partial<ModelPair> {
    return this.pair;
  }

  get isRunning(): boolean {
    return this.phase.state === 'running';
  }

  /** @throws SafeLoraError unless every module was measured */
  get complete(): { plan: Plan; modules: MeasuredModule[] } {
    this.requireDone();
    const plan = this.ground.plan!;
    return { plan, modules: this.measuredModules(plan) };
  }

  /** Null until every module was measured. */
  get measured(): { modules: MeasuredModule[]; device: Report['device'] } | null {
    const { plan, device } = this.ground;
    if (this.phase.state !== 'done' || !plan) return null;
    return { modules: this.measuredModules(plan), device: device! };
  }

  /** Why the last run failed, else undefined. */
  get failure(): unknown {
    return this.phase.state === 'failed' ? this.phase.failure : undefined;
  }

  /** @throws the reason if it is not measured: the run's failure, its cancellation, or that there was none */
  requireDone(): void {
    const { phase } = this;
    if ('failure' in phase) throw phase.failure;
    if (phase.state === 'done') return;
    throw notMeasured();
  }

  resultOf(module: string): ModuleFinding | undefined {
    return this.results.get(module);
  }

  /** Other models give other numbers. */
  async setModels(pair: Partial<ModelPair>): Promise<void> {
    if (pair.base === this.pair.base && pair.aligned === this.pair.aligned) return;
    await this.recalling;
    await this.stop();
    this.pair = pair;
    this.clear();
  }

  /**
   * Runs an action on the adapter's file between runs, which would read its tensors at old offsets.
   * @param action returns the new adapter, and whether its original weights are unchanged, so that all numbers stay valid
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
      else if (this.ground.plan) this.ground.plan = makePlan(adapter, this.ground.plan.base, this.ground.plan.aligned);
    } finally {
      this.pause = undefined;
      resolve();
      if (resume) void this.run();
    }
  }

  /** Measures the missing modules, or everything if the models changed. Failures change the state, and do not reject the promise. */
  run(agree: Agree = this.hub.agree): Promise<void> {
    this.current ??= this.afterRecall(agree).finally(() => {
      this.current = undefined;
    });
    return this.current;
  }

  /** Restores an earlier run's numbers if nothing has changed, without reading weights. */
  recall(): Promise<void> {
    this.recalling ??= this.tryToRecall()
      .catch((error: unknown) => {
        // A run will hit the same failure, and report it.
        this.log.debug(`Nothing recalled: ${(error as Error).message}`);
      })
      .finally(() => {
        this.recalling = undefined;
      });
    return this.recalling;
  }

  /** Caches the numbers for the adapter's present file. */
  async keep(): Promise<void> {
    const { plan } = this.ground;
    if (!this.store || this.phase.state !== 'done' || !plan) return;
    try {
      await this.store.keep(plan, this.report(selectionSetting(this.scope)), this.measuredModules(plan));
    } catch (error) {
      this.log.warn(`The result is not kept: ${(error as Error).message}`);
    }
  }

  /**
   * The result of a selection; missing projections are computed now.
   * @throws SafeLoraError if the models changed since they were measured
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
      if (missing.length === 0) return project(this.ground.plan!, this.all(modules), selection, this.context);
      await this.measureAgain(missing.map(({ name }) => name));
    }
  }

  /** The projections of this run, which another walk over the same models need not compute. */
  async knownProjections(): Promise<ReadonlyMap<string, ModuleFinding>> {
    if (!(await this.modelsHold())) return new Map();
    return new Map([...this.results].filter(([, { projected }]) => projected?.bytes));
  }

  /** Measures every module once more, as after a change of the device. What was known stays known where that fails. */
  async repeat(): Promise<void> {
    this.requireDone();
    const { ground } = this;
    const results = new Map(this.results);
    this.ground = { ...ground, bytesRead: 0, seconds: 0 };
    try {
      await this.measureAgain([...results.keys()]);
    } catch (error) {
      // All of them: the numbers of two devices must not mix.
      this.ground = ground;
      for (const [name, finding] of results) this.results.set(name, finding);
      this.replaced.fire();
      this.changed.fire();
      throw error;
    }
    this.finished.fire();
  }

  /** Where it does not come to its end, what was known stays known. */
  private async measureAgain(names: readonly string[]): Promise<void> {
    const before = new Map(this.results);
    for (const name of names) this.results.delete(name);
    this.phase = { state: 'idle' };
    this.again = true;
    await this.run();
    this.again = false;
    if (this.measured) return;
    const { phase } = this;
    for (const [name, finding] of before) if (!this.results.has(name)) this.results.set(name, finding);
    this.enter({ state: 'done' });
    // A tab closed meanwhile must not enter a phase.
    throw 'failure' in phase ? phase.failure : new Cancelled();
  }

  /**
   * The work of a run on the present models, for a pass over several adapters; null if an earlier run's numbers are valid.
   * @throws SafeLoraError if a model or the adapter is unreadable
   */
  async toMeasure(signal: AbortSignal, agree: Agree): Promise<Due | null> {
    await this.recalling;
    return this.phase.state === 'done' ? null : this.prepare(signal, agree);
  }

  /** Ends a run at once; keeps results so far. */
  async stop(): Promise<void> {
    this.abort();
    await this.current;
  }

  report(selection: Selection): Report {
    const { plan, modules } = this.complete;
    return buildReport(plan, this.all(modules), selection, this.context);
  }

  /** @param selection for the totals and notices, which a threshold hardly changes */
  view(selection: Selection): RunView {
    const { phase, ground } = this;
    const report = phase.state === 'done' ? this.report(selection) : null;
    const { base, aligned } = this.pair;
    const running = phase.state === 'running' ? phase : null;
    return {
      state: phase.state === 'idle' && !(base && aligned) ? 'no-models' : phase.state,
      base: modelView(base, ground.plan?.base),
      aligned: modelView(aligned, ground.plan?.aligned),
      modulesDone: this.results.size,
      modulesTotal: this.adapter.modules.length,
      bytesDone: running?.progress?.bytesDone ?? 0,
      bytesTotal: running?.progress?.bytesTotal ?? 0,
      fetched: running?.fetched ?? null,
      error: phase.state === 'failed' ? errorView(phase.failure) : null,
      device: ground.device && { provider: ground.device.provider, fallbackReason: ground.device.fallbackReason },
      totals: report?.totals ?? null,
      recalled: ground.recalled,
      notices: report?.notices ?? ground.plan?.notices ?? this.adapter.notices,
    };
  }

  override dispose(): void {
    this.abort();
    super.dispose();
  }

  private abort(): void {
    this.aborting?.abort(new Cancelled());
  }

  private async afterRecall(agree: Agree): Promise<void> {
    await this.recalling;
    if (this.results.size > 0 && !(await this.modelsHold())) this.clear();
    await this.walk(agree);
  }

  /** False if a file of either model has changed since it was read. */
  private async modelsHold(): Promise<boolean> {
    const { plan } = this.ground;
    if (!plan) return true;
    return areAsStamped([plan.base, plan.aligned].flatMap((model) => checkpointStamps(model)));
  }

  private async tryToRecall(): Promise<void> {
    const { pair, adapter } = this;
    const { base, aligned } = pair;
    const entry = await this.store?.entry(adapter.path);
    if (!base || !aligned || !entry || !(await areAsStamped(entry.adapter.stamps))) return;
    const plan = makePlan(adapter, await this.hub.openKept(base), await this.hub.openKept(aligned));
    const inspection = await this.kept(plan);
    const isDue = this.phase.state === 'idle' && this.pair === pair && this.adapter === adapter;
    if (inspection && isDue && !this.isDisposed) this.takeUp(plan, inspection);
  }

  /** Cached results of a plan; the numbers of every module, or nothing. A read failure only costs a run. */
  private async kept(plan: Plan): Promise<Inspection | null> {
    if (!this.store) return null;
    try {
      const entry = await this.store.entryFor(plan);
      const inspection = await this.store.load(entry.key);
      if (inspection) await this.store.point(this.adapter.path, entry);
      return inspection;
    } catch (error) {
      this.log.warn(`Nothing recalled: ${(error as Error).message}`);
      return null;
    }
  }

  private takeUp(plan: Plan, inspection: Inspection): void {
    const { device, totals } = inspection.report;
    for (const [name, finding] of resultsOf(inspection)) this.results.set(name, finding);
    this.ground = { plan, device, bytesRead: totals.bytesRead, seconds: totals.seconds, recalled: true };
    this.enter({ state: 'done' });
    this.replaced.fire();
  }

  private async walk(agree: Agree): Promise<void> {
    const { base, aligned } = this.pair;
    if (!base || !aligned || this.phase.state === 'done') return;
    const running: Extract<Phase, { state: 'running' }> = {
      state: 'running',
      progress: null,
      fetched: null,
    };
    const { signal } = (this.aborting = new AbortController());
    this.enter(running);
    const started = performance.now();
    try {
      await this.pause;
      signal.throwIfAborted();
      const due = await this.prepare(signal, agree);
      if (!due) return;
      const [outcome] = await measureTogether([due.plan], due.device, this.services, {
        signal,
        known: this.results,
        onFetched: (fetched) => {
          running.fetched = fetched;
          this.changed.fire();
        },
        onProgress: (progress) => {
          const { name, measurement, projected } = progress.module;
          this.results.set(name, { measurement: measurement!, projected });
          running.progress = progress;
          this.moduleMeasured.fire(name);
          this.changed.fire();
        },
      });
      measuredOf(outcome!);
      await refuseOutdated(this.adapter);
      this.settle(started, running.progress);
      this.enter({ state: 'done' });
      await this.keep();
      if (!this.again) this.finished.fire();
    } catch (failure) {
      this.settle(started, running.progress);
      const state = signal.aborted || failure instanceof Cancelled ? 'cancelled' : 'failed';
      this.enter({ state, failure });
    } finally {
      this.aborting = undefined;
    }
  }

  /** Plans a run; null if an earlier run's numbers are valid, which are then restored. */
  private async prepare(signal: AbortSignal, agree: Agree): Promise<Due | null> {
    const { base, aligned } = this.pair;
    await refuseOutdated(this.adapter);
    const plan = await planFor(this.adapter, { base: base!, aligned: aligned! }, this.services, signal);
    const before = this.ground.plan;
    if (before && (before.base.realPath !== plan.base.realPath || before.aligned.realPath !== plan.aligned.realPath)) {
      // A branch on the hub has moved: do not mix numbers of two commits.
      this.results.clear();
      this.replaced.fire();
    }
    this.ground.plan = plan;
    const kept = this.results.size === 0 && !this.again ? await this.kept(plan) : null;
    if (kept) {
      this.takeUp(plan, kept);
      return null;
    }
    const device = await prepare([plan], setting('device', this.scope), this.services, { agree, signal });
    const { device: earlier } = this.ground;
    if (earlier && earlier.provider !== device.provider && this.results.size > 0) {
      // Do not mix numbers of two devices.
      this.results.clear();
      this.replaced.fire();
    }
    this.ground.device = device;
    return { plan, device };
  }

  private settle(started: number, progress: Progress | null): void {
    this.ground.recalled = false;
    this.ground.bytesRead += progress?.bytesRead ?? 0;
    this.ground.seconds += (performance.now() - started) / 1000;
  }

  private enter(phase: Phase): void {
    if (this.isDisposed) return;
    this.phase = phase;
    this.changed.fire();
  }

  private clear(): void {
    this.results.clear();
    this.ground = { ...nothing, device: this.ground.device };
    this.phase = { state: 'idle' };
    this.replaced.fire();
    this.changed.fire();
  }

  private get context(): { version: string; device: Report['device'] } {
    return { version: this.services.version, device: this.ground.device! };
  }

  private all(modules: MeasuredModule[]): Measured {
    const { bytesRead, seconds } = this.ground;
    return { modules, bytesRead, seconds };
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
  return new SafeLoraError('not-measured', vscode.l10n.t('The adapter is not measured yet; measure it first.'));
}

function modelsChanged(adapter: string): SafeLoraError {
  return new SafeLoraError(
    'changed-on-disk',
    vscode.l10n.t('{0}: the models have changed on disk since the adapter was measured; measure it again.', adapter),
  );
}
