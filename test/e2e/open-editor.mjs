// Opens the packaged extension on a copy of the sample: in VS Code where `code` is on PATH, else in the code-server of the tests.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const vsix = join(root, `safe-lora-${process.platform}-${process.arch}-${version}.vsix`);
const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'safe-lora-try-'));
const workspace = join(temporary, 'sample');
process.once('exit', () => {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => process.exit(130));
cpSync(join(root, 'sample'), workspace, { recursive: true });

const START = 'Start with F1, then “Safe LoRA: Open Sample Workspace”: it opens an adapter and measures it.';

/** `code` is a script on every platform, on Windows one for the shell. */
function code(...args) {
  const shell = process.platform === 'win32';
  return spawnSync('code', shell ? args.map((argument) => `"${argument}"`) : args, { shell, encoding: 'utf8' });
}

if (code('--version').status === 0) openInVisualStudioCode();
else await serveInBrowser();

function openInVisualStudioCode() {
  // Folders of its own: the user's settings and extensions stay as they are.
  const places = ['--user-data-dir', join(temporary, 'data'), '--extensions-dir', join(temporary, 'extensions')];
  const { status, stdout, stderr } = code(...places, '--install-extension', vsix);
  if (status !== 0) throw new Error(`code did not install ${vsix}:\n${stdout}${stderr}`);
  console.log(`VS Code opens on a copy of the sample; close its window to end.\n${START}`);
  code(...places, '--new-window', '--wait', '--disable-workspace-trust', workspace);
}

async function serveInBrowser() {
  const { install } = await import('./install.mjs');
  const { startEditor } = await import('./editor.ts');
  install();
  const editor = await startEditor({ extensions: [vsix] });
  console.log(`${editor.url(workspace)}\nOpen this address in a browser; Ctrl-C ends the editor.\n${START}`);
}
