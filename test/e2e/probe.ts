// The extension beside ours in the tests, packed as a VSIX.
import { join } from 'node:path';
import { createVSIX } from '@vscode/vsce';
import { root, temporaryFolder } from '../fixtures/make';

export async function packProbe(): Promise<string> {
  const vsix = join(temporaryFolder(), 'probe.vsix');
  await createVSIX({
    cwd: join(root, 'test/e2e/probe'),
    packagePath: vsix,
    dependencies: false,
    allowMissingRepository: true,
    skipLicense: true,
  });
  return vsix;
}
