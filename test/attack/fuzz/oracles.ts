// What must hold of every case, whatever was mutated.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ORIGINALS_FILE, openAdapter } from '../../../src/core/adapter';
import { ADAPTER_FILE } from '../../../src/core/adapter-folder';
import { CONFIG_FILE } from '../../../src/core/adapter-config';
import { SafeLoraError } from '../../../src/core/errors';
import { isAside } from '../../../src/core/atomic';
import { saveInPlace } from '../../../src/core/save';
import { readFile } from './independent';

export const oracles = [
  /** Another error than one that a user can act on. */
  'exception',
  /** Nothing comes to an end. */
  'hang',
  /** More than `MOST_CPU_MS`. */
  'slow',
  /** More than `MOST_MEMORY` at once, or the process ended for want of it. */
  'memory',
  /** An error's message: of several lines, too long, with control characters, or without the file. */
  'message-line',
  'message-length',
  'message-characters',
  'message-file',
  /** The first adapter is neither there nor can it be given back. */
  'lost-original',
  /** Something beside the folder in work has changed. */
  'outside',
  /** Something unfinished was left behind. */
  'leftover',
  /** A number is not that of the definition. */
  'wrong-number',
  /** What was written or extracted has other bytes than it must have. */
  'wrong-bytes',
  /** The token went to another host. */
  'secret',
] as const;
export type Oracle = (typeof oracles)[number];

/**
 * Of the processor, not of the clock: what else the machine does must fail no case. A case takes 10 ms as a rule; a hundred times
 * that is no noise of the collector, and a user would notice.
 */
export const MOST_CPU_MS = 1000;
export const MOST_MEMORY = 2 ** 30;
const MOST_CHARACTERS = 2000;

export class Violation extends Error {
  constructor(
    readonly oracle: Oracle,
    message: string,
  ) {
    super(message);
  }
}

/**
 * @param names of which an error must name one
 * @throws Violation
 */
export function judgeMessage(
  { message, code }: SafeLoraError,
  names: readonly string[],
  watched: ReadonlySet<Oracle>,
): void {
  const judge = (oracle: Oracle, isRight: boolean): void => {
    if (!isRight && watched.has(oracle)) throw new Violation(oracle, `${code}: ${message.slice(0, 300)}`);
  };
  judge('message-line', !/[\n\r\u2028\u2029]/.test(message));
  judge('message-length', message.length <= MOST_CHARACTERS);
  // C0, DEL and C1, the marks that turn the direction of writing, and halves of characters.
  judge('message-characters', !/[^\P{Cc}\n\r]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u.test(message));
  judge(
    'message-file',
    names.some((name) => message.includes(name)),
  );
}

/** What lies around the folder in work. */
export class Surroundings {
  readonly inside: string;
  readonly secret: string;
  private readonly outside: string;
  private readonly cwd: string;

  constructor(private readonly root: string) {
    this.inside = join(root, 'inside');
    this.outside = join(root, 'outside');
    this.cwd = join(root, 'cwd');
    this.secret = join(this.outside, 'secret.txt');
    for (const folder of [this.inside, join(this.outside, 'folder'), this.cwd]) mkdirSync(folder, { recursive: true });
    writeFileSync(this.secret, SECRET);
    writeFileSync(join(this.outside, 'folder', ADAPTER_FILE), SECRET);
    process.chdir(this.cwd);
  }

  /** @throws Violation */
  check(): void {
    const found = [this.root, this.outside, join(this.outside, 'folder'), this.cwd].map((path) =>
      readdirSync(path).sort().join(),
    );
    const contents = [this.secret, join(this.outside, 'folder', ADAPTER_FILE)].map((path) =>
      readFileSync(path, 'utf8'),
    );
    const isSame =
      found.join('|') === `cwd,inside,outside|folder,secret.txt|${ADAPTER_FILE}|` &&
      contents.every((text) => text === SECRET);
    if (!isSame) throw new Violation('outside', `${found.join('|')}: ${contents.join('|').slice(0, 200)}`);
  }
}

const SECRET = 'not to be touched\n';

/** The files by which an adapter is given back, as they are at one time. */
interface Kept {
  weights: Buffer | null;
  config: Buffer | null;
  originals: Buffer | null;
}

/** Watches over the first file of the adapter in a folder. */
export class Survival {
  private readonly before: Kept;

  /** @param scratch a folder for tries */
  constructor(
    private readonly adapter: string,
    private readonly originals: string,
    private readonly scratch: string,
  ) {
    this.before = this.look();
  }

  /** @throws Violation */
  async check(): Promise<void> {
    const now = this.look();
    const { weights } = this.before;
    if (weights === null || now.weights?.equals(weights)) return;
    const restored = await this.restored(now);
    if (restored?.equals(weights)) return;
    // Of one that was projected before, the first file is not the one that was there.
    const first = await this.restored(this.before);
    if (restored && first?.equals(restored) && sameUpdates(first, weights, this.before.originals)) return;
    throw new Violation('lost-original', restored ? 'another file is given back' : 'nothing is given back');
  }

  private look(): Kept {
    const read = (path: string): Buffer | null =>
      statSync(path, { throwIfNoEntry: false })?.isFile() && statSync(path).size < 1e6 ? readFileSync(path) : null;
    return {
      weights: attempt(() => read(join(this.adapter, ADAPTER_FILE))),
      config: attempt(() => read(join(this.adapter, CONFIG_FILE))),
      originals: attempt(() => read(this.originals)),
    };
  }

  private async restored({ weights, config, originals }: Kept): Promise<Buffer | null> {
    rmSync(this.scratch, { recursive: true, force: true });
    mkdirSync(this.scratch);
    const kept = join(this.scratch, ORIGINALS_FILE);
    try {
      if (weights) writeFileSync(join(this.scratch, ADAPTER_FILE), weights);
      if (config) writeFileSync(join(this.scratch, CONFIG_FILE), config);
      if (originals) writeFileSync(kept, originals);
      await saveInPlace(await openAdapter(this.scratch, kept), null, kept, null);
      return readFileSync(join(this.scratch, ADAPTER_FILE));
    } catch (error) {
      if (error instanceof SafeLoraError) return null;
      throw error;
    } finally {
      rmSync(this.scratch, { recursive: true, force: true });
    }
  }
}

/** True where every tensor of a restored file is the one that was there, or the one that was kept. */
function sameUpdates(restored: Buffer, before: Buffer, originals: Buffer | null): boolean {
  const [there, kept] = [readFile(before).tensors, originals && readFile(originals).tensors];
  return [...readFile(restored).tensors].every(([name, { bytes }]) =>
    [there.get(name), kept?.get(name)].some((tensor) => tensor?.bytes.equals(bytes)),
  );
}

function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}

/** What lies in folders only while something else is written. */
export function asidesIn(...folders: readonly string[]): Set<string> {
  const names = folders.map((folder) =>
    statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : [],
  );
  return new Set(names.flat().filter(isAside));
}

/** @throws Violation where something unfinished was left behind beside what was there before */
export function refuseLeftovers(before: ReadonlySet<string>, ...folders: readonly string[]): void {
  const left = [...asidesIn(...folders)].filter((name) => !before.has(name));
  if (left.length > 0) throw new Violation('leftover', left.join());
}
