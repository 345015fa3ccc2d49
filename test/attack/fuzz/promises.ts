// node:fs/promises of the fuzzer's workers, without the thread pool, whose turns are most of a case's time: each call is done at once, and its
// promise is kept or broken as it would be.
/* eslint-disable @typescript-eslint/require-await -- what is thrown breaks the promise */
import * as fs from 'node:fs';
import type * as promises from 'node:fs/promises';

const settled =
  <A extends unknown[], R>(call: (...args: A) => R) =>
  async (...args: A): Promise<R> =>
    call(...args);

/** As much of a FileHandle as the product uses. */
class Handle {
  constructor(readonly fd: number) {}

  stat = async (options?: fs.StatOptions): Promise<fs.Stats | fs.BigIntStats> => fs.fstatSync(this.fd, options);
  sync = async (): Promise<void> => fs.fsyncSync(this.fd);
  chmod = async (mode: fs.Mode): Promise<void> => fs.fchmodSync(this.fd, mode);
  close = async (): Promise<void> => fs.closeSync(this.fd);
  createReadStream = (options: object): fs.ReadStream => fs.createReadStream('', { ...options, fd: this.fd });

  read = async (buffer: Uint8Array, offset: number, length: number, position: number) => ({
    bytesRead: fs.readSync(this.fd, buffer, offset, length, position),
  });

  write = async (buffer: Uint8Array, offset: number, length: number, position?: number) => ({
    bytesWritten: fs.writeSync(this.fd, buffer, offset, length, position),
  });
}

const open = async (path: fs.PathLike, flags?: fs.OpenMode, mode?: fs.Mode): Promise<Handle> =>
  new Handle(fs.openSync(path, flags ?? 'r', mode));

async function writeFile(
  target: fs.PathLike | Handle,
  data: Uint8Array | string | AsyncIterable<Uint8Array>,
  options?: fs.WriteFileOptions,
): Promise<void> {
  const to = target instanceof Handle ? target.fd : target;
  if (typeof data === 'string' || data instanceof Uint8Array) fs.writeFileSync(to, data, options);
  else for await (const piece of data) fs.writeFileSync(to, piece);
}

const module = {
  open,
  writeFile,
  access: settled(fs.accessSync),
  cp: settled(fs.cpSync),
  lstat: settled(fs.lstatSync),
  mkdir: settled(fs.mkdirSync),
  mkdtemp: settled(fs.mkdtempSync),
  readFile: settled(fs.readFileSync),
  readdir: settled(fs.readdirSync),
  readlink: settled(fs.readlinkSync),
  realpath: settled(fs.realpathSync.native),
  rename: settled(fs.renameSync),
  rm: settled(fs.rmSync),
  stat: settled(fs.statSync),
  symlink: settled(fs.symlinkSync),
  truncate: settled(fs.truncateSync),
  utimes: settled(fs.utimesSync),
  constants: fs.constants,
} satisfies Partial<Record<keyof typeof promises, unknown>>;

export = module;
