// Many adapters inspected without a tab: those on the same models go through the engine together, a pass at a time.
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { refuseOutdated } from '../../core/identity';
import { type Plan } from '../../core/plan';
import { buildReport, type Measured } from '../../core/report';
import { chooseDevice } from '../../engine/providers';
import { measurePlans, type Outcome } from '../../engine/run';
import { Disposable } from '../dispose';
import { type EngineService } from '../engine-service';
import { Cancelled, errorView } from '../errors';
import { selectionSetting, setting } from '../settings';
import { type InspectionStore } from './store';

declare const SAFE_LORA_VERSION: string;

/** So many adapters go through the engine together; where the work is given up, the results of the earlier passes stay. */
const PASS_SIZE = 16;

interface Planned {
  /** Where an adapter lies decides which settings are its own. */
  scope: vscode.Uri;
  plan: Plan;
}

export class InspectionBatch extends Disposable {
  done = 0;
  failed = 0;
  /** A question about models that was dismissed is not asked again for the next adapter on the same model. */
  readonly dismissed = new Set<string | null>();
  private waiting: Planned[] = [];
  private readonly abort = new AbortController();

  constructor(
    private readonly services: { engine: EngineService; inspections: InspectionStore; log: vscode.LogOutputChannel },
    private readonly total: number,
    private readonly progress: vscode.Progress<{ message?: string; increment?: number }>,
    private readonly token: vscode.CancellationToken,
  ) {
    super();
    this._register(
      token.onCancellationRequested(() => {
        this.abort.abort(new Cancelled());
      }),
    );
  }

  /** @param plan answers null where there is nothing left to measure */
  async take(scope: vscode.Uri, plan: () => Promise<Plan | null>): Promise<void> {
    this.progress.report({ message: vscode.workspace.asRelativePath(scope) });
    try {
      const found = await plan();
      if (found) this.waiting.push({ scope, plan: found });
      else this.succeeded();
    } catch (error) {
      this.fail(error);
    }
    if (this.waiting.length === PASS_SIZE) await this.measure();
  }

  /** Measures what waits. */
  async measure(): Promise<void> {
    const pass = this.waiting.splice(0);
    if (pass.length === 0 || this.token.isCancellationRequested) return;
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

  private async inspect(pass: readonly Planned[]): Promise<Outcome[]> {
    const { engine, log } = this.services;
    let bytes = 0;
    const plans = pass.map(({ plan }) => plan);
    const outcomes = await measurePlans(plans, engine.get(), {
      signal: this.abort.signal,
      // A kept result holds no projections: they are computed again where one is wanted.
      keep: () => false,
      onProgress: ({ modulesDone, modulesTotal, bytesDone, bytesTotal, bytesRead }) => {
        bytes = bytesRead;
        const share = [modulesDone, modulesTotal, bytesText(bytesDone), bytesText(bytesTotal)] as const;
        this.progress.report({ message: vscode.l10n.t('{0} of {1} modules, {2} of {3}', ...share) });
      },
    });
    log.info(`Adapters in this pass: ${pass.length}, weights read: ${bytesText(bytes)}`);
    return outcomes;
  }

  private async keep({ scope, plan }: Planned, measured: Measured): Promise<void> {
    await refuseOutdated(plan.adapter);
    const device = chooseDevice(setting('device', scope));
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
