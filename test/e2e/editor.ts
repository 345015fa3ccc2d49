// Starts a real editor, code-server, on this machine: its own settings, extensions and home folder, the built VSIX installed. It has as
// many windows as are opened at its address, each with an extension host of its own.
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import {
  existsSync,
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
import { chromium, type Browser } from 'playwright-core';
import { editorTools } from './install.mjs';
import { until } from './patience';

export interface EditorOptions {
  /** VSIX files to install. */
  extensions: string[];
  /** Whether the editor asks before it trusts a workspace; without it every workspace is trusted. */
  asksForTrust?: boolean;
  /** The display language, e.g. `de`: extensions speak it, the editor's own texts stay English. */
  language?: string;
  /** Variables of the editor's environment, on top of the test's own. */
  env?: Record<string, string>;
}

/** Nothing on screen but what a test opens; file dialogs are quick inputs that a test can type into. */
const quietSettings = {
  'chat.disableAIFeatures': true,
  'editor.accessibilitySupport': 'off',
  // A folder with a single child keeps a row of its own.
  'explorer.compactFolders': false,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'files.autoSave': 'off',
  'files.simpleDialog.enable': true,
  'git.enabled': false,
  'remote.autoForwardPorts': false,
  'security.workspace.trust.untrustedFiles': 'open',
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'window.commandCenter': false,
  'workbench.enableExperiments': false,
  'workbench.layoutControl.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
};
// Long enough for a page that reloads, short enough that no extension host outlives its window for long.
const reconnectionGraceSeconds = 10;

export class Editor {
  constructor(
    private readonly address: string,
    private readonly temporary: string,
    private readonly pid: number,
  ) {
    process.once('exit', this.kill);
    // An interrupted test run would otherwise end without an exit event, and the editor would outlive it.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, this.exit);
  }

  /** The address of the workbench with a folder open. */
  url(folder: string): string {
    return `${this.address}?folder=${encodeURIComponent(folder)}`;
  }

  get userDataDir(): string {
    return join(this.temporary, 'data');
  }

  get extensionsDir(): string {
    return join(this.temporary, 'extensions');
  }

  /** What the extension host sees as the system's temporary folder. */
  get temporaryDir(): string {
    return join(this.temporary, 'tmp');
  }

  /** What the extension host sees as the user's home. */
  get home(): string {
    return join(this.temporary, 'home');
  }

  /** The logs whose path matches, e.g. /remoteexthost/ for the extension host or /Safe LoRA/ for the output channel. */
  log(path: RegExp): string {
    const folder = join(this.userDataDir, 'logs');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.log'));
    return files
      .filter((name) => path.test(name))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
  }

  /** Gives the next window its user's settings, on top of `quietSettings`. */
  configure(settings: Record<string, unknown>): void {
    writeFileSync(join(this.userDataDir, 'User', 'settings.json'), JSON.stringify({ ...quietSettings, ...settings }));
  }

  /** Waits for the extension hosts of closed windows to end, and removes what they stored and logged. */
  async forget(): Promise<void> {
    await until(() => !this.hasExtensionHosts(), 'the extension host to end with its window');
    const storages = ['globalStorage', 'workspaceStorage', 'History'].map((name) =>
      join(this.userDataDir, 'User', name),
    );
    const runs = join(this.userDataDir, 'logs');
    for (const folder of [...storages, ...namesIn(runs).map((name) => join(runs, name))]) {
      for (const name of namesIn(folder)) {
        // The server goes on with its own logs.
        if (storages.includes(folder) || name.startsWith('exthost')) remove(join(folder, name));
      }
    }
  }

  private hasExtensionHosts(): boolean {
    return namesIn('/proc').some((name) => {
      if (!/^\d+$/.test(name)) return false;
      try {
        // After the command's name, which may hold spaces: state, parent, group.
        const group = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[2];
        return (
          group === `${this.pid}` && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('--type=extensionHost')
        );
      } catch {
        return false;
      }
    });
  }

  /** Ends the server and all that it started, and removes its folders. */
  stop(): void {
    process.off('exit', this.kill);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, this.exit);
    this.kill();
  }

  private readonly exit = () => process.exit(130);

  private readonly kill = () => {
    signal(this.pid, 'SIGKILL');
    remove(this.temporary);
  };
}

export async function startEditor(options: EditorOptions): Promise<Editor> {
  const { node, codeServer } = editorTools();
  const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-editor-'));
  const folder = (name: string) => join(temporary, name);
  for (const name of ['data/User', 'home', 'tmp']) mkdirSync(folder(name), { recursive: true });
  writeFileSync(folder('data/User/settings.json'), JSON.stringify(quietSettings));
  if (options.language !== undefined) addLanguage(folder('data'), options.language);

  // A terminal inside an editor would hand the workspace to that editor; npm, tsx and the user's caches are none of its business.
  const foreign = /^(VSCODE_|XDG_|NODE_|npm_|PORT$|PASSWORD$)/;
  const inherited = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    LANG: 'C.UTF-8',
    ...options.env,
  };
  const places = [codeServer, '--user-data-dir', folder('data'), '--extensions-dir', folder('extensions')];
  try {
    const installs = options.extensions.flatMap((vsix) => ['--install-extension', vsix]);
    const { status, stdout, stderr } = spawnSync(node, [...places, ...installs], { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${options.extensions.join(', ')} was not installed:\n${stdout}${stderr}`);
    const args = [
      ...['--auth', 'none', '--bind-addr', '127.0.0.1:0', '--reconnection-grace-time', `${reconnectionGraceSeconds}`],
      ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
      ...(options.asksForTrust ? [] : ['--disable-workspace-trust']),
      ...(options.language === undefined ? [] : ['--locale', options.language]),
    ];
    // A group of its own, so that everything the editor starts can be ended with it.
    const server = spawn(node, [...places, ...args], { env, detached: true, stdio: 'pipe' });
    return new Editor(await listeningAddress(server), temporary, server.pid!);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** What installing a language pack leaves behind; the server takes no language without it. This one translates nothing. */
function addLanguage(dataDir: string, language: string): void {
  const texts = join(dataDir, 'language-pack.json');
  writeFileSync(texts, JSON.stringify({ contents: {} }));
  const pack = {
    hash: language,
    label: language,
    extensions: [{ extensionIdentifier: { id: `test.${language}` }, version: '0.0.1' }],
    translations: { vscode: texts },
  };
  writeFileSync(join(dataDir, 'languagepacks.json'), JSON.stringify({ [language]: pack }));
}

function listeningAddress(server: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const address = /listening on (http:\S+)/.exec(said)?.[1];
      if (address) resolve(address);
    };
    // Read on to the end: a full pipe would stop the server.
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.once('error', reject);
    server.once('exit', () => {
      reject(new Error(`code-server ended:\n${said}`));
    });
  });
}

/** Also what an ending process may still write to. */
function remove(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Sends a signal to a process group; false when there is none any more. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name);
  } catch {
    return false;
  }
}

export function openBrowser(): Promise<Browser> {
  const flags =
    '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
  return chromium.launch({ executablePath: editorTools().chromium, args: flags.split(' ') });
}
