// One tab: serves the page, sends its data, and handles its requests.
import * as vscode from 'vscode';
import { reportText } from '../../core/report';
import { type Selection } from '../../core/rules';
import { openSafetensors } from '../../core/safetensors';
import { type BehaviourActions } from '../behaviour/actions';
import { type EditorActions } from './actions';
import { Disposable } from '../common/dispose';
import { Cancelled, errorView, showingFailure } from '../common/errors';
import { textLanguage } from '../common/language';
import { servePage } from '../common/webview';
import { type AdapterDocument, type Move } from './document';
import { appliedView, documentView } from './document-views';
import { reportCsv, reportMarkdown } from './exports';
import { numberRows } from '../../page/numbers';
import { type OpenedDocument } from './opened-document';
import { type Answers, type FromPage, type PageCalls, type ToPage } from '../../page/adapter';
import { pageStrings } from '../../page/adapter-strings';
import { type Log, showBriefly, showInformation, showSaveDialog } from '../common/surface';

/** Rows and progress are sent together: drawing is expensive, and ten times a second looks live. */
const BATCH_MS = 100;

export class AdapterPage extends Disposable {
  private ready = false;
  private listening: vscode.Disposable | undefined;
  private indexOf = new Map<string, number>();
  private readonly fresh = new Set<string>();
  private batch: NodeJS.Timeout | undefined;
  private wanted: string | undefined;
  private wantsBehaviour = false;
  /** The point whose answers the page shows. */
  private answersAt: number | null = null;
  private readonly answers: Answers = {
    run: () => this.actions.measure(this.adapter),
    repeat: () => this.actions.measureAgain(this.adapter),
    measureProjection: () => this.adapter.measureProjection(),
    cancel: () => this.adapter.measuring.stop(),
    chooseModel: (role) => this.actions.chooseModels(this.adapter, [role]),
    apply: (selection) => this.actions.apply(this.adapter, selection),
    save: () => this.actions.save(this.adapter),
    saveAs: (selection) => this.actions.saveAs(this.adapter, selection),
    restore: () => this.actions.restore(this.adapter),
    reload: () => this.actions.reload(this.document),
    discard: () => this.actions.discard(),
    exportReport: (format, selection) => exportReport(this.adapter, format, selection),
    exportPicture: (format, content) => exportFile(this.adapter, format, vscode.l10n.t('Picture'), content),
    copyMarkdown: async (selection) => {
      await vscode.env.clipboard.writeText(reportMarkdown(this.adapter.measuring.report(selection)));
      showBriefly(vscode.l10n.t('Copied as Markdown'));
    },
    copyText: (text) => vscode.env.clipboard.writeText(text),
    listTensors: () => this.listTensors(),
    evaluate: () => this.evaluate(),
    resumeEvaluation: () => this.behaviour.resume(this.adapter),
    cancelEvaluation: () => this.adapter.behaviour.stop(),
    chooseByTarget: async () => {
      const selection = await this.behaviour.chooseByTarget(this.adapter);
      this.send({ type: 'select', selection });
    },
    showAnswers: (count) => this.showAnswers(count),
    hideAnswers: () => this.adapter.behaviour.setShown(false),
    correctJudgement: (correction) => this.adapter.behaviour.correct(correction),
    askModelToJudge: () => this.behaviour.askModelToJudge(this.adapter),
    exportBehaviour: async (format, selection) => {
      // The page of both has the heatmap.
      if (format === 'html') await this.actions.measure(this.adapter);
      await this.behaviour.export(this.adapter, format, selection);
    },
    manageTrust: () => vscode.commands.executeCommand('workbench.trust.manage'),
    showLog: () => this.log.show(),
  };

