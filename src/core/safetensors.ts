// The safetensors container, read strictly: its headers come from anywhere.
// Format: https://github.com/huggingface/safetensors#format — u64 header length, JSON header, then the tensors' bytes without holes.
import { createHash } from 'node:crypto';
import { dtypeBits } from './dtype';
import { SafeLoraError } from './errors';
import { ReadableFile, truncated } from './files';
import { formatOf } from './formats';

/** One tensor's place in a file. */
export interface TensorInfo {
  /** The file that holds it. */
  path: string;
  /** What errors call that file, where it is only a copy of what the user knows. */
  origin?: string;
  name: string;
  dtype: string;
  shape: readonly number[];
  /** Position of the first byte in the file. */
  offset: number;
  /** Length in bytes. */
  length: number;
  /** Where this is a run of rows: the whole tensor that the file holds. */
  within?: TensorInfo;
}

/** The file of a tensor as the user knows it. */
export function placeOf({ path, origin }: Pick<TensorInfo, 'path' | 'origin'>): string {
  return origin ?? path;
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
  /** See `ReadableFile`; of no meaning on the hub, where a commit's files never change. */
  identity: string;
  /** SHA-256 of the header's bytes, in hexadecimal. */
  headerHash: string;
}

/** The format's own cap (`MAX_HEADER_SIZE` in tensor.rs). */
export const MAX_HEADER_BYTES = 100_000_000;
/** More dimensions than any weight has; keeps one entry from being a list without end. */
const MAX_DIMENSIONS = 32;

/** Bytes read at a time where a tensor goes from file to file or into a hash. */
const PIECE = 2 ** 20;

const LFS_SIGNATURE = 'version https://git-lfs';

/** Reads and checks a file's header; the tensors' bytes are not touched. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return ReadableFile.with(path, async (file) => {
    const start = await file.read(0, Math.min(file.size, 128));
    if (Buffer.from(start).toString('latin1').startsWith(LFS_SIGNATURE)) {
      throw new SafeLoraError(
        'lfs-pointer',
        `${path}: is a Git LFS pointer, not the weights; run "git lfs pull" in its repository.`,
      );
    }
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
 * @param start of the file, as many bytes as are at hand
 * @throws SafeLoraError where it is the start of another kind of file
 */
export function refuseOtherFormat(start: Uint8Array, path: string): void {
  // Without the byte after the length, a right length may look like the start of a pickle.
  const format = start.length < 9 || start[8] === '{'.charCodeAt(0) ? null : formatOf(start);
  if (format) throw new SafeLoraError('safetensors-format', `${path}: is ${format.what}; ${format.next}.`);
}

/**
 * Length of the header in bytes, from the file's first eight.
 * @throws SafeLoraError where the file cannot hold it
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

/** A tensor's raw little-endian bytes. */
export async function readTensor(tensor: TensorInfo): Promise<Uint8Array> {
  return ReadableFile.with(tensor.path, (file) => file.read(tensor.offset, tensor.length));
}

/** Where bytes lie: a tensor's, or a file's. */
export type ByteRange = Pick<TensorInfo, 'path' | 'offset' | 'length'>;

/** Bytes in pieces, so that neither memory nor an event loop is held up by many. */
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

export function hashBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Parses a header strictly: anything that another reader could take differently is refused.
 * @param bytes the JSON header without its length prefix
 * @param fileSize bytes in the whole file, which the tensors must fill without holes
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, path: string): Header {
  const dataStart = 8 + bytes.length;
  const parsed = new HeaderParser(bytes, path).parse();
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of parsed.tensors) {
    const [begin, end] = entry.dataOffsets;
    if (begin > end) throw malformed(path, `tensor ${quote(name)} ends before it begins`);
    if (dataStart + end > fileSize) throw truncated(path, dataStart + end, fileSize);
    const bits = dtypeBits[entry.dtype];
    const elements = entry.shape.reduce((product, size) => product * size, 1);
    if (bits !== undefined && elements * bits !== (end - begin) * 8) {
      throw malformed(
        path,
        `tensor ${quote(name)} (${entry.dtype} [${entry.shape.join(', ')}]) does not fit its ${end - begin} bytes`,
      );
    }
    tensors.set(name, {
      path,
      name,
      dtype: entry.dtype,
      shape: entry.shape,
      offset: dataStart + begin,
      length: end - begin,
    });
  }
  checkCoverage([...tensors.values()], dataStart, fileSize, path);
  return { tensors, metadata: parsed.metadata, dataStart };
}

