// Mutations of files: of their bytes, of a safetensors file's header and tensors, and of what lies at a path instead of a file.
import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { basename, dirname, join } from 'node:path';
import { floatDtypes } from '../../../src/core/dtype';
import { f32, safetensors, type TensorSpec, withHeader } from '../../fixtures/make';
import { mutateJson } from './json-mutations';
import { type Random } from './random';
import { type Contents, readFile } from './independent';

/** Flips, cuts, repeats, inserts or exchanges some bytes. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + random.below(40));
  const head = bytes.subarray(0, at);
  switch (random.below(7)) {
    case 0:
      return Buffer.concat([head, Buffer.from([random.below(256)]), bytes.subarray(at + 1)]);
    case 1:
      return Buffer.concat([head, Buffer.from([(bytes[at] ?? 0) ^ (1 << random.below(8))]), bytes.subarray(at + 1)]);
    case 2:
      return Buffer.from(head);
    case 3:
      return Buffer.concat([head, Buffer.alloc(1 + random.below(64), random.below(256)), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([head, bytes.subarray(to)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    default: {
      const middle = Math.floor((at + to) / 2);
      return Buffer.concat([head, bytes.subarray(middle, to), bytes.subarray(at, middle), bytes.subarray(to)]);
    }
  }
}

export function mutateJsonFile(bytes: Buffer, random: Random): Buffer {
  if (random.chance(0.15)) return mutateBytes(bytes, random);
  const text = mutateJson(bytes.toString('utf8'), random);
  return random.chance(0.03)
    ? Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])
    : Buffer.from(text);
}

export function mutateSafetensors(file: Buffer, random: Random): Buffer {
  try {
    return mutateParts(file, readFile(file), random);
  } catch {
    // It is none any more.
    return mutateBytes(file, random);
  }
}

function mutateParts(file: Buffer, parts: Contents, random: Random): Buffer {
  const { header, data } = parts;
  switch (random.below(10)) {
    case 0:
      return mutateBytes(file, random);
    case 1:
      return withHeader(mutateBytes(Buffer.from(header), random).toString('utf8'), data);
    case 2:
      return withHeader(header, mutateBytes(data, random));
    case 3: {
      const wrong = Buffer.from(file);
      wrong.writeBigUInt64LE(random.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n, 100_000_001n, BigInt(header.length + 1)]));
      return wrong;
    }
    case 4:
      return withHeader(mutateJson(header, random), data);
    case 5:
      return withHeader(mutateEntry(header, random), data);
    default:
      return mutateTensors(parts, random);
  }
}

type Entry = Record<'dtype' | 'shape' | 'data_offsets', unknown> & { shape: number[]; data_offsets: [number, number] };

/** One tensor's entry in a header, which then no longer fits the others or the data. */
function mutateEntry(header: string, random: Random): string {
  const { __metadata__: metadata, ...entries } = JSON.parse(header) as Record<string, Entry>;
  const all = Object.values(entries);
  if (all.length === 0) return header;
  const entry = random.pick(all);
  const [begin, end] = entry.data_offsets;
  switch (random.below(6)) {
    case 0:
      entry.dtype = random.pick([...floatDtypes, 'I8', 'BOOL', 'F8_E4M3', 'F4', 'X', 'toString', '']);
      break;
    case 1:
      entry.shape = random.pick([entry.shape.toReversed(), [], [0], [...entry.shape, 1], [2 ** 53], [2 ** 27, 2 ** 27, 2 ** 27], new Array<number>(40).fill(1)]); // prettier-ignore
      break;
    case 2: // a hole, or an overlap
      entry.data_offsets = [begin + random.pick([-4, 4, 8]), end + random.pick([-4, 0, 4])];
      break;
    case 3:
      entry.data_offsets = random.pick(all).data_offsets;
      break;
    case 4:
      entry.data_offsets = random.pick<[number, number]>([[end, begin], [0, 2 ** 52], [0, 0], [2 ** 53, 2 ** 53]]); // prettier-ignore
      break;
    default:
      entry.data_offsets = [begin, begin];
  }
  return JSON.stringify({ ...(metadata ? { __metadata__: metadata } : {}), ...entries });
}

/** Values that arithmetic may stumble over, in single precision. */
const NUMBERS = [NaN, Infinity, 0, -0, 1e38, 3e38, 1e-38, 1e-45, 1, 65504, 1e20, -1e20, 1e-20];

