// Safe LoRA: Install CUDA Provider: downloads it or uses a file, lists what CUDA still lacks, and removes it.
import { isAbsolute } from 'node:path';
import * as vscode from 'vscode';
import { bytesText } from '../../core/bytes';
import { SafeLoraError } from '../../core/errors';
import { kindOf } from '../../core/files';
import { feedIndex } from '../../cuda/feed';
import { findOffer, installFromArchive, installFromFeed, remove, type Target } from '../../cuda/install';
import { cudaFolder, type CudaState, cudaState, librariesFolder, providerFolder } from '../../cuda/state';
import { type Network } from '../../network/requests';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, errorView, showingFailure } from '../common/errors';
import { editorFetch } from '../common/network';
import {
  type Log,
  type Progress,
  showInformation,
  showOpenDialog,
  showQuickPick,
  showWarning,
  withProgress,
} from '../common/surface';

declare const ONNXRUNTIME_VERSION: string;

const SCHEME = 'safe-lora-cuda';

export class CudaInstall extends Disposable {
  private readonly target: Target;
  /** Components missing after the last install; a document, so that it can be copied. */
  private advice = '';
  private readonly advised = this._register(new vscode.EventEmitter<vscode.Uri>());

  /** @param storage of the provider, shared by all windows */
  constructor(
    storage: string,
    private readonly log: Log,
  ) {
    super();
    this.target = { storage, version: ONNXRUNTIME_VERSION };
    this._register(vscode.commands.registerCommand(commands.installCuda, () => showingFailure(log, () => this.run())));
    this._register(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
        onDidChange: this.advised.event,
        provideTextDocumentContent: () => this.advice,
      }),
    );
  }

  private async run(): Promise<void> {
    const { storage, version } = this.target;
    const before = await cudaState(storage, version).catch((error: unknown) => {
      this.log.warn(errorView(error).message);
      // A damaged install is replaced.
      return { state: 'absent' } as const;
    });
    if (before.state === 'unsupported') throw nothingToInstall(before.reason);
    const action = await this.choose(before);
    await action();
  }

  private async choose(before: CudaState): Promise<() => Promise<void>> {
    const { storage, version } = this.target;
    const items = [
      {
        label: vscode.l10n.t('Download…'),
        description: vscode.l10n.t('onnxruntime {0} for CUDA', version),
        run: () => this.download(),
      },
      {
        label: vscode.l10n.t('Use a Downloaded Package…'),
        description: vscode.l10n.t('a .nupkg file, without a network'),
        run: () => this.useFile(),
      },
      ...(before.state === 'absent'
        ? []
        : [
            {
              label: vscode.l10n.t('Show What Is Missing'),
              description: before.state === 'ready' ? vscode.l10n.t('nothing: CUDA can run') : '',
              run: () => this.tell(before),
            },
          ]),
      // Removes an interrupted download, too.
      ...((await kindOf(cudaFolder(storage))) === null
        ? []
        : [{ label: vscode.l10n.t('Remove'), description: cudaFolder(storage), run: () => this.remove() }]),
    ];
    const title = vscode.l10n.t('Safe LoRA: Install CUDA Provider');
    const chosen = await showQuickPick(items, { title });
    if (!chosen) throw new Cancelled();
    return chosen.run;
  }

  private async download(): Promise<void> {
    const { storage, version } = this.target;
    const index = feedIndex(process.env);
    const looking = vscode.l10n.t('Looking for the CUDA provider');
    const offer = await working(looking, (signal, progress) =>
      findOffer(this.target, this.network(signal, progress), index),
    );
    const download = vscode.l10n.t('Download');
    const chosen = await showInformation(
      vscode.l10n.t('Download the CUDA provider of onnxruntime {0}, {1}?', version, bytesText(offer.size)),
      {
        modal: true,
        lines: [
          vscode.l10n.t(
            'From {0} to {1}. A cancelled download resumes the next time.',
            new URL(offer.url).host,
            providerFolder(storage, version),
          ),
        ],
      },
      download,
    );
    if (chosen !== download) throw new Cancelled();
    await working(vscode.l10n.t('Downloading the CUDA provider'), (signal, progress) => {
      let shown = 0;
      return installFromFeed(this.target, this.network(signal, progress), offer, (done, total) => {
        const percent = Math.floor((100 * done) / total);
        if (percent === shown) return;
        const message = vscode.l10n.t('{0} of {1}, {2} %', bytesText(done), bytesText(total), percent);
        progress.report({ message, increment: percent - shown });
        shown = percent;
      });
    });
    await this.installed();
  }

  /** The progress and the log show the reason for a wait. */
  private network(signal: AbortSignal, progress: Progress): Network {
    const onWait = (message: string): void => {
      this.log.info(message);
      progress.report({ message });
    };
    return { fetch: editorFetch, signal, onWait };
  }

  private async useFile(): Promise<void> {
    const files = await showOpenDialog({
      title: vscode.l10n.t('Package of the CUDA provider'),
      openLabel: vscode.l10n.t('Install'),
      filters: { [vscode.l10n.t('NuGet package')]: ['nupkg'] },
    });
    const archive = files?.[0]?.fsPath;
    if (archive === undefined || !isAbsolute(archive)) throw new Cancelled();
    const installing = vscode.l10n.t('Installing the CUDA provider');
    await working(installing, (signal) => installFromArchive(this.target, archive, signal));
    await this.installed();
  }

  private async installed(): Promise<void> {
    const { storage, version } = this.target;
    await this.tell(await cudaState(storage, version));
  }

  private async tell(state: CudaState): Promise<void> {
    if (state.state === 'ready') {
      void showInformation(
        vscode.l10n.t(
          'The CUDA provider is installed, and the {0} libraries that it needs were found.',
          state.libraries.length,
        ),
      );
    }
    if (state.state !== 'incomplete') return;
    this.advice = adviceFor(this.target.storage, state);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: '/CUDA' });
    this.advised.fire(uri);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri));
    const names = state.missing.map(({ name }) => name).join(', ');
    void showWarning(vscode.l10n.t('The CUDA provider is installed, but cannot run yet: {0} missing.', names));
  }

  private async remove(): Promise<void> {
    await remove(this.target.storage);
    void showInformation(vscode.l10n.t('The CUDA provider was removed.'));
  }
}

/** What CUDA lacks, and how to install it. */
function adviceFor(storage: string, { missing, command }: Extract<CudaState, { state: 'incomplete' }>): string {
  return [
    vscode.l10n.t('The CUDA provider is installed. It also needs:'),
    '',
    ...missing.map(({ name, advice }) => `${name}  ${advice}`),
    ...(command === null ? [] : ['', vscode.l10n.t('All that pip brings:'), '', command]),
    '',
    vscode.l10n.t('Libraries from other places can be put into {0}', librariesFolder(storage)),
    '',
  ].join('\n');
}

async function working<T>(title: string, work: (signal: AbortSignal, progress: Progress) => Promise<T>): Promise<T> {
  const show = (progress: Progress, token: vscode.CancellationToken): Promise<T> => {
    const controller = new AbortController();
    token.onCancellationRequested(() => {
      controller.abort(new Cancelled());
    });
    return work(controller.signal, progress);
  };
  return withProgress(title, show, true);
}

function nothingToInstall(reason: string): SafeLoraError {
  return new SafeLoraError('device-unavailable', vscode.l10n.t('No CUDA provider to install: {0}.', reason));
}