  constructor(
    private readonly panel: vscode.WebviewPanel,
    private readonly document: OpenedDocument,
    private readonly actions: EditorActions,
    private readonly behaviour: BehaviourActions,
    private readonly log: Log,
    extensionUri: vscode.Uri,
  ) {
    super();
    const { webview } = panel;
    this._register(webview.onDidReceiveMessage((message: FromPage) => void this.receive(message)));
    this._register(document.onDidAskFor((module) => this.reveal(module)));
    this._register(document.onDidOffer(() => this.send({ type: 'offer' })));
    this._register(document.onDidAskForBehaviour(() => this.showBehaviour()));
    this._register(document.onDidLoad(() => this.show()));
    this._register(vscode.workspace.onDidGrantWorkspaceTrust(() => this.sendDocument()));
    this._register(
      new vscode.Disposable(() => {
        this.listening?.dispose();
        clearTimeout(this.batch);
      }),
    );
    servePage(webview, extensionUri, 'page');
  }

  private get adapter(): AdapterDocument {
    return this.document.adapter;
  }

  private async receive(message: FromPage): Promise<void> {
    if (message.type === 'ready') {
      this.ready = true;
      this.send({ type: 'strings', strings: pageStrings(vscode.l10n), language: textLanguage() });
      this.show();
      if (this.wanted !== undefined) this.reveal(this.wanted);
      this.wanted = undefined;
      if (this.wantsBehaviour) this.showBehaviour();
      this.wantsBehaviour = false;
      return;
    }
    if (message.type === 'selection') {
      if (this.document.failure === undefined) this.document.adapter.choose(message.selection);
      return;
    }
    const { id, name, values } = message;
    try {
      await answer(this.answers, name, values);
      this.send({ type: 'reply', id, ok: true });
    } catch (error) {
      this.send({ type: 'reply', id, ok: false, error: errorView(error) });
      await showingFailure(this.log, () => Promise.reject(error as Error));
    }
  }

  /** Sends everything: the page just started, or the adapter was read again. */
  private show(): void {
    this.listening?.dispose();
    const { failure } = this.document;
    if (failure !== undefined) {
      const { hasUnsaved, uri } = this.document;
      this.send({ type: 'failure', failure: { path: uri.fsPath, error: errorView(failure), hasUnsaved } });
      return;
    }
    const { adapter } = this.document;
    const { measuring } = adapter;
    this.listening = vscode.Disposable.from(
      adapter.onDidReopen(() => this.sendDocument()),
      adapter.onDidMove((move) => this.sendApplied(move)),
      measuring.onDidMeasure((module) => this.fresh.add(module)),
      measuring.onDidChange(() => {
        this.batch ??= setTimeout(() => {
          this.flush();
        }, BATCH_MS);
      }),
      measuring.onDidReplace(() => this.sendMeasured(true)),
      adapter.projectionNumbers.onDidChange(() => this.sendProjectionNumbers()),
      adapter.behaviour.onDidChange(() => this.sendBehaviour()),
    );
    this.sendDocument();
  }

  /** A page that has not started yet shows the module later. */
  private reveal(module: string): void {
    if (this.ready) this.send({ type: 'reveal', module });
    else this.wanted = module;
  }

  private sendDocument(): void {
    if (this.document.failure !== undefined) return;
    const view = documentView(this.document.adapter);
    this.indexOf = new Map(view.modules.map(({ name }, index) => [name, index]));
    this.send({ type: 'document', document: view });
    this.sendMeasured(true);
    this.sendApplied('saved');
    this.sendProjectionNumbers();
    this.sendBehaviour();
  }

  private flush(): void {
    this.batch = undefined;
    this.sendMeasured(false);
    this.sendRun();
  }

  private sendRun(): void {
    const { adapter } = this.document;
    this.send({ type: 'run', run: adapter.measuring.view(adapter.firstSelection) });
  }

  private sendApplied(move: Move): void {
    this.send({ type: 'applied', applied: appliedView(this.document.adapter), followSelection: move === 'moved' });
    // Some notices are about the applied projection.
    this.sendRun();
  }

