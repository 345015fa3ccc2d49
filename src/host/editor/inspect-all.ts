// Many adapters inspected without a tab: what is asked once for all of them, how far it is, and what became of each.
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { refuseOutdated } from '../../core/identity';
import { buildReport, type Measured } from '../../core/report';
import { measuredOf, type Outcome } from '../../engine/run';
import { type Due, measureTogether, pairKey, passesOf } from '../../work/measure';
import { type Agree } from '../../work/services';
import { type EditorActions } from './actions';
import { Disposable } from '../common/dispose';
import { type AdapterDocument, type DocumentServices } from './document';
import { type AdapterEditorProvider } from './provider';
import { Cancelled, errorView } from '../common/errors';
import { notFetched } from '../models/hub-service';
import { selectionSetting } from '../settings/settings';
import { type Progress } from '../common/surface';

/** So many adapters go through the engine together; where the work is given up, the results of the earlier passes stay. */
const PASS_SIZE = 16;

interface Planned extends Due {
  /** Where an adapter lies decides which settings are its own. */
  scope: vscode.Uri;
}

type WithDocument = <T>(folder: vscode.Uri, action: (document: AdapterDocument) => Promise<T>) => Promise<T>;

export class InspectAll extends Disposable {
  done = 0;
  failed = 0;
  /** Models that nobody named when asked: not asked for again for the next adapter on them. */
  private readonly dismissed = new Set<string | null>();
  /** Models on the hub whose weights are not to be fetched. */
  private readonly declined = new Set<string>();
  private readonly abort = new AbortController();

  constructor(
    private readonly services: DocumentServices,
    private readonly editor: AdapterEditorProvider,
    private readonly actions: EditorActions,
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

  /** What keeps one from being inspected is in the log, and keeps no other from it. */
  async run(): Promise<void> {
    // The engine stays for all of them.
    const held = this.services.engine.hold();
    try {
      for await (const pass of passesOf(this.plan(), PASS_SIZE)) await this.inspect(pass);
    } finally {
      held.dispose();
    }
  }

  private get signal(): AbortSignal {
    return this.abort.signal;
  }

  private async *plan(): AsyncGenerator<Planned> {
    for (const scope of this.folders) {
      if (this.signal.aborted) return;
      this.progress.report({ message: vscode.workspace.asRelativePath(scope) });
      const due = await this.settled(() => this.planOne(scope));
      if (due) yield { scope, ...due };
    }
  }

  /** @returns null where there is nothing left to measure: it was done before, or in the adapter's own tab */
  private planOne(folder: vscode.Uri): Promise<Due | null> {
    return this.withDocument(folder, async (document) => {
      const { measuring, adapter } = document;
      const isKnown = measuring.models.base && measuring.models.aligned;
      if (!isKnown && this.dismissed.has(adapter.trainedOn)) throw await this.actions.unknownModels(document);
      await this.actions.askForModels(document).catch(async (error: unknown) => {
        this.dismissed.add(adapter.trainedOn);
        throw error instanceof Cancelled ? await this.actions.unknownModels(document) : error;
      });
      if (!this.editor.find(document.uri)) return measuring.toMeasure(this.signal, this.agree);
      const stop = (): void => void measuring.stop();
      this.signal.addEventListener('abort', stop);
      await measuring.run(this.agree);
      this.signal.removeEventListener('abort', stop);
      measuring.requireDone();
      return null;
    });
  }

  /** Asks once for each pair of models. */
  private readonly agree: Agree = async (plans, signal) => {
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

  private async inspect(pass: readonly Planned[]): Promise<void> {
    if (this.signal.aborted) return;
    const outcomes = await this.measure(pass).catch((failure: unknown) => pass.map((): Outcome => ({ failure })));
    // One after the other: two of the same content have one entry in the store.
    for (const [i, outcome] of outcomes.entries()) {
      await this.settled(async () => {
        await this.keep(pass[i]!, measuredOf(outcome));
        return null;
      });
    }
  }

  private async measure(pass: readonly Planned[]): Promise<Outcome[]> {
    let bytes = 0;
    const plans = pass.map(({ plan }) => plan);
    const outcomes = await measureTogether(plans, pass[0]!.device, this.services.work, {
      signal: this.signal,
      // A kept result holds no projections: they are computed again where one is wanted.
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
  }

  /** Counts an adapter as done where the action answers null, and as failed where it throws. */
  private async settled<T>(action: () => Promise<T | null>): Promise<T | null> {
    try {
      const further = await action();
      if (further !== null) return further;
      this.done++;
    } catch (error) {
      if (this.signal.aborted) return null;
      this.failed++;
      this.services.log.error(errorView(error).message);
    }
    this.progress.report({ increment: 100 / this.folders.length });
    return null;
  }
}
