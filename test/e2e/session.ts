// A window of a running editor with a copy of the sample as its workspace, new to its tests; the editor itself is shared.
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
import { after } from 'node:test';
import type { Browser, BrowserContext } from 'playwright-core';
import { root, sample } from '../fixtures/make';
import { AdapterTab } from './adapter-tab';
import { type Editor, openBrowser, startEditor } from './editor';
import { PATIENCE_MS, until } from './patience';
import { packProbe } from './probe';
import { Workbench } from './workbench';

export const MODEL_FILE = 'adapter_model.safetensors';

export interface SessionOptions {
  settings?: Record<string, unknown>;
  asksForTrust?: boolean;
  /** Makes the workspace; without it, it is a copy of the sample. */
  fill?: (workspace: string) => void;
  /** The display language of extensions. */
  language?: string;
  /** Variables of the editor's environment. */
  env?: Record<string, string>;
}

export class Session {
  private constructor(
    readonly workspace: string,
    readonly editor: Editor,
    private readonly context: BrowserContext,
    readonly workbench: Workbench,
    private readonly parent: string,
  ) {}

  static async start({ settings = {}, fill = copySample, ...options }: SessionOptions = {}): Promise<Session> {
    const parent = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-e2e-'));
    const workspace = join(parent, 'workspace');
    mkdirSync(workspace);
    fill(workspace);
    const editor = await sharedEditor(options);
    editor.configure(settings);
    // What a window keeps, the browser keeps for it: a context of its own remembers nothing.
    const context = await (await sharedBrowser()).newContext({ viewport: { width: 1400, height: 1000 } });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const session = new Session(workspace, editor, context, new Workbench(await context.newPage()), parent);
    try {
      await session.workbench.open(editor.url(workspace));
      // A young window has neither our commands nor our menus.
      await until(() => editor.log(/exthost/).includes('Eager extensions activated'), 'the extensions');
    } catch (error) {
      await session.stop();
      throw error;
    }
    return session;
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
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      const pid = this.engineChildren().find((child) => child !== known);
      if (pid !== undefined) {
        act(pid);
        return;
      }
      await sleep(2);
    }
    throw new Error('the engine did not start');
  }

  /** Closes the window; what it left does not reach the next one. */
  async stop(): Promise<void> {
    // A window that is left tells its extension host to end; one whose browser is gone is waited for.
    for (const page of this.context.pages()) await page.goto('about:blank');
    await this.context.close();
    await this.editor.forget();
    rmSync(this.parent, { recursive: true, force: true });
  }
}

type Kind = Pick<SessionOptions, 'asksForTrust' | 'language' | 'env'>;
const editors = new Map<string, Promise<Editor>>();
let browser: Promise<Browser> | undefined;

/** An editor starts in many seconds, and its windows are as new as itself: those of one process share what can be shared. */
function sharedEditor(kind: Kind): Promise<Editor> {
  const key = JSON.stringify(kind);
  const editor = editors.get(key) ?? newEditor(kind);
  editors.set(key, editor);
  return editor;
}

async function newEditor({ asksForTrust = false, env, ...kind }: Kind): Promise<Editor> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return startEditor({
    extensions: [join(root, `safe-lora-linux-x64-${version}.vsix`), await packProbe()],
    asksForTrust,
    // No driver of this machine: the process that tries one would be taken for one that computes.
    env: { VK_DRIVER_FILES: '/nonexistent', ...env },
    ...kind,
  });
}

function sharedBrowser(): Promise<Browser> {
  return (browser ??= openBrowser());
}

after(async () => {
  await (await browser)?.close();
  for (const editor of editors.values()) (await editor).stop();
});

export function copySample(workspace: string): void {
  for (const part of ['base', 'aligned', 'adapters', 'prompts.json']) {
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
