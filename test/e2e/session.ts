// A running editor with a copy of the sample as its workspace, for the tests of one file.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { root, sample } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { type Editor, openBrowser, startEditor } from './editor';
import { Workbench } from './workbench';

export const MODEL_FILE = 'adapter_model.safetensors';

export interface SessionOptions {
  settings?: Record<string, unknown>;
  asksForTrust?: boolean;
  /** Makes the workspace; without it, it is a copy of the sample. */
  fill?: (workspace: string) => void;
  /** VSIX files of extensions beside ours. */
  extensions?: string[];
  /** The display language of extensions. */
  language?: string;
  /** Variables of the editor's environment. */
  env?: Record<string, string>;
}

export class Session {
  private constructor(
    readonly workspace: string,
    readonly editor: Editor,
    private readonly browser: Browser,
    readonly workbench: Workbench,
    private readonly parent: string,
  ) {}

  static async start(options: SessionOptions = {}): Promise<Session> {
    const parent = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-e2e-'));
    const workspace = join(parent, 'workspace');
    mkdirSync(workspace);
    (options.fill ?? copySample)(workspace);
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    const editor = await startEditor({
      extensions: [join(root, `safe-lora-linux-x64-${version}.vsix`), ...(options.extensions ?? [])],
      folder: workspace,
      settings: options.settings ?? {},
      asksForTrust: options.asksForTrust ?? false,
      // No driver of this machine: the process that tries one would be taken for one that computes.
      env: { VK_DRIVER_FILES: '/nonexistent', ...options.env },
      ...(options.language === undefined ? {} : { language: options.language }),
    });
    const browser = await openBrowser();
    const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const workbench = new Workbench(await context.newPage());
    await workbench.open(editor.url);
    // A young window has neither our commands nor our menus.
    await until(() => editor.log(/exthost/).includes('Eager extensions activated'), 'the extensions', 60_000);
    return new Session(workspace, editor, browser, workbench, parent);
  }

  path(...parts: string[]): string {
    return join(this.workspace, ...parts);
  }

  modelFile(adapter: string): string {
    return this.path('adapters', adapter, MODEL_FILE);
  }

  /** A folder beside the workspace. */
  outside(...parts: string[]): string {
    return join(this.parent, ...parts);
  }

  /** A file of the installed extension. */
  extensionFile(...parts: string[]): string {
    const [extension] = readdirSync(this.editor.extensionsDir).filter((name) => name.startsWith('safe-lora.'));
    return join(this.editor.extensionsDir, extension!, ...parts);
  }

  /** Opens an adapter of the workspace as a double-click would, which measures nothing. */
  async openAdapter(adapter: string): Promise<AdapterTab> {
    await this.workbench.openFile(`adapters/${adapter}/${MODEL_FILE}`);
    const tab = new AdapterTab(this.workbench);
    await tab.title.filter({ hasText: adapter }).waitFor();
    return tab;
  }

  /** From the explorer's context menu: opens and, with known models, measures. */
  async projectAdapter(adapter: string): Promise<AdapterTab> {
    await this.workbench.explorerContextMenu(`adapters/${adapter}`, 'Project Adapter');
    const tab = new AdapterTab(this.workbench);
    await tab.title.filter({ hasText: adapter }).waitFor();
    return tab;
  }

  /** How many backups of unsaved edits lie in the editor's storage. */
  keptEdits(): number {
    const storage = join(this.editor.userDataDir, 'User', 'workspaceStorage');
    const files = readdirSync(storage, { recursive: true, encoding: 'utf8' });
    return files.filter((name) => /safe-lora\.safe-lora[\\/]-?\d+$/.test(name)).length;
  }

  /** The engine's processes. */
  engineChildren(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          return command.includes('engine-child.js') && command.includes(this.editor.extensionsDir);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  /** Waits for the engine to start a process other than a known one, and does something to it at once. */
  async whenEngineStarts(act: (pid: number) => void, known?: number): Promise<void> {
    for (const end = Date.now() + 60_000; Date.now() < end;) {
      const pid = this.engineChildren().find((child) => child !== known);
      if (pid !== undefined) {
        act(pid);
        return;
      }
      await sleep(2);
    }
    throw new Error('the engine did not start');
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.editor.stop();
    rmSync(this.parent, { recursive: true, force: true });
  }
}

export function copySample(workspace: string): void {
  for (const part of ['base', 'aligned', 'adapters']) {
    cpSync(join(sample, part), join(workspace, part), { recursive: true });
  }
}

/** A copy of the sample whose two models are known to the workspace. */
export function copySampleWithPair(workspace: string): void {
  copySample(workspace);
  rememberPair(workspace);
}

/** Puts the sample's two models into the workspace's settings, with others. */
export function rememberPair(workspace: string, others: Record<string, unknown> = {}): void {
  const pair = { base: join(workspace, 'base'), aligned: join(workspace, 'aligned') };
  mkdirSync(join(workspace, '.vscode'));
  writeFileSync(
    join(workspace, '.vscode', 'settings.json'),
    JSON.stringify({ ...others, 'safeLora.pairs': { 'toy-llama-aligned': pair } }),
  );
}

/** Waits until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, timeout = 30_000): Promise<void> {
  for (const end = Date.now() + timeout; Date.now() < end;) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`waited in vain: ${what}`);
}