/** A right file with other tensors. */
function mutateTensors({ metadata, tensors }: Contents, random: Random): Buffer {
  const entries = [...tensors].map(([name, tensor]): [string, TensorSpec] => [name, { ...tensor }]);
  if (entries.length === 0) return safetensors({ added: f32([1], [1]) }, metadata);
  const at = random.below(entries.length);
  const [name, tensor] = entries[at]!;
  switch (random.below(8)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.reverse();
      break;
    case 2: {
      const shape = random.pick([tensor.shape.toReversed(), [tensor.bytes.length / 4], [0, 4], [1, ...tensor.shape], [2, 2], [5, 3], [1, 1]]); // prettier-ignore
      const elements = shape.reduce((a, b) => a * b, 1);
      entries[at] = [
        name,
        f32(
          shape,
          Array.from({ length: Math.floor(elements) }, (_, i) => i + 1),
        ),
      ];
      break;
    }
    case 3: {
      const elements = tensor.shape.reduce((a, b) => a * b, 1);
      entries[at] = [name, f32(tensor.shape, new Array<number>(elements).fill(random.pick(NUMBERS)))];
      break;
    }
    case 4: {
      const bytes = Buffer.from(tensor.bytes);
      if (bytes.length >= 4) bytes.writeFloatLE(random.pick(NUMBERS), 4 * random.below(Math.floor(bytes.length / 4)));
      entries[at] = [name, { ...tensor, bytes }];
      break;
    }
    case 5:
      entries[at] = [rename(name, random), tensor];
      break;
    case 6:
      entries.push([rename(name, random), tensor]);
      break;
    default: {
      const dtype = random.pick(floatDtypes);
      const size = { F64: 8, F32: 4, F16: 2, BF16: 2 }[dtype];
      const elements = tensor.shape.reduce((a, b) => a * b, 1);
      entries[at] = [name, { dtype, shape: tensor.shape, bytes: mutateLength(tensor.bytes, size * elements) }];
    }
  }
  return safetensors(Object.fromEntries(entries), metadata);
}

function mutateLength(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(length, bytes)]).subarray(0, length);
}

function rename(name: string, random: Random): string {
  return random.pick([
    name.replace('lora_A', 'lora_B'),
    name.replace('base_model.model.', ''),
    name.replace('.weight', '.default.weight'),
    name.replace('layers.0', 'layers.1'),
    name.replace('layers.0', 'layers.99999999999999999999'),
    name.replace('q_proj', '__proto__'),
    name.replace('q_proj', 'qkv_proj'),
    name.replace('lora_', 'lora_embedding_'),
    name.replace('.lora_A.weight', '.lora_magnitude_vector'),
    `module.${name}`,
    'lm_head.weight',
    'score.weight',
    '.lora_A.weight',
    'a'.repeat(3000),
    '\u001b[31m.lora_A.weight',
    '',
  ]);
}

/** What a folder holds beside files. */
export interface Shelf {
  /** A pipe to be linked, since only a process of its own can make one. */
  fifo: string;
  /** A file apart from all that may be written. */
  outside: string;
}

/** Puts something else at the path of a file or folder. */
export function mutatePath(path: string, shelf: Shelf, random: Random): void {
  const folder = dirname(path);
  switch (random.below(12)) {
    case 0:
      rmSync(path, { recursive: true, force: true });
      break;
    case 1:
      replace(path, () => {
        writeFileSync(path, '');
      });
      break;
    case 2:
      replace(path, () => {
        mkdirSync(path);
      });
      break;
    case 3:
      replace(path, () => {
        linkSync(shelf.fifo, path);
      });
      break;
    case 4: // in a circle
      replace(path, () => {
        symlinkSync(basename(path), path);
      });
      break;
    case 5:
      replace(path, () => {
        symlinkSync(shelf.outside, path);
      });
      break;
    case 6:
      replace(path, () => {
        symlinkSync(dirname(shelf.outside), path);
      });
      break;
    case 7: {
      // the same, by a link
      const there = `${path}.there-${random.below(1_000_000)}`;
      renameSync(path, there);
      symlinkSync(there, path);
      break;
    }
    case 8:
      // Not through a link: it may lead to itself.
      if (!lstatSync(path).isSymbolicLink()) chmodSync(path, random.pick([0, 0o200, 0o400]));
      break;
    case 9: // beside it
      mkdirSync(join(folder, random.pick(['weights.safetensors', 'checkpoint-1', 'optimizer.pt'])), {
        recursive: true,
      });
      break;
    case 10:
      linkSync(shelf.fifo, join(folder, `pipe-${random.below(1000)}`));
      break;
    default: // no disk takes so much, but a hole
      replace(path, () => {
        writeFileSync(path, '');
        truncateSync(
          path,
          random.pick([8, 9_000_000, /\.(?:json|safetensors)$/.test(path) ? 6_000_000_000 : 9_000_001]),
        );
      });
  }
}

function replace(path: string, make: () => void): void {
  rmSync(path, { recursive: true, force: true });
  make();
}

export function mutateFile(path: string, random: Random): void {
  const bytes = readFileSync(path);
  const mutate = path.endsWith('.safetensors') ? mutateSafetensors : path.endsWith('.json') ? mutateJsonFile : mutateBytes; // prettier-ignore
  writeFileSync(path, mutate(bytes, random));
}