/** The format wants the tensors to follow each other without overlap or hole, up to the end of the file. */
function checkCoverage(tensors: TensorInfo[], dataStart: number, fileSize: number, path: string): void {
  let position = dataStart;
  for (const tensor of tensors.sort((a, b) => a.offset - b.offset || a.length - b.length)) {
    if (tensor.offset < position) throw malformed(path, `tensor ${quote(tensor.name)} overlaps another`);
    if (tensor.offset > position) throw malformed(path, `a hole lies before tensor ${quote(tensor.name)}`);
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

function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

interface HeaderEntry {
  dtype: string;
  shape: number[];
  dataOffsets: [number, number];
}

/**
 * A parser for the header's own grammar instead of JSON.parse, which hides duplicate keys, moves keys that look like numbers
 * to the front, and builds whatever depth it is given.
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

  parse(): { tensors: Map<string, HeaderEntry>; metadata: Map<string, string> } {
    const tensors = new Map<string, HeaderEntry>();
    let metadata = new Map<string, string>();
    if (!this.text.startsWith('{')) this.fail('does not begin with "{"');
    this.object((key) => {
      if (key === '__metadata__') {
        metadata = this.metadata();
      } else {
        tensors.set(key, this.entry(key));
      }
    });
    this.space();
    if (this.at < this.text.length) this.fail('goes on after its end');
    return { tensors, metadata };
  }

  private metadata(): Map<string, string> {
    const values = new Map<string, string>();
    this.object((key) => {
      if (this.peek() !== '"') this.fail(`holds a __metadata__ value that is not a string (${quote(key)})`);
      values.set(key, this.string());
    });
    return values;
  }

  private entry(name: string): HeaderEntry {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    this.object((key) => {
      if (key === 'dtype') dtype = this.string();
      else if (key === 'shape') shape = this.integers(MAX_DIMENSIONS);
      else if (key === 'data_offsets') offsets = this.integers(2);
      else this.fail(`has an unknown field ${quote(key)} in tensor ${quote(name)}`);
    });
    if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
      this.fail(`does not give dtype, shape and data_offsets of tensor ${quote(name)}`);
    }
    return { dtype: dtype, shape: shape, dataOffsets: offsets as [number, number] };
  }

  private object(member: (key: string) => void): void {
    const seen = new Set<string>();
    this.list('{', '}', () => {
      const key = this.string();
      if (seen.has(key)) this.fail(`names ${quote(key)} twice`);
      seen.add(key);
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
    if (this.peek() === close) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      if (this.peek() === close) break;
      this.expect(',');
    }
    this.at++;
  }

  private integer(): number {
    this.space();
    const digits = this.match(/(?:0|[1-9]\d*)(?![\d.eE])/y);
    const value = Number(digits);
    if (digits === undefined || !Number.isSafeInteger(value))
      this.fail('has a shape or offset that is not a whole number ≥ 0');
    return value;
  }

  private string(): string {
    if (this.peek() !== '"') this.fail('is not the JSON of tensors that was expected (no string)');
    let end = this.at;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) this.fail('has a string without an end');
    } while (this.isEscaped(end));
    const literal = this.text.slice(this.at, end + 1);
    try {
      const value = JSON.parse(literal) as string;
      this.at = end + 1;
      return value;
    } catch {
      return this.fail('has a malformed string');
    }
  }

  private isEscaped(position: number): boolean {
    let backslashes = 0;
    while (this.text[position - 1 - backslashes] === '\\') backslashes++;
    return backslashes % 2 === 1;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private peek(): string | undefined {
    this.space();
    return this.text[this.at];
  }

  private expect(character: string): void {
    if (this.peek() !== character)
      this.fail(`is not the JSON of tensors that was expected (no ${JSON.stringify(character)})`);
    this.at++;
  }

  private space(): void {
    this.match(/[ \t\n\r]+/y);
  }

  private fail(reason: string): never {
    throw malformed(this.path, `its header ${reason} (at character ${this.at})`);
  }
}
