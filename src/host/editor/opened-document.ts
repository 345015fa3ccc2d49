// What VS Code holds as the document: an adapter, or the reason why it cannot be read, until another try succeeds.
import * as vscode from 'vscode';
import { Disposable } from '../common/dispose';
import { AdapterDocument, type DocumentServices } from './document';

export class OpenedDocument extends Disposable implements vscode.CustomDocument {
  private readonly loaded = this._register(new vscode.EventEmitter<void>());
  /** Another try to read it was made. */
  readonly onDidLoad = this.loaded.event;
  private readonly askedFor = this._register(new vscode.EventEmitter<string>());
  /** A module is to be brought before the user. */
  readonly onDidAskFor = this.askedFor.event;
  private readonly offered = this._register(new vscode.EventEmitter<void>());
  /** The projection of the selection is to be brought before the user. */
  readonly onDidOffer = this.offered.event;
  private loading: Promise<void> | undefined;
  private content: { adapter: AdapterDocument } | { failure: unknown } = { failure: new Error('not read yet') };

  private constructor(
    readonly uri: vscode.Uri,
    private readonly services: DocumentServices,
    /** The patch file in which VS Code kept edits that were not saved. */
    private backup: string | undefined,
  ) {
    super();
  }

  static async open(uri: vscode.Uri, services: DocumentServices, backup?: string): Promise<OpenedDocument> {
    const document = new OpenedDocument(uri, services, backup);
    await document.load();
    return document;
  }

  /** @throws why the adapter cannot be read */
  get adapter(): AdapterDocument {
    if ('failure' in this.content) throw this.content.failure;
    return this.content.adapter;
  }

  /** Undefined where the adapter could be read. */
  get failure(): unknown {
    return 'failure' in this.content ? this.content.failure : undefined;
  }

  /** VS Code kept edits for this adapter that were not brought back. */
  get hasUnsaved(): boolean {
    return this.backup !== undefined && this.failure !== undefined;
  }

  /** Brings a module before the user, in every tab. */
  reveal(module: string): void {
    this.askedFor.fire(module);
  }

  /** Brings the projection of the selection before the user, in every tab; nothing is projected. */
  offer(): void {
    this.offered.fire();
  }

  /** Reads the file again where it could not be read, or was changed. */
  async reload(): Promise<void> {
    if ('adapter' in this.content) await this.content.adapter.revert();
    else await this.load();
  }

  /** Reads the file again, without the edits that were kept. */
  async revert(): Promise<void> {
    this.backup = undefined;
    await this.reload();
  }

  /** Gives something back together with the document. */
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
