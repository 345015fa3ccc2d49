// What is mutated, and what a user does with it then.
import { existsSync, lstatSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ORIGINALS_FILE } from '../../../src/core/adapter';
import { parseInspection, resultsOf } from '../../../src/core/inspection';
import { type Report } from '../../../src/core/report';
import { sample } from '../../fixtures/make';
import { pathsIn } from '../operations';
import { FuzzedArchive } from './archive';
import { mutateFile, mutatePath } from './file-mutations';
import { FuzzedHub } from './hub';
import { mutateJson } from './json-mutations';
import { applyPatch, type Case, compare, readReport, walk } from './walk';
import { makeSettings, type Setting, type Tree, writeTree } from './world';

export const targets = [
  'weights',
  'config',
  'models',
  'index',
  'originals',
  'provenance',
  'patch',
  'report',
  'output',
  'leftovers',
  'files',
  'hub replies',
  'hub cache',
  'archive',
] as const;
export type Target = (typeof targets)[number];

/** All that cases have in common, made once. */
export class Range {
  private constructor(
    private readonly settings: readonly Setting[],
    private readonly hub: FuzzedHub,
    private readonly archive: FuzzedArchive,
    private readonly report: string,
  ) {}

  static async make(folder: string): Promise<Range> {
    const settings = await makeSettings(join(folder, 'settings'));
    const hub = await FuzzedHub.start(join(folder, 'hub'), settings[0]!);
    return new Range(settings, hub, await FuzzedArchive.make(), reportOf());
  }

  stop(): void {
    this.hub.stop();
  }

