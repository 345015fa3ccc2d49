// The libraries that a shared library needs, read from its own bytes (ELF; System V ABI, chapters 4 and 5).
import { SafeLoraError } from '../core/errors';
import { ReadableFile } from '../core/files';

export interface Needed {
  /** The processor's number in ELF: 62 is x86-64. */
  machine: number;
  /** Names of the libraries that must load before it, in its own order (DT_NEEDED). */
  needed: string[];
  /** Its search path for them (DT_RUNPATH, else DT_RPATH); may contain $ORIGIN. */
  runpath: string[];
}

export const X86_64 = 62;

const [PT_LOAD, PT_DYNAMIC] = [1, 2];
const [DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH] = [0, 1, 5, 10, 15, 29];
const PROGRAM_HEADER_BYTES = 56;
const DYNAMIC_ENTRY_BYTES = 16;
// A library has about ten segments and forty dynamic entries.
const MAX_SEGMENTS = 1000;
const MAX_DYNAMIC_BYTES = 1_000_000;
/** Longer than any name and most paths; a truncated path is simply not found. */
const MAX_NAME_BYTES = 4096;

interface Segment {
  type: number;
  offset: bigint;
  address: bigint;
  bytes: bigint;
}

/** @throws SafeLoraError if it is not a 64-bit library of a little-endian machine, or is damaged */
export async function readNeeded(path: string): Promise<Needed> {
  return ReadableFile.with(path, async (file) => {
    const { machine, segments } = await readSegments(file);
    const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
    if (!dynamic) return { machine, needed: [], runpath: [] };
    if (dynamic.bytes > MAX_DYNAMIC_BYTES) throw damaged(file, 'its dynamic section is too large');
    const entries = dynamicEntries(await view(file, dynamic.offset, Number(dynamic.bytes)));
    const value = (tag: number): bigint | undefined => entries.find((entry) => entry.tag === tag)?.value;
    const strings = stringReader(file, segments, value(DT_STRTAB) ?? 0n, value(DT_STRSZ) ?? 0n);
    const all = async (tag: number): Promise<string[]> => {
      const found: string[] = [];
      for (const entry of entries) if (entry.tag === tag) found.push(await strings(entry.value));
      return found;
    };
    const [runpath, rpath] = [await all(DT_RUNPATH), await all(DT_RPATH)];
    return {
      machine,
      needed: await all(DT_NEEDED),
      runpath: (runpath.length > 0 ? runpath : rpath).flatMap((list) => list.split(':')).filter(Boolean),
    };
  });
}

async function readSegments(file: ReadableFile): Promise<{ machine: number; segments: Segment[] }> {
  const header = await view(file, 0n, 64);
  if (header.getUint32(0) !== 0x7f454c46) throw damaged(file, 'it is not an ELF file');
  const [elfClass, byteOrder] = [header.getUint8(4), header.getUint8(5)];
  if (elfClass !== 2 || byteOrder !== 1) throw damaged(file, 'it is for no 64-bit little-endian machine');
  const [entryBytes, count] = [header.getUint16(54, true), header.getUint16(56, true)];
  if (entryBytes !== PROGRAM_HEADER_BYTES || count > MAX_SEGMENTS) throw damaged(file, 'its segments cannot be right');
  const table = await view(file, header.getBigUint64(32, true), count * PROGRAM_HEADER_BYTES);
  const segments = Array.from({ length: count }, (_, i): Segment => {
    const at = i * PROGRAM_HEADER_BYTES;
    return {
      type: table.getUint32(at, true),
      offset: table.getBigUint64(at + 8, true),
      address: table.getBigUint64(at + 16, true),
      bytes: table.getBigUint64(at + 32, true),
    };
  });
  return { machine: header.getUint16(18, true), segments };
}

function dynamicEntries(table: DataView): { tag: number; value: bigint }[] {
  const entries: { tag: number; value: bigint }[] = [];
  for (let at = 0; at + DYNAMIC_ENTRY_BYTES <= table.byteLength; at += DYNAMIC_ENTRY_BYTES) {
    const tag = Number(table.getBigUint64(at, true));
    if (tag === DT_NULL) break;
    entries.push({ tag, value: table.getBigUint64(at + 8, true) });
  }
  return entries;
}

/** The string table is given by its address in memory; segments map that to the file. */
function stringReader(file: ReadableFile, segments: readonly Segment[], address: bigint, size: bigint) {
  const segment = segments.find(
    ({ type, address: start, bytes }) => type === PT_LOAD && address >= start && address + size <= start + bytes,
  );
  return async (at: bigint): Promise<string> => {
    if (!segment || at >= size) throw damaged(file, 'a name lies outside its string table');
    const length = Math.min(MAX_NAME_BYTES, Number(size - at));
    const bytes = await view(file, segment.offset + (address - segment.address) + at, length);
    const text = Buffer.from(bytes.buffer);
    const end = text.indexOf(0);
    return text.toString('utf8', 0, end < 0 ? length : end);
  };
}

async function view(file: ReadableFile, offset: bigint, length: number): Promise<DataView<ArrayBuffer>> {
  if (offset + BigInt(length) > BigInt(file.size)) throw damaged(file, 'it is cut off');
  const bytes = await file.read(Number(offset), length);
  return new DataView(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}

function damaged({ path }: ReadableFile, reason: string): SafeLoraError {
  return new SafeLoraError(
    'provider-package',
    `${path}: is not a library that can be loaded: ${reason}; install it again.`,
  );
}
