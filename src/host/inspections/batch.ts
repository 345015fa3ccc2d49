// Many adapters inspected without a tab: those on the same models go through the engine together, a pass at a time.
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { refuseOutdated } from '../../core/identity';
import { buildReport, type Measured } from '../../core/report';
import { measurePlans, type Outcome } from '../../engine/run';
import { Disposable } from '../dispose';
import { type DueRun } from '../editor/measurement';
import { type EngineService } from '../engine-service';
import { Cancelled, errorView } from '../errors';
import { selectionSetting } from '../settings';
import { type Agree, type HubService, notFetched } from '../hub-service';
import { type InspectionStore } from './store';
import { type Log, type Progress } from '../surface';

declare const SAFE_LORA_VERSION: string;

/** So many adapters go through the engine together; where the work is given up, the results of the earlier passes stay. */
const PASS_SIZE = 16;

interface Planned extends DueRun {
  /** Where an adapter lies decides which settings are its own. */
  scope: vscode.Uri;
}

export class InspectionBatch extends Disposable {
  done = 0;
  failed = 0;
  /** A question about models that was dismissed is not asked again for the next adapter on the same model. */
  readonly dismissed = new Set<string | null>();
  /** Models on the hub whose weights are not to be fetched. */
  private readonly declined = new Set<string>();
  private waiting: Planned[] = [];
  private readonly abort = new AbortController();

  constructor(
    private readonly services: {
      engine: EngineService;
      hub: HubService;
      inspections: InspectionStore;
      log: Log;
    },
    private readonly total: number,
    private readonly progress: Progress,
    private readonly token: vscode.CancellationToken,
  ) {
    super();
    this._register(
      token.onCancellationRequested(() => {
        this.abort.abort(new Cancelled());
      }),
    );
  }

  /** Asks once for each pair of models. */
  readonly agree: Agree = async (plan, signal) => {
    const models = JSON.stringify([plan.base.realPath, plan.aligned.realPath]);
    if (this.declined.has(models)) return this.services.hub.refuse(plan, signal);
    try {
      await this.services.hub.agree(plan, signal);
    } catch (error) {
      if (!(error instanceof Cancelled) || signal.aborted) throw error;
      this.declined.add(models);
      throw notFetched(plan);
    }
  };

  /** Aborts with the work. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** @param plan answers null where there is nothing left to measure */
  async take(scope: vscode.Uri, plan: () => Promise<DueRun | null>): Promise<void> {
    this.progress.report({ message: vscode.workspace.asRelativePath(scope) });
    try {
      const found = await plan();
      if (found) {
        const [first] = this.waiting;
        if (first && first.device.provider !== found.device.provider) await this.measure();
        this.waiting.push({ scope, ...found });
      } else {
        this.succeeded();
      }
    } catch (error) {
      this.fail(error);
    }
    if (this.waiting.length === PASS_SIZE) await this.measure();
  }

  /** Measures what waits. */
  async measure(): Promise<void> {
    const [first, ...others] = this.waiting.splice(0);
    if (!first || this.token.isCancellationRequested) return;
    const pass = [first, ...others] as const;
    const outcomes = await this.inspect(pass).catch((failure: unknown) => pass.map((): Outcome => ({ failure })));
    // One after the other: two of the same content have one place in the store.
    for (const [i, outcome] of outcomes.entries()) {
      try {
        if ('failure' in outcome) throw outcome.failure;
        await this.keep(pass[i]!, outcome.measured);
        this.succeeded();
      } catch (error) {
        this.fail(error);
      }
    }
  }

  /** @param pass of one device */
  private async inspect(pass: readonly [Planned, ...Planned[]]): Promise<Outcome[]> {
    const { engine, log } = this.services;
    let bytes = 0;
    const plans = pass.map(({ plan }) => plan);
    const outcomes = await measurePlans(plans, await engine.on(pass[0].device), {
      signal: this.abort.signal,
      // A kept result holds no projections: they are computed again where one is wanted.
      keep: () => false,
      onFetched: ({ bytesFetched, bytesToFetch }) => {
        const message = vscode.l10n.t('{0} of {1} fetched from the hub', bytesText(bytesFetched), bytesText(bytesToFetch)); // prettier-ignore
        this.progress.report({ message });
      },
      onProgress: ({ modulesDone, modulesTotal, bytesDone, bytesTotal, bytesRead }) => {
        bytes = bytesRead;
        const share = [modulesDone, modulesTotal, bytesText(bytesDone), bytesText(bytesTotal)] as const;
        this.progress.report({ message: vscode.l10n.t('{0} of {1} modules, {2} of {3}', ...share) });
      },
    });
    log.info(`Adapters in this pass: ${pass.length}, weights read: ${bytesText(bytes)}`);
    return outcomes;
  }

  private async keep({ scope, plan, device }: Planned, measured: Measured): Promise<void> {
    await refuseOutdated(plan.adapter);
    const report = buildReport(plan, measured, selectionSetting(scope), { version: SAFE_LORA_VERSION, device });
    await this.services.inspections.keep(plan, report, measured.modules);
  }

  private succeeded(): void {
    this.done++;
    this.progress.report({ increment: 100 / this.total });
  }

  private fail(error: unknown): void {
    if (this.token.isCancellationRequested) return;
    this.failed++;
    this.progress.report({ increment: 100 / this.total });
    this.services.log.error(errorView(error).message);
  }
}