  /** @throws Violation; what no user may meet */
  async run(target: Target, c: Case): Promise<void> {
    const { random, inside } = c;
    const setting = random.pick(this.settings);
    const { weights, originals, patch } = pathsIn(inside);
    const begin = (tree: Tree): void => {
      writeTree(inside, tree);
    };
    const onlyFresh = (): void => {
      writeTree(inside, setting.fresh, (name) => !/^(?:out|patch)/.test(name));
    };
    switch (target) {
      case 'weights':
        onlyFresh();
        mutate(c, weights);
        return walk(c);
      case 'config':
        onlyFresh();
        mutate(c, join(dirname(weights), 'adapter_config.json'));
        return walk(c);
      case 'models':
        onlyFresh();
        mutate(c, ...filesOf(setting.fresh, /^(?:base|aligned)\/.*safetensors$/).map((name) => join(inside, name)));
        return walk(c);
      case 'index': {
        const { fresh } = this.settings[0]!;
        writeTree(inside, fresh, (name) => !/^(?:out|patch)/.test(name));
        mutate(c, ...filesOf(fresh, /^(?:base|aligned)\/.*json$/).map((name) => join(inside, name)));
        return walk(c);
      }
      case 'originals':
        begin(setting.projected);
        mutate(c, originals);
        return walk(c);
      case 'provenance':
        begin(setting.projected);
        mutateProvenance(c, weights);
        return walk(c);
      case 'patch':
        begin(random.chance(0.3) ? setting.projected : setting.fresh);
        if (random.chance(0.5)) mutateProvenance(c, patch);
        else mutate(c, patch);
        return applyPatch(c);
      case 'report':
        return this.reports(c);
      case 'output':
        begin(setting.fresh);
        for (const path of random.some(filesOf(setting.fresh, /^out\//))) mutateAny(c, join(inside, path));
        return walk(c);
      case 'leftovers':
        begin(random.chance(0.5) ? setting.projected : setting.fresh);
        leaveBehind(c);
        return walk(c);
      case 'files': {
        const tree = random.chance(0.5) ? setting.projected : setting.fresh;
        begin(tree);
        const paths = [...tree.keys(), 'adapter', 'base', 'aligned', 'out'];
        for (let count = 1 + random.below(2); count > 0; count--) mutateAny(c, join(inside, random.pick(paths)));
        return walk(c, random.chance(0.2) ? join(inside, 'elsewhere', ORIGINALS_FILE) : originals);
      }
      case 'hub replies':
        return this.hub.replies(c);
      case 'hub cache':
        return this.hub.cached(c);
      case 'archive':
        return this.archive.run(c);
    }
  }

  /** The saved report as the editor reads it, and a kept result. */
  private async reports(c: Case): Promise<void> {
    const { random } = c;
    let text = this.report;
    for (let count = 1 + random.below(4); count > 0; count--) text = mutateJson(text, random);
    c.trace.push(text.slice(0, 200));
    await readReport(text);
    const kept = parseInspection(`{"schema":"safe-lora/inspection@1","report":${text},"details":{}}`);
    if (kept) {
      resultsOf(kept);
      compare(kept.report, JSON.parse(this.report) as Report);
    }
  }
}

function reportOf(): string {
  const names = ['model.layers.0.self_attn.q_proj', 'model.layers.1.mlp.down_proj', 'lm_head'];
  const measure = { similarity: 0.4, nullSimilarity: 0.3, nullSpread: 0.01, direction: -0.2, gain: 0.1, alignmentNorm: 1, updateNorm: 2, participationRatio: 3 }; // prettier-ignore
  const modules = names.map((name, layer) => ({ name, stack: null, layer, kind: name.split('.').at(-1), expert: null, shape: [6, 4], rank: 2, ...measure, selected: layer > 0, notice: null })); // prettier-ignore
  const model = { name: 'model', path: sample };
  const selection = { mode: 'threshold', threshold: 0.35, overrides: { added: [], removed: [] } };
  const adapter = { name: 'adapter', path: sample, rank: 2, alpha: 4, targetModules: ['q_proj'] };
  const totals = { modules: 3, selected: 2, direction: -0.1, bytesRead: 100, seconds: 1 };
  return JSON.stringify({ schema: 'safe-lora/report@2', tool: { version: '0' }, adapter, base: model, aligned: model, safeLora: null, device: { requested: 'cpu', provider: 'cpu', fallbackReason: null }, selection, replacement: 'safe-lora', modules, totals, notices: [] }); // prettier-ignore
}

function filesOf(tree: Tree, pattern: RegExp): string[] {
  return [...tree.keys()].filter((name) => pattern.test(name));
}

/** One to four times one of the files. */
function mutate(c: Case, ...paths: readonly string[]): void {
  const { random, trace, inside } = c;
  for (let count = 1 + random.below(4); count > 0; count--) {
    const path = random.pick(paths);
    trace.push(path.slice(inside.length + 1));
    mutateFile(path, random);
  }
}

/** More bytes than any file of the world has, but not a hole's. */
const LARGEST_READ = 100_000_000;

/** The file, or what is at its path. */
function mutateAny(c: Case, path: string): void {
  const { random, trace, inside } = c;
  // An earlier mutation may have taken its folder away, or made it lead elsewhere.
  const folder = dirname(path);
  if (!existsSync(folder) || !lstatSync(folder).isDirectory()) return;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isFile() && found.size <= LARGEST_READ && random.chance(0.4)) {
    mutate(c, path);
    return;
  }
  if (!found) writeFileSync(path, '');
  trace.push(`at ${path.slice(inside.length + 1)}`);
  mutatePath(path, c.shelf, random);
}

/** Metadata of a header, which are texts of objects. */
function mutateProvenance(c: Case, path: string): void {
  const { random, trace } = c;
  if (random.chance(0.2)) {
    mutate(c, path);
    return;
  }
  const file = readFileSync(path);
  const end = 8 + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', 8, end)) as { __metadata__: Record<string, string> };
  const key = random.pick(Object.keys(header.__metadata__));
  for (let count = 1 + random.below(3); count > 0; count--)
    header.__metadata__[key] = mutateJson(header.__metadata__[key]!, random);
  trace.push(`${key}: ${header.__metadata__[key]!.slice(0, 200)}`);
  const bytes = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  writeFileSync(path, Buffer.concat([length, bytes, file.subarray(end)]));
}

/** What killed processes, or a stranger, left beside an adapter or a result. */
function leaveBehind(c: Case): void {
  const { random, trace, inside } = c;
  const { adapter, out } = pathsIn(inside);
  const ends = ['claim', 'claim.void', 'claim.0b0b', 'claim.void.void.0b0b', 'new-0b0b', 'old-0b0b'];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const of = random.pick([join(adapter, 'adapter_model.safetensors'), join(adapter, ORIGINALS_FILE), join(adapter, 'safe_lora_report.json'), out]); // prettier-ignore
    const path = join(dirname(of), `.${of.split('/').at(-1)!}.safe-lora-${random.pick(ends)}`);
    trace.push(path.slice(inside.length + 1));
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, mutateJson('{"pid":1,"host":"other","nonce":"x"}', random));
    if (random.chance(0.4)) mutatePath(path, c.shelf, random);
    // So old that it is void, since a young one is waited for.
    try {
      utimesSync(path, 1, 1);
    } catch {
      // It leads nowhere.
    }
  }
}