  /** @param all every row; else those since the last time */
  private sendMeasured(all: boolean): void {
    const { measuring } = this.document.adapter;
    const names = [...(all ? this.indexOf.keys() : this.fresh)].filter((name) => measuring.resultOf(name));
    this.fresh.clear();
    if (!all && names.length === 0) return;
    const values = numberRows(names.map((name) => measuring.resultOf(name)!.measurement));
    const indices = Uint32Array.from(names, (name) => this.indexOf.get(name)!);
    this.send({ type: 'measured', fresh: all, indices, values });
  }

  private sendProjectionNumbers(): void {
    const { projection, projectionNumbers } = this.document.adapter;
    const { modules, direction } = projectionNumbers.of(projection) ?? { modules: [], direction: null };
    this.send({
      type: 'after',
      measuring: projectionNumbers.isMeasuring(projection),
      indices: Uint32Array.from(modules, ({ name }) => this.indexOf.get(name)!),
      values: numberRows(modules.map(({ measurement }) => measurement)),
      direction,
    });
  }

  /** A page that has not started yet shows it later. */
  private showBehaviour(): void {
    if (this.ready) this.send({ type: 'showBehaviour' });
    else this.wantsBehaviour = true;
  }

  private async evaluate(): Promise<void> {
    // The selection needs the numbers.
    await this.actions.measure(this.adapter);
    this.adapter.measuring.requireDone();
    await this.behaviour.evaluate(this.adapter);
  }

  private sendBehaviour(): void {
    const { behaviour } = this.document.adapter;
    this.send({ type: 'behaviour', behaviour: behaviour.view() });
    if (!behaviour.isShown) this.answersAt = null;
    // Hidden ones leave the page at once, also during a run.
    if (!behaviour.isRunning || this.answersAt === null) this.sendAnswers();
  }

  private showAnswers(count: number): void {
    this.answersAt = count;
    const { behaviour } = this.adapter;
    if (behaviour.isShown) this.sendAnswers();
    else behaviour.setShown(true);
  }

  private sendAnswers(): void {
    const { behaviour } = this.adapter;
    this.send({ type: 'answers', answers: this.answersAt === null ? null : behaviour.answers(this.answersAt) });
  }

  /** Works for a refused adapter, too: its file only has to be safetensors. */
  private async listTensors(): Promise<void> {
    const { failure, uri } = this.document;
    // A refused adapter from another file system has no copy.
    if (failure !== undefined && uri.scheme !== 'file') throw failure as Error;
    const { tensors } = failure === undefined ? this.document.adapter.adapter.file : await openSafetensors(uri.fsPath);
    const inOrder = [...tensors.values()].sort((a, b) => a.offset - b.offset);
    this.send({ type: 'tensors', tensors: inOrder.map(({ name, dtype, shape }) => ({ name, dtype, shape })) });
  }

  private send(message: ToPage): void {
    if (this.ready && !this.isDisposed) void this.panel.webview.postMessage(message);
  }
}

function answer<Name extends keyof PageCalls>(answers: Answers, name: Name, values: PageCalls[Name]): unknown {
  return answers[name](...values);
}

async function exportReport(adapter: AdapterDocument, format: 'json' | 'csv', selection: Selection): Promise<void> {
  const report = adapter.measuring.report(selection);
  const text = format === 'json' ? reportText(report) : reportCsv(report);
  await exportFile(adapter, format, vscode.l10n.t('Report'), Buffer.from(text));
}

async function exportFile(adapter: AdapterDocument, ending: string, kind: string, content: Uint8Array): Promise<void> {
  const { name, path } = adapter.adapter;
  const target = await showSaveDialog({
    title: vscode.l10n.t('Export'),
    defaultUri: vscode.Uri.joinPath(vscode.Uri.file(path), '..', `${name}-safe-lora.${ending}`),
    filters: { [kind]: [ending] },
  });
  if (!target) throw new Cancelled();
  await vscode.workspace.fs.writeFile(target, content);
  void showInformation(vscode.l10n.t('Exported: {0}', target.fsPath));
}
