// Copies an adapter from another file system, such as a git revision, to a folder on disk: the engine reads files.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILE } from '../../core/adapter-folder';
import { CONFIG_FILE } from '../../core/adapter-config';
import { SafeLoraError } from '../../core/errors';

export class TemporaryCopy implements vscode.Disposable {
  private constructor(
    private readonly parent: string,
    /** The adapter's folder, named like the original's. */
    readonly folder: string,
  ) {}

  static async of(uri: vscode.Uri): Promise<TemporaryCopy> {
    const name = basename(dirname(uri.path)).replace(/^\.*$|[\\/:]/g, '') || 'adapter';
    const parent = await mkdtemp(join(tmpdir(), 'safe-lora-'));
    const copy = new TemporaryCopy(parent, join(parent, name));
    try {
      for (const file of [ADAPTER_FILE, CONFIG_FILE]) {
        const content = await vscode.workspace.fs.readFile(sibling(uri, file));
        await vscode.workspace.fs.writeFile(vscode.Uri.file(join(copy.folder, file)), content);
      }
      return copy;
    } catch (error) {
      copy.dispose();
      const reason = (error as Error).message;
      throw unreadable(uri, reason);
    }
  }

  dispose(): void {
    void rm(this.parent, { recursive: true, force: true });
  }
}

/** Git keeps the path in its query too: `{"path": …, "ref": …}`. */
function sibling(uri: vscode.Uri, name: string): vscode.Uri {
  const renamed = (path: string): string => path.replace(/[^\\/]*$/, name);
  let { query } = uri;
  try {
    const parsed = JSON.parse(query) as { path?: unknown };
    if (typeof parsed.path === 'string') query = JSON.stringify({ ...parsed, path: renamed(parsed.path) });
  } catch {
    // Other file systems' queries do not describe the path.
  }
  return uri.with({ path: renamed(uri.path), query });
}

function unreadable(uri: vscode.Uri, reason: string): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    vscode.l10n.t('{0}: cannot read it: {1}; open the file on disk.', uri.toString(), reason),
  );
}
