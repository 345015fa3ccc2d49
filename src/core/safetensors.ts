// The safetensors container, parsed strictly: files come from untrusted sources.
// Format: https://github.com/huggingface/safetensors#format — u64 header length, JSON header, then the tensors' bytes without holes.
import { createHash } from 'node:crypto';
import { dtypeBits } from './dtype';
import { quoted, SafeLoraError, shown } from './errors';
import { ReadableFile, stampOf, truncated } from './files';
import { type Format, formatOf, isLfsPointer } from './formats';

/** A tensor's position in a file. */
export interface TensorInfo {
  /** The file that holds it. */
  path: string;
  /** That file's name in errors, if it is only a copy of one that the user knows. */
  source?: string;
  name: string;
  dtype: string;
  shape: readonly number[];
  /** Position of the first byte in the file. */
  offset: number;
  /** Length in bytes. */
  length: number;
  /** For a run of rows: the whole tensor in the file. */
  within?: TensorInfo;
}

/** The file of a tensor as the user knows it. */
export function sourceOf({ path, source }: Pick<TensorInfo, 'path' | 'source'>): string {
  return source ?? path;
}

export interface Header {
  /** In the order in which the header names them. */
  tensors: ReadonlyMap<string, TensorInfo>;
  metadata: ReadonlyMap<string, string>;
  /** Length of the file's start before the tensors' bytes: 8 + the header. */
  dataStart: number;
}

export interface SafetensorsFile extends Header {
  path: string;
  size: number;
  /** Time of the last change, in milliseconds since 1970. */
  modified: number;
  /** See `ReadableFile`; unused for the hub, where a commit's files never change. */
  identity: string;
  /** SHA-256 of the header's bytes, in hexadecimal. */
  headerHash: string;
}

/** The format's own cap (`MAX_HEADER_SIZE` in tensor.rs). */
export const MAX_HEADER_BYTES = 100_000_000;
/** More dimensions than any weight has; bounds the length of an entry's list. */
const MAX_DIMENSIONS = 32;
/** Kimi K2 quantised has some 210,000 tensors in all its files, a LoRA of each of its experts 140,000 in one. */
export const MAX_TENSORS = 250_000;
/** Trainers write some dozen entries. */
const MAX_METADATA = 10_000;
/** Characters. Published names have up to 200, those of wrapped modules included. */
export const MAX_NAME_LENGTH = 500;
/** Parts between dots. Published names have up to 20; each part is a step of work. */
export const MAX_NAME_PARTS = 64;

/** Chunk size for copying tensors between files and for hashing. */
const PIECE = 2 ** 20;

/** Reads and checks a file's header, not the tensors' bytes. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return ReadableFile.with(path, async (file) => {
    const start = await file.read(0, Math.min(file.size, 128));
    if (isLfsPointer(start)) throw lfsPointer(path);
    refuseOtherFormat(start, path);
    const header = await file.read(8, headerLength(start, file.size, path));
    return {
      path,
      size: file.size,
      modified: file.modified,
      identity: file.identity,
      headerHash: hashBytes(header),
      ...parseHeader(header, file.size, path),
    };
  });
}

/**
 * A header begins with "{", right after its length.
 * @param start the file's first bytes, as many as available
 * @throws SafeLoraError where another kind of file starts like this
 */
export function refuseOtherFormat(start: Uint8Array, path: string): void {
  // Without the byte after the length, a valid length may look like the start of a pickle.
  const format = start.length < 9 || start[8] === '{'.charCodeAt(0) ? null : formatOf(start);
  if (format) throw otherFormat(path, format);
}

/**
 * Length of the header in bytes, from the file's first eight.
 * @throws SafeLoraError where the file is too small for it
 */
export function headerLength(start: Uint8Array, fileSize: number, path: string): number {
  if (fileSize < 8) throw truncated(path, 8, fileSize);
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES)
    throw malformed(path, `the header would be ${length} bytes, the format allows ${MAX_HEADER_BYTES}`);
  if (8 + length > fileSize) throw truncated(path, 8 + length, fileSize);
  return length;
}

