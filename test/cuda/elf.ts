// Tiny shared libraries that need what a test says, written by code that shares nothing with the reader under test.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';

export interface ElfSpec {
  needed?: string[];
  runpath?: string;
  /** 62 is x86-64, 183 AArch64. */
  machine?: number;
  /** Bytes after the tables, to give the file a size. */
  padding?: number;
}

/** One loadable segment that holds everything, mapped far from its offset in the file as real libraries are. */
export function elf({ needed = [], runpath, machine = 62, padding = 0 }: ElfSpec): Buffer {
  const base = 0x40_0000n;
  const strings = Buffer.concat([
    Buffer.from([0]),
    ...[...needed, ...(runpath === undefined ? [] : [runpath])].map((text) => Buffer.from(`${text}\0`)),
  ]);
  const offsetOf = (text: string): bigint => BigInt(strings.indexOf(`\0${text}\0`) + 1);
  const headers = 64 + 2 * 56;
  const stringsAt = headers;
  const dynamicAt = Math.ceil((stringsAt + strings.length) / 16) * 16;
  const entries: [bigint, bigint][] = [
    ...needed.map((name): [bigint, bigint] => [1n, offsetOf(name)]),
    ...(runpath === undefined ? [] : [[29n, offsetOf(runpath)] as [bigint, bigint]]),
    [5n, base + BigInt(stringsAt)],
    [10n, BigInt(strings.length)],
    [0n, 0n],
  ];
  const size = dynamicAt + entries.length * 16 + padding;
  const bytes = Buffer.alloc(size);
  bytes.write('\x7fELF', 'latin1');
  bytes.set([2, 1, 1], 4);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  const segment = (at: number, type: number, offset: number, length: number): void => {
    bytes.writeUInt32LE(type, at);
    // Readable and writable: older loaders adjust the dynamic section in place.
    bytes.writeUInt32LE(6, at + 4);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(base + BigInt(offset), at + 16);
    bytes.writeBigUInt64LE(base + BigInt(offset), at + 24);
    bytes.writeBigUInt64LE(BigInt(length), at + 32);
    bytes.writeBigUInt64LE(BigInt(length), at + 40);
    bytes.writeBigUInt64LE(0x1000n, at + 48);
  };
  segment(64, 1, 0, size);
  segment(120, 2, dynamicAt, entries.length * 16);
  strings.copy(bytes, stringsAt);
  entries.forEach(([tag, value], i) => {
    bytes.writeBigUInt64LE(tag, dynamicAt + 16 * i);
    bytes.writeBigUInt64LE(value, dynamicAt + 16 * i + 8);
  });
  // Bytes that do not compress.
  for (let i = size - padding, state = 1; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** What the system's loader takes with a library or a program, by name, each with the file that it is. */
export function loaded(path: string): Map<string, string> {
  // It answers 1 for what needs nothing.
  const { stdout } = spawnSync('ldd', [path], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  const lines = stdout.matchAll(/^\s+(?:(\S+) => )?(\/\S+) \(0x/gm);
  return new Map([...lines].map(([, name, file]) => [name ?? basename(file!), file!]));
}
