// Where in-place saving keeps the weights that it replaces: beside the adapter, or in the workspace's storage.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type * as vscode from 'vscode';
import { ORIGINALS_FILE } from '../../core/adapter';
import { kindOf } from '../../core/files';
import { setting } from '../settings/settings';

export class OriginalsLocation {
  /** @param storage the extension's folder for this workspace */
  constructor(private readonly storage: vscode.Uri) {}

  /** An existing file is extended, whatever the setting is now. */
  async of(folder: string): Promise<string> {
    const beside = join(folder, ORIGINALS_FILE);
    if ((await kindOf(beside)) !== null) return beside;
    const key = createHash('sha256').update(folder).digest('hex');
    const stored = join(this.storage.fsPath, 'originals', `${key}.safetensors`);
    if ((await kindOf(stored)) !== null) return stored;
    return setting('keepOriginals') === 'workspaceStorage' ? stored : beside;
  }
}