/** The file's start, from its first byte up to the tensors' bytes. */
export async function readHead({ path, dataStart }: SafetensorsFile): Promise<Uint8Array> {
  return ReadableFile.with(path, (file) => file.read(0, dataStart));
}

/** A lora_B of rank 1024 on 262,144 tokens takes half of this in F32. */
const MAX_IN_MEMORY = 2 ** 31;

/**
 * A tensor's raw little-endian bytes.
 * @throws SafeLoraError where it is too large to read whole
 */
export async function readTensor(tensor: TensorInfo): Promise<Uint8Array> {
  if (tensor.length > MAX_IN_MEMORY) throw tooLarge(tensor);
  return ReadableFile.with(tensor.path, (file) => file.read(tensor.offset, tensor.length));
}

/** A byte range: a tensor's, or a file's. */
export type ByteRange = Pick<TensorInfo, 'path' | 'offset' | 'length'>;

/** Bytes in chunks, so that large data blocks neither memory nor the event loop. */
export async function* readInPieces({ path, offset, length }: ByteRange): AsyncGenerator<Uint8Array> {
  const file = await ReadableFile.open(path);
  try {
    for (let done = 0; done < length; done += PIECE) {
      yield await file.read(offset + done, Math.min(PIECE, length - done));
    }
  } finally {
    await file.close();
  }
}

/** SHA-256 of tensors' bytes in hexadecimal, by name. */
export type TensorHashes = Readonly<Record<string, string>>;

/** SHA-256 in hexadecimal. */
export async function hashRange(range: ByteRange): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readInPieces(range)) hash.update(piece);
  return hash.digest('hex');
}

/** SHA-256 of a whole file. @throws SafeLoraError where it cannot be read */
export async function hashFile(path: string): Promise<string> {
  return hashRange({ path, offset: 0, length: (await stampOf(path)).size });
}

export function hashBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Parses a header strictly: refuses anything that another reader could interpret differently.
 * @param bytes the JSON header without its length prefix
 * @param fileSize bytes in the whole file, which the tensors must fill without holes
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, path: string): Header {
  const dataStart = 8 + bytes.length;
  const { tensors, metadata } = new HeaderParser(bytes, path).parse((name, entry): TensorInfo => {
    const { dtype, shape, dataOffsets } = entry;
    const [begin, end] = dataOffsets;
    if (begin > end) throw malformed(path, `tensor ${quoted(name)} ends before it begins`);
    if (dataStart + end > fileSize) throw truncated(path, dataStart + end, fileSize);
    checkSize(name, entry, path);
    return { path, name, dtype, shape, offset: dataStart + begin, length: end - begin };
  });
  checkCoverage([...tensors.values()], dataStart, fileSize, path);
  return { tensors, metadata, dataStart };
}

/** Every reader of the format computes products of sizes in 64 bits. */
const OVERFLOW = 2 ** 64;

/** @throws SafeLoraError where dtype and shape do not match the bytes, or cannot be checked */
function checkSize(name: string, { dtype, shape, dataOffsets: [begin, end] }: HeaderEntry, path: string): void {
  const bits = dtypeBits.get(dtype);
  if (bits === undefined) throw unknownDtype(path, name, dtype);
  let elements = 1;
  let overflows = false;
  for (const size of shape) {
    elements *= size;
    overflows ||= elements >= OVERFLOW;
  }
  if (!overflows && elements * bits === (end - begin) * 8) return;
  const what = `tensor ${quoted(name)} (${dtype} [${shape.join(', ')}])`;
  throw malformed(path, overflows ? `${what} is too large` : `${what} does not fit its ${end - begin} bytes`);
}

