// Measures many adapters without a tab: first those without questions, then asks once for the others; reports progress and results.
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { refuseOutdated } from '../../core/identity';
import { buildReport, type Measured } from '../../core/report';
import { measuredOf, type Outcome } from '../../engine/run';
import { type Due, measureTogether, pairKey, passesOf } from '../../work/measure';
import { type Agree } from '../../work/services';
import { Disposable } from '../common/dispose';
import { type AdapterDocument, type DocumentServices } from './document';
import { type AdapterEditorProvider } from './provider';
import { Cancelled, errorView } from '../common/errors';
import { type MeasuringFailures } from '../status/failures';
import { measuredEntry } from '../status/history';
import { notFetched } from '../models/hub-service';
import { selectionSetting } from '../settings/settings';
import { type Progress } from '../common/surface';

/** Adapters in one engine pass; cancelling keeps the results of earlier passes. */
const PASS_SIZE = 16;

interface Planned extends Due {
  /** An adapter's folder determines its settings. */
  scope: vscode.Uri;
}

type WithDocument = <T>(folder: vscode.Uri, action: (document: AdapterDocument) => Promise<T>) => Promise<T>;

export interface FailedAdapter {
  folder: vscode.Uri;
  message: string;
}

export class InspectAll extends Disposable {
  measured = 0;
  readonly failed: FailedAdapter[] = [];
  /** Adapters whose models stay on the hub because the user said so. */
  leftOnHub = 0;
  /** Adapters whose models are not known. */
  readonly withoutModels: vscode.Uri[] = [];
  /** Adapters with models on the hub that need consent to a download. */
  private readonly toFetch: vscode.Uri[] = [];
  private mayAsk = false;
  /** Hub models whose weights must not be fetched. */
  private readonly declined = new Set<string>();
  private readonly abort = new AbortController();

  constructor(
    private readonly services: DocumentServices,
    private readonly editor: AdapterEditorProvider,
    private readonly failures: MeasuringFailures,
    private readonly withDocument: WithDocument,
    private readonly folders: readonly vscode.Uri[],
    private readonly progress: Progress,
    token: vscode.CancellationToken,
  ) {
    super();
    this._register(
      token.onCancellationRequested(() => {
        this.abort.abort(new Cancelled());
      }),
    );
  }

  /** Adapters fail independently. */
  async run(): Promise<void> {
    // Keeps the engine for all of them.
    const held = this.services.engine.hold();
    try {
      await this.measureEach(this.folders);
      this.mayAsk = true;
      await this.measureEach(this.toFetch);
    } finally {
      held.dispose();
    }
  }

  get isCancelled(): boolean {
    return this.signal.aborted;
  }

  private get signal(): AbortSignal {
    return this.abort.signal;
  }

  private async measureEach(folders: readonly vscode.Uri[]): Promise<void> {
    for await (const pass of passesOf(this.plan(folders), PASS_SIZE)) await this.measurePass(pass);
  }

  private async *plan(folders: readonly vscode.Uri[]): AsyncGenerator<Planned> {
    for (const scope of folders) {
      if (this.signal.aborted) return;
      this.progress.report({ message: vscode.workspace.asRelativePath(scope) });
      const planned = await this.settled(scope, () => this.planOne(scope));
      if (planned) yield { scope, ...planned };
    }
  }

  /** The rest to measure of an adapter; one with a tab is measured there. */
  private planOne(folder: vscode.Uri): Promise<Due | 'measured' | 'set aside'> {
    return this.withDocument(folder, async ({ measuring, uri }) => {
      const { base, aligned } = measuring.models;
      if (!base || !aligned) {
        this.withoutModels.push(folder);
        return 'set aside';
      }
      if (!this.editor.find(uri)) return (await measuring.toMeasure(this.signal, this.agree)) ?? 'measured';
      const stop = (): void => void measuring.stop();
      this.signal.addEventListener('abort', stop);
      await measuring.run(this.agree);
      this.signal.removeEventListener('abort', stop);
      measuring.requireDone();
      return 'measured';
    });
  }

  /** Asks once per pair of models. */
  private readonly agree: Agree = async (plans, signal) => {
    if (!this.mayAsk) return this.services.hub.refuse(plans, signal);
    for (const plan of plans) {
      const models = pairKey(plan);
      if (this.declined.has(models)) return this.services.hub.refuse([plan], signal);
      try {
        await this.services.hub.agree([plan], signal);
      } catch (error) {
        if (!(error instanceof Cancelled) || signal?.aborted) throw error;
        this.declined.add(models);
        throw notFetched(plan);
      }
    }
  };

  private async measurePass(pass: readonly Planned[]): Promise<void> {
    if (this.signal.aborted) return;
    const outcomes = await this.measure(pass).catch((failure: unknown) => pass.map((): Outcome => ({ failure })));
    // One after the other: two with the same content share an entry in the store.
    for (const [i, outcome] of outcomes.entries()) {
      const planned = pass[i]!;
      await this.settled(planned.scope, async () => {
        await this.keep(planned, measuredOf(outcome));
        return 'measured';
      });
    }
  }

  private async measure(pass: readonly Planned[]): Promise<Outcome[]> {
    let bytes = 0;
    const plans = pass.map(({ plan }) => plan);
    const outcomes = await measureTogether(plans, pass[0]!.device, this.services.work, {
      signal: this.signal,
      // A cached result has no projections: they are recomputed when needed.
      keep: () => false,
      onFetched: ({ bytesFetched, bytesToFetch }) => {
        const message = vscode.l10n.t(
          '{0} of {1} fetched from the hub',
          bytesText(bytesFetched),
          bytesText(bytesToFetch),
        );
        this.progress.report({ message });
      },
      onProgress: ({ modulesDone, modulesTotal, bytesDone, bytesTotal, bytesRead }) => {
        bytes = bytesRead;
        const share = [modulesDone, modulesTotal, bytesText(bytesDone), bytesText(bytesTotal)] as const;
        this.progress.report({ message: vscode.l10n.t('{0} of {1} modules, {2} of {3}', ...share) });
      },
    });
    this.services.log.info(`Adapters in this pass: ${pass.length}, weights read: ${bytesText(bytes)}`);
    return outcomes;
  }

  private async keep({ scope, plan, device }: Planned, measured: Measured): Promise<void> {
    await refuseOutdated(plan.adapter);
    const { version } = this.services.work;
    const report = buildReport(plan, measured, selectionSetting(scope), { version, device });
    await this.services.inspections.keep(plan, report, measured.modules);
    this.services.history.add(measuredEntry(scope, report));
  }

  /** Counts an adapter as measured or failed. @returns its remaining work */
  private async settled<T>(
    folder: vscode.Uri,
    action: () => Promise<T | 'measured' | 'set aside'>,
  ): Promise<T | undefined> {
    try {
      const further = await action();
      if (further === 'measured') this.measured++;
      else if (further !== 'set aside') return further;
    } catch (error) {
      if (this.signal.aborted) return undefined;
      if (errorView(error).code !== 'hub-declined') {
        await this.fail(folder, error);
      } else if (this.mayAsk) {
        this.leftOnHub++;
      } else {
        this.toFetch.push(folder);
        return undefined;
      }
    }
    this.progress.report({ increment: 100 / this.folders.length });
    return undefined;
  }

  private async fail(folder: vscode.Uri, error: unknown): Promise<void> {
    const { message } = errorView(error);
    this.services.log.error(message);
    this.failed.push({ folder, message });
    await this.failures.keep(folder, error);
  }
}
