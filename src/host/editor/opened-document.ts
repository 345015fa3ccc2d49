// VS Code's document: an adapter, or the reason why it is unreadable, until a retry succeeds.
import * as vscode from 'vscode';
import { Disposable } from '../common/dispose';
import { AdapterDocument, type DocumentServices } from './document';

export class OpenedDocument extends Disposable implements vscode.CustomDocument {
  private readonly loaded = this._register(new vscode.EventEmitter<void>());
  /** A retry to read it finished. */
  readonly onDidLoad = this.loaded.event;
  private readonly askedFor = this._register(new vscode.EventEmitter<string>());
  /** Requests to reveal a module. */
  readonly onDidAskFor = this.askedFor.event;
  private readonly offered = this._register(new vscode.EventEmitter<void>());
  /** Requests to reveal the projection of the selection. */
  readonly onDidOffer = this.offered.event;
  private readonly askedForBehaviour = this._register(new vscode.EventEmitter<void>());
  /** Requests to show the behaviour. */
  readonly onDidAskForBehaviour = this.askedForBehaviour.event;
  private loading: Promise<void> | undefined;
  private content: { adapter: AdapterDocument } | { failure: unknown } = { failure: new Error('not read yet') };

  private constructor(
    readonly uri: vscode.Uri,
    private readonly services: DocumentServices,
    /** The patch file with unsaved edits that VS Code kept. */
    private backup: string | undefined,
  ) {
    super();
  }

  static async open(uri: vscode.Uri, services: DocumentServices, backup?: string): Promise<OpenedDocument> {
    const document = new OpenedDocument(uri, services, backup);
    await document.load();
    return document;
  }

  /** @throws the reason if the adapter is unreadable */
  get adapter(): AdapterDocument {
    if ('failure' in this.content) throw this.content.failure;
    return this.content.adapter;
  }

  /** Undefined if the adapter is readable. */
  get failure(): unknown {
    return 'failure' in this.content ? this.content.failure : undefined;
  }

  /** VS Code kept edits for this adapter that were not restored. */
  get hasUnsaved(): boolean {
    return this.backup !== undefined && this.failure !== undefined;
  }

  /** Reveals a module in every tab. */
  reveal(module: string): void {
    this.askedFor.fire(module);
  }

  /** Reveals the projection of the selection in every tab; projects nothing. */
  offer(): void {
    this.offered.fire();
  }

  /** Shows the view of the behaviour in every tab. */
  showBehaviour(): void {
    this.askedForBehaviour.fire();
  }

  /** Reads the file again if it was unreadable or changed. */
  async reload(): Promise<void> {
    if ('adapter' in this.content) await this.content.adapter.revert();
    else await this.load();
  }

  /** Reads the file again, without the kept edits. */
  async revert(): Promise<void> {
    this.backup = undefined;
    await this.reload();
  }

  /** Disposes of something together with the document. */
  attach(item: vscode.Disposable): void {
    this._register(item);
  }

  override dispose(): void {
    if ('adapter' in this.content) this.content.adapter.dispose();
    super.dispose();
  }

  private load(): Promise<void> {
    this.loading ??= this.tryToLoad().finally(() => {
      this.loading = undefined;
    });
    return this.loading;
  }

  private async tryToLoad(): Promise<void> {
    try {
      const adapter = await AdapterDocument.open(this.uri, this.services, this.backup);
      this.content = { adapter };
      if (this.isDisposed) adapter.dispose();
    } catch (failure) {
      this.services.log.error(failure as Error);
      this.content = { failure };
    }
    this.loaded.fire();
  }
}
