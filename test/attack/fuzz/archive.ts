// The CUDA package's part of the targets: an archive whose bytes and fields are others.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { extract } from '../../../src/cuda/archive';
import { PROVIDER_FILE, type ProviderPackage, providerPackage, SHARED_FILE } from '../../../src/cuda/package';
import { libraries, makePackage, NATIVE } from '../../cuda/package';
import { mutateBytes, mutatePath } from './file-mutations';
import { Violation } from './oracles';
import { type Random } from './random';
import { type Case } from './walk';

const VERSION = '1.30.0';
const PADDING = 64;
const needed = ['libcudart.so.12', 'libc.so.6'];
const wanted: ProviderPackage = providerPackage(VERSION, { platform: 'linux', arch: 'x64' });

export class FuzzedArchive {
  private readonly contents = libraries(needed, PADDING);

  private constructor(private readonly bytes: Buffer) {}

  static async make(): Promise<FuzzedArchive> {
    return new FuzzedArchive(await makePackage(VERSION, { needed, padding: PADDING }));
  }

  async run(c: Case): Promise<void> {
    const { random, trace, inside } = c;
    const archive = join(inside, 'package.nupkg');
    const folder = join(inside, 'libraries');
    let bytes = this.bytes;
    for (let count = 1 + random.below(4); count > 0; count--) {
      const isField = random.chance(0.7);
      trace.push(isField ? 'field' : 'bytes');
      bytes = isField ? mutateField(bytes, random) : mutateBytes(bytes, random);
    }
    writeFileSync(archive, bytes);
    if (random.chance(0.05)) mutatePath(archive, c.shelf, random);
    mkdirSync(folder);
    const done = await c.attempt(() => extract(archive, wanted, folder, new AbortController().signal).then(() => true));
    const names = readdirSync(folder);
    if (names.some((name) => ![PROVIDER_FILE, SHARED_FILE].includes(name)))
      throw new Violation('wrong-bytes', names.join());
    if (!done) return;
    for (const name of [PROVIDER_FILE, SHARED_FILE])
      if (!readFileSync(join(folder, name)).equals(this.contents[`${NATIVE}/${name}`]!))
        throw new Violation('wrong-bytes', name);
  }
}

/** Signatures of a zip file's parts (APPNOTE.TXT 4.3), with how long each is before its names. */
const PARTS = [
  [0x04034b50, 30],
  [0x02014b50, 46],
  [0x06054b50, 22],
] as const;
const NAMES = [
  '../../outside/secret.txt',
  '/etc/passwd',
  `${NATIVE}/${PROVIDER_FILE}`,
  'x.nuspec',
  'C:\\x',
  '\u001b[2J',
  '',
];

/** One field of one part, or a name in it. */
function mutateField(file: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(file);
  const found = PARTS.flatMap(([signature, length]) => offsetsOf(bytes, signature).map((at) => ({ at, length })));
  const { at, length } = random.pick(found.length > 0 ? found : [{ at: 0, length: 30 }]);
  if (random.chance(0.2)) {
    bytes.write(random.pick(NAMES), Math.min(bytes.length, at + length), 'latin1');
    return bytes;
  }
  const field = at + 4 + 2 * random.below((length - 4) / 2);
  if (field + 4 > bytes.length) return bytes;
  if (random.chance(0.5))
    bytes.writeUInt16LE(random.pick([0, 1, 8, 0xffff, 0x7fff, 12, 99, random.below(65536)]), field);
  else
    bytes.writeUInt32LE(
      random.pick([0, 1, 0xffffffff, 0x7fffffff, bytes.length, random.below(bytes.length + 1)]),
      field,
    );
  return bytes;
}

function offsetsOf(bytes: Buffer, signature: number): number[] {
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(signature);
  const found: number[] = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) found.push(at);
  return found;
}
