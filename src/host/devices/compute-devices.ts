// Safe LoRA: Show Compute Devices: tests every provider now, and shows the results as text to read and copy.
import { join } from 'node:path';
import * as vscode from 'vscode';
import { l10n } from 'vscode';
import { type DoctorChecks, examine, type ProviderCheck } from '../../engine/doctor';
import { markdownText } from '../../core/text';
import { LARGEST_ERROR } from '../../engine/devices';
import { TIMED } from '../../engine/selftest';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { type EngineService } from './engine-service';
import { showingFailure } from '../common/errors';
import { type Log, withProgress } from '../common/surface';

declare const SAFE_LORA_VERSION: string;
declare const ONNXRUNTIME_VERSION: string;

const SCHEME = 'safe-lora-devices';

export class ComputeDevices extends Disposable implements vscode.TextDocumentContentProvider {
  private readonly changed = this._register(new vscode.EventEmitter<vscode.Uri>());
  readonly onDidChange = this.changed.event;
  private readonly uri: vscode.Uri;
  private text = '';

  constructor(
    private readonly engine: EngineService,
    log: Log,
  ) {
    super();
    // The tab's title.
    this.uri = vscode.Uri.from({ scheme: SCHEME, path: `/${l10n.t('Compute Devices')}.md` });
    this._register(vscode.workspace.registerTextDocumentContentProvider(SCHEME, this));
    this._register(vscode.commands.registerCommand(commands.showDevices, () => showingFailure(log, () => this.show())));
  }

  provideTextDocumentContent(): string {
    return this.text;
  }

  private async show(): Promise<void> {
    const title = l10n.t('Safe LoRA: trying the compute devices');
    const checks = await withProgress(title, () =>
      examine(this.engine.devices, {
        tool: SAFE_LORA_VERSION,
        onnxruntime: ONNXRUNTIME_VERSION,
        gpusProgram: join(__dirname, 'gpus.js'),
      }),
    );
    this.text = pageOf(checks);
    this.changed.fire(this.uri);
    await vscode.commands.executeCommand('markdown.showPreview', this.uri);
  }
}

function pageOf({ tool, onnxruntime, node, platform, gpus, cudaLibraries, providers, auto }: DoctorChecks): string {
  const because =
    auto.fallbackReason === null ? '' : ` ${markdownText(l10n.t('No faster device: {0}.', auto.fallbackReason))}`;
  return [
    `# ${l10n.t('Compute devices')}`,
    `${l10n.t('With the setting safeLora.device at auto, Safe LoRA uses **{0}**.', auto.provider)}${because}`,
    table(
      [
        l10n.t('Device'),
        l10n.t('State'),
        l10n.t('Error of similarity'),
        l10n.t('A {0} × {0} module', TIMED),
        l10n.t('First result after'),
      ],
      providers.map((check) => [check.provider, ...providerRow(check)]),
    ),
    l10n.t(
      'Each device computed small modules, compared with a double-precision reference (usable up to an error of {0}), and a larger module to take its time.',
      LARGEST_ERROR,
    ),
    `## ${l10n.t('Graphics processors')}`,
    gpus.length === 0
      ? l10n.t('No graphics processor found.')
      : table(
          [l10n.t('Name'), l10n.t('Memory'), l10n.t('Driver')],
          gpus.map(({ name, memoryMiB, driver }) => [
            name,
            memoryMiB === null ? '' : `${(memoryMiB / 1024).toFixed(0)} GiB`,
            driver ?? '',
          ]),
        ),
    ...(cudaLibraries.length === 0
      ? []
      : [
          `## ${l10n.t('Libraries for CUDA')}`,
          table(
            [l10n.t('Library'), l10n.t('File')],
            cudaLibraries.map(({ name, path }) => [name, path]),
          ),
        ]),
    `Safe LoRA ${tool.version} · onnxruntime ${onnxruntime} · Node ${node} · ${platform}`,
  ].join('\n\n');
}

function providerRow(check: ProviderCheck): string[] {
  if (!check.usable) {
    const { reason, remedy } = check;
    return [
      `${l10n.t('not usable: {0}', reason)}${remedy === null ? '' : `. ${l10n.t('To use it: {0}.', remedy)}`}`,
      '',
      '',
      '',
    ];
  }
  const { similarityError, milliseconds, firstMilliseconds } = check.selfTest;
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  return [l10n.t('usable'), similarityError.toExponential(1), ms(milliseconds), ms(firstMilliseconds)];
}

/** Text from a library or driver is not Markdown. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const text = (cells: readonly string[]): string => line(cells.map((cell) => markdownText(cell.replace(/\s+/g, ' '))));
  return [text(head), line(head.map(() => '---')), ...rows.map(text)].join('\n');
}