/** Tensors must follow each other without overlap or gap, up to the end of the file. */
function checkCoverage(tensors: TensorInfo[], dataStart: number, fileSize: number, path: string): void {
  let position = dataStart;
  for (const tensor of tensors.sort((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (tensor.offset < position) throw malformed(path, `tensor ${quoted(tensor.name)} overlaps another`);
    if (tensor.offset > position) throw malformed(path, `a hole lies before tensor ${quoted(tensor.name)}`);
    position += tensor.length;
  }
  if (position !== fileSize) throw malformed(path, `${fileSize - position} bytes at its end belong to no tensor`);
}

function malformed(path: string, reason: string): SafeLoraError {
  return new SafeLoraError(
    'safetensors-format',
    `${path}: is not a valid safetensors file: ${reason}; download or save it again.`,
  );
}

interface HeaderEntry {
  dtype: string;
  shape: number[];
  dataOffsets: [number, number];
}

const code = (character: string): number => character.charCodeAt(0);
const [QUOTE, BACKSLASH, SPACE, ZERO, NINE] = ['"', '\\', ' ', '0', '9'].map(code) as [
  number,
  number,
  number,
  number,
  number,
];

/**
 * A parser for the header's own grammar. JSON.parse hides duplicate keys, moves keys that look like numbers to the front, and builds any
 * depth. Reads each character once.
 */
class HeaderParser {
  private readonly text: string;
  private at = 0;

  constructor(
    bytes: Uint8Array,
    private readonly path: string,
  ) {
    try {
      this.text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw malformed(path, 'its header is not UTF-8');
    }
  }

  /** @param made converts a tensor's entry */
  parse<T>(made: (name: string, entry: HeaderEntry) => T): { tensors: Map<string, T>; metadata: Map<string, string> } {
    const tensors = new Map<string, T>();
    let metadata = new Map<string, string>();
    let hasMetadata = false;
    if (!this.text.startsWith('{')) this.fail('does not begin with "{"');
    this.object((key) => {
      if (key === '__metadata__') {
        if (hasMetadata) this.failTwice(key);
        hasMetadata = true;
        metadata = this.metadata();
      } else {
        if (tensors.has(key)) this.failTwice(key);
        if (tensors.size === MAX_TENSORS) this.fail(`names more than ${MAX_TENSORS} tensors`);
        this.checkName(key);
        tensors.set(key, made(key, this.entry(key)));
      }
    });
    this.space();
    if (this.at < this.text.length) this.fail('goes on after its end');
    return { tensors, metadata };
  }

  private metadata(): Map<string, string> {
    const values = new Map<string, string>();
    this.space();
    // The safetensors library treats null as none.
    if (this.text.startsWith('null', this.at)) {
      this.at += 4;
      return values;
    }
    this.object((key) => {
      if (values.has(key)) this.failTwice(key);
      if (values.size === MAX_METADATA) this.fail(`has more than ${MAX_METADATA} entries in __metadata__`);
      if (this.peek() !== QUOTE) this.fail(`contains a __metadata__ value that is not a string (${quoted(key)})`);
      values.set(key, this.string());
    });
    return values;
  }

  private checkName(name: string): void {
    if (name.length > MAX_NAME_LENGTH)
      this.fail(`names a tensor with ${name.length} characters, more than ${MAX_NAME_LENGTH} (${quoted(name)})`);
    let parts = 1;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) parts++;
    if (parts > MAX_NAME_PARTS)
      this.fail(`names a tensor with ${parts} parts between dots, more than ${MAX_NAME_PARTS} (${quoted(name)})`);
  }

  private entry(name: string): HeaderEntry {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.object((key) => {
      if (key === 'dtype') {
        if (dtype !== undefined) this.failTwice(key);
        dtype = this.string();
      } else if (key === 'shape') {
        if (shape) this.failTwice(key);
        shape = this.integers(MAX_DIMENSIONS);
      } else if (key === 'data_offsets') {
        if (offsets) this.failTwice(key);
        offsets = this.integers(2);
      } else this.fail(`has an unknown field ${quoted(key)} in tensor ${quoted(name)}`);
    });
    if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
      this.fail(`does not give dtype, shape and data_offsets of tensor ${quoted(name)}`);
    }
    return { dtype: dtype, shape: shape, dataOffsets: offsets as [number, number] };
  }

  private object(member: (key: string) => void): void {
    this.list('{', '}', () => {
      const key = this.string();
      this.expect(':');
      member(key);
    });
  }

  private integers(limit: number): number[] {
    const values: number[] = [];
    this.list('[', ']', () => {
      if (values.length === limit) this.fail(`has a list of more than ${limit} numbers`);
      values.push(this.integer());
    });
    return values;
  }

  private list(open: string, close: string, item: () => void): void {
    this.expect(open);
    if (this.peek() === code(close)) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      if (this.peek() === code(close)) break;
      this.expect(',');
    }
    this.at++;
  }

  private integer(): number {
    this.space();
    const begin = this.at;
    let value = 0;
    for (let digit = this.here(); digit >= ZERO && digit <= NINE; digit = this.here()) {
      value = 10 * value + (digit - ZERO);
      this.at++;
    }
    const hasZero = this.text.charCodeAt(begin) === ZERO && this.at > begin + 1;
    const isPart = this.at > begin && '.eE'.includes(this.text[this.at] ?? ' ');
    if (this.at === begin || hasZero || isPart || !Number.isSafeInteger(value))
      this.fail(`has a shape or offset that is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
    return value;
  }

  private string(): string {
    if (this.peek() !== QUOTE) this.fail('is not the JSON of tensors that was expected (no string)');
    const begin = this.at++;
    let isPlain = true;
    for (let next = this.here(); next !== QUOTE; next = this.here()) {
      if (Number.isNaN(next)) this.fail('has a string without an end');
      if (next === BACKSLASH) this.at++;
      if (next === BACKSLASH || next < SPACE) isPlain = false;
      this.at++;
    }
    const end = this.at++;
    return isPlain ? this.text.slice(begin + 1, end) : this.unescaped(this.text.slice(begin, end + 1));
  }

  private unescaped(literal: string): string {
    let value: unknown;
    try {
      value = JSON.parse(literal);
    } catch {
      this.fail('has a malformed string');
    }
    // A lone surrogate, which UTF-8 cannot encode.
    if (/\p{Surrogate}/u.test(value as string)) this.fail('has a malformed string');
    return value as string;
  }

  /** The code of the next character; NaN at the end. */
  private here(): number {
    return this.text.charCodeAt(this.at);
  }

  private peek(): number {
    this.space();
    return this.here();
  }

  private expect(character: string): void {
    if (this.peek() !== code(character))
      this.fail(`is not the JSON of tensors that was expected (no ${JSON.stringify(character)})`);
    this.at++;
  }

  private space(): void {
    for (let next = this.here(); next === SPACE || next === 0x0a || next === 0x0d || next === 0x09; next = this.here())
      this.at++;
  }

  private failTwice(key: string): never {
    this.fail(`names ${quoted(key)} twice`);
  }

  private fail(reason: string): never {
    throw malformed(this.path, `its header ${reason} (at character ${this.at})`);
  }
}

function lfsPointer(path: string): SafeLoraError {
  return new SafeLoraError(
    'lfs-pointer',
    `${path}: is a Git LFS pointer, not the weights; run "git lfs pull" in its repository.`,
  );
}

function otherFormat(path: string, format: Format): SafeLoraError {
  return new SafeLoraError('safetensors-format', `${path}: is ${format.what}; ${format.next}.`);
}

function tooLarge(tensor: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'unsupported-adapter',
    `${sourceOf(tensor)}: ${shown(tensor.name)} has ${tensor.length} bytes, more than the ${MAX_IN_MEMORY} that one tensor of an adapter may have; use an adapter of a lower rank.`,
  );
}

function unknownDtype(path: string, name: string, dtype: string): SafeLoraError {
  return new SafeLoraError(
    'unsupported-dtype',
    `${path}: tensor ${quoted(name)} has the dtype ${quoted(dtype)}, which is not known here; save it in another one, F16 for example.`,
  );
}
