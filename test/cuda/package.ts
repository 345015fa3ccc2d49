// The provider's package as nuget.org has it, small: its description, the two libraries, and what is to stay in it.
import { createHash } from 'node:crypto';
import { ZipFile } from 'yazl';
import { elf } from './elf';

export const ID = 'Microsoft.ML.OnnxRuntime.Gpu.Linux';
export const NATIVE = 'runtimes/linux-x64/native';

export interface PackageSpec {
  id?: string;
  version?: string;
  needed?: string[];
  /** Bytes in the provider that do not compress. */
  padding?: number;
  /** Files to leave out, or to put in another form. */
  files?: Record<string, Buffer | null>;
}

export const libraries = (needed = ['libcudart.so.12', 'libc.so.6'], padding = 300_000): Record<string, Buffer> => ({
  [`${NATIVE}/libonnxruntime_providers_cuda.so`]: elf({ needed, padding }),
  [`${NATIVE}/libonnxruntime_providers_shared.so`]: elf({ needed: ['libc.so.6'] }),
});

export async function makePackage(version: string, spec: PackageSpec = {}): Promise<Buffer> {
  const { id = ID, needed, padding } = spec;
  const nuspec = `<?xml version="1.0"?>\n<package><metadata>\n  <id>${id}</id>\n  <version>${spec.version ?? version}</version>\n</metadata></package>\n`;
  const files: Record<string, Buffer | null> = {
    '[Content_Types].xml': Buffer.from('<Types/>'),
    [`${id}.nuspec`]: Buffer.from(nuspec),
    [`${NATIVE}/libonnxruntime_providers_tensorrt.so`]: elf({}),
    'build/native/include/onnxruntime_c_api.h': Buffer.from('// a header\n'),
    ...libraries(needed, padding),
    ...spec.files,
  };
  const zip = new ZipFile();
  for (const [name, bytes] of Object.entries(files)) if (bytes) zip.addBuffer(bytes, name);
  zip.end();
  const pieces: Buffer[] = [];
  for await (const piece of zip.outputStream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

export const sha512 = (bytes: Buffer): string => createHash('sha512').update(bytes).digest('base64');
