// What a user does with an adapter and its models, from opening to restoring, with what must be true looked at on the way.
import { InferenceSession } from 'onnxruntime-node';
import assert from 'node:assert/strict';
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportLines } from '../../../src/cli/table';
import { type Adapter, openAdapter } from '../../../src/core/adapter';
import { ADAPTER_FILE } from '../../../src/core/adapter-folder';
import { type Checkpoint, openCheckpoint } from '../../../src/core/checkpoint';
import { alignModules } from '../../../src/core/comparison';
import { SafeLoraError } from '../../../src/core/errors';
import { adapterIdentity } from '../../../src/core/identity';
import { makeInspection, parseInspection, resultsOf } from '../../../src/core/inspection';
import { originalHashes } from '../../../src/core/originals';
import { companions } from '../../../src/core/companions';
import { checkDestination, writeFolder } from '../../../src/core/output';
import { makeProjection, type Projection, readProjection, writeAdapterFile } from '../../../src/core/patch';
import { readPatch, writePatch } from '../../../src/core/patch-file';
import { makePlan, type Plan } from '../../../src/core/plan';
import { buildReport, type Measured, type Report, reportText, travellingReport } from '../../../src/core/report';
import { saveCopy, saveInPlace, writeObstacle } from '../../../src/core/save';
import { type Selection } from '../../../src/core/rules';
import { ModuleEngine } from '../../../src/engine/module';
import { type Engine } from '../../../src/engine/pool';
import { type ModuleTask } from '../../../src/engine/protocol';
import { measuredOf, measurePlans } from '../../../src/engine/run';
import { compactReport } from '../../../src/host/automation/compact-report';
import { reportCsv, reportMarkdown } from '../../../src/host/editor/exports';
import { numberRows } from '../../../src/page/numbers';
import { ReportLenses } from '../../../src/host/inline/report-lenses';
import { markedProjection } from '../../fixtures/projection';
import { pathsIn, WEIGHTS } from '../operations';
import { type Shelf } from './file-mutations';
import { checkModule, readFile, type Truth, WrongNumber } from './independent';
import { asidesIn, judgeMessage, type Oracle, refuseLeftovers, Surroundings, Survival, Violation } from './oracles';
import { type Random } from './random';

const MEMORY = 256 * 2 ** 20;
const VERSION = '0';
const DEVICE = { requested: 'cpu', provider: 'cpu', fallbackReason: null };

/** The arithmetic of an engine's child in this process, where nothing hides what it throws: one module after the other. */
const arithmetic = new ModuleEngine(InferenceSession, { provider: 'cpu', memory: MEMORY });
let earlier: Promise<unknown> = Promise.resolve();
const engine = {
  compute: (task: ModuleTask) => {
    const result = earlier.then(() => arithmetic.compute(task));
    earlier = result.catch(() => undefined);
    return result;
  },
  workingMemory: MEMORY / 2,
} as unknown as Engine;
const status = { report: null, projected: [], selection: null };
const lenses = new ReportLenses({ onDidChange: () => undefined, of: () => Promise.resolve(status) } as never);

/** One case: a folder of its own, the draws, and what is to be watched. */
export class Case {
  readonly around: Surroundings;
  /** What was done to the input. */
  readonly trace: string[] = [];
  /** What each refusal said, by its code. */
  readonly refusals: string[] = [];

  constructor(
    root: string,
    readonly random: Random,
    private readonly watched: ReadonlySet<Oracle>,
    private readonly fifo: string,
  ) {
    this.around = new Surroundings(root);
  }

  get inside(): string {
    return this.around.inside;
  }

  get shelf(): Shelf {
    return { fifo: this.fifo, outside: this.around.secret };
  }

  /** @returns null where it was refused as it should be */
  async attempt<T>(action: () => Promise<T>): Promise<T | null> {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof SafeLoraError)) throw error;
      judgeMessage(error, [this.inside, 'hf://'], this.watched);
      this.refusals.push(error.code);
      return null;
    }
  }
}

/** The whole way of a local adapter. */
export async function walk(c: Case, originals = pathsIn(c.inside).originals): Promise<void> {
  const { random, inside } = c;
  const { adapter: path } = pathsIn(inside);
  const adapter = await c.attempt(() => openAdapter(random.chance(0.1) ? join(path, ADAPTER_FILE) : path, originals));
  if (!adapter) return;
  await c.attempt(() => adapterIdentity(adapter));
  await c.attempt(() => readProjection(adapter));
  const open = (side: string): Promise<Checkpoint | null> => c.attempt(() => openCheckpoint(join(inside, side)));
  const [base, aligned] = [await open('base'), await open('aligned')];
  const found = base && aligned && (await measured(c, adapter, base, aligned, onDisk));
  const names = adapter.modules.filter(({ alreadyProjected }) => !alreadyProjected).map(({ name }) => name);
  const projection = found?.projection ?? markedProjection(adapter, random.some(names), 1 + random.below(100));
  await write(c, adapter, projection.tensors.size > 0 ? projection : null, found?.report ?? '{}\n', originals);
}

/** What a file on disk holds of a tensor. */
export const onDisk: Truth = ({ path, name }) => readFile(readFileSync(path)).tensors.get(name)!;

/** Measures, shows and projects. */
export async function measured(
  c: Case,
  adapter: Adapter,
  base: Checkpoint,
  aligned: Checkpoint,
  truth: Truth | null,
): Promise<{ projection: Projection; report: string } | null> {
  return c.attempt(async () => {
    const plan = makePlan(adapter, base, aligned);
    const results = measuredOf((await measurePlans([plan], engine))[0]!);
    try {
      if (truth) for (const module of results.modules) checkModule(module, truth);
    } catch (error) {
      if (error instanceof WrongNumber) throw new Violation('wrong-number', error.message);
      throw error;
    }
    const selection = drawSelection(c, plan);
    const { notices } = await companions(adapter);
    const report = buildReport(plan, results, selection, { version: VERSION, device: DEVICE, notices });
    await show(report, results, selection, plan);
    const projection = await makeProjection(plan, results.modules, selection, VERSION);
    return { projection, report: travellingReport(report) };
  });
}

function drawSelection({ random }: Case, { modules }: Plan): Selection {
  const names = [...modules.map(({ name }) => name), 'no such module'];
  const overrides = random.chance(0.3)
    ? { added: random.some(names), removed: random.some(names) }
    : { added: [], removed: [] };
  return random.chance(0.5)
    ? { mode: 'threshold', threshold: random.pick([0, 0.35, 0.5, 0.8, 1]), overrides }
    : { mode: 'count', count: 1 + random.below(4), overrides };
}

/** Everything that shows a report. */
async function show(report: Report, results: Measured, selection: Selection, plan: Plan): Promise<void> {
  reportLines(report, false);
  reportCsv(report);
  reportMarkdown(report);
  compactReport(plan.adapter.name, report, selection, plan.adapter.provenance?.modules ?? []);
  const kept = parseInspection(reportText(makeInspection(report, results.modules)))!;
  assert.equal(resultsOf(kept).size, results.modules.filter(({ measurement }) => measurement).length);
  await readReport(reportText(report));
}

/** What the editor reads of a saved report. */
export async function readReport(text: string): Promise<void> {
  const document = { getText: () => text, positionAt: (offset: number) => offset, uri: {} };
  await lenses.lenses(document as never);
}

/** The comparison of two. */
export function compare(one: Report, other: Report): void {
  const modules = alignModules(one.modules, other.modules);
  for (const side of ['a', 'b'] as const) numberRows(modules.map((module) => module[side]));
}

/** Saves in each way that the draws take, and looks at what is there then. */
async function write(
  c: Case,
  adapter: Adapter,
  projection: Projection | null,
  report: string,
  originals: string,
): Promise<void> {
  const { random, inside } = c;
  const { adapter: path, copy, out, patch } = pathsIn(inside);
  const folders = [path, inside, copy];
  const before = asidesIn(...folders);
  const survival = new Survival(path, originals, join(inside, 'scratch'));
  const expected = await c.attempt(() => Promise.resolve(tensorsAfter(adapter, projection)));
  const done = async (folder: string): Promise<void> => {
    await survival.check();
    c.around.check();
    refuseLeftovers(before, ...folders);
    if (folder !== '' && expected) sameTensors(join(folder, WEIGHTS), expected, projection !== null);
  };
  const ways: (() => Promise<void>)[] = [
    async () => {
      if ((await c.attempt(() => writeObstacle(adapter).then(String))) !== 'null') return;
      const saved = await c.attempt(async () => ({
        missing: await saveInPlace(adapter, projection, originals, report),
      }));
      if (saved?.missing) await c.attempt(() => Promise.reject(saved.missing!));
      await done(saved ? path : '');
      const again = await c.attempt(() => openAdapter(path, originals));
      if (again) await c.attempt(() => saveInPlace(again, null, originals, null));
      await done('');
    },
    async () => {
      const target = join(copy, WEIGHTS);
      await done(
        (await c.attempt(async () => ({ missing: await saveCopy(target, adapter, projection, report) }))) ? copy : '',
      );
    },
    async () => {
      const written = await c.attempt(async () => {
        const destination = await checkDestination(out, adapter, random.chance(0.7));
        await writeFolder(
          destination,
          adapter,
          (file) => writeAdapterFile(file, adapter, projection),
          () => report,
        );
        return true;
      });
      await done(written ? out : '');
    },
    async () => {
      const kept = await c.attempt(async () => {
        await writePatch(patch, adapter, await originalHashes(adapter), projection);
        return { projection: await readPatch(patch, adapter) };
      });
      if (kept) assert.deepEqual(kept.projection?.tensors, projection?.tensors);
      await done('');
    },
  ];
  for (const way of random.chance(0.3) ? random.some(ways) : [random.pick(ways)]) await way();
}

/** A patch as the editor applies it. */
export async function applyPatch(c: Case): Promise<void> {
  const { adapter: path, originals, patch } = pathsIn(c.inside);
  const adapter = await c.attempt(() => openAdapter(path, originals));
  const read = adapter && (await c.attempt(async () => ({ projection: await readPatch(patch, adapter) })));
  if (read) await write(c, adapter, read.projection, '{}\n', originals);
}

/** The bytes of each tensor in the file that is to be written. */
function tensorsAfter({ file, modules }: Adapter, projection: Projection | null): Map<string, Buffer> {
  const { tensors } = readFile(readFileSync(file.path));
  const bytes = new Map([...tensors].map(([name, tensor]) => [name, tensor.bytes]));
  for (const { name, b } of modules) {
    const projected = projection?.tensors.get(name);
    bytes.set(b.name, projected ? Buffer.from(projected) : onDisk(b).bytes);
  }
  return bytes;
}

export function sameTensors(path: string, expected: ReadonlyMap<string, Buffer>, isProjected: boolean): void {
  if (!lstatSync(path).isFile()) throw new Violation('wrong-bytes', `${WEIGHTS} is no file`);
  const { tensors, metadata } = readFile(readFileSync(path));
  if (isProjected !== (metadata?.safe_lora !== undefined) && isProjected)
    throw new Violation('wrong-bytes', 'the provenance is missing');
  if (tensors.size !== expected.size)
    throw new Violation('wrong-bytes', `${tensors.size} tensors for ${expected.size}`);
  for (const [name, bytes] of expected)
    if (!tensors.get(name)?.bytes.equals(bytes)) throw new Violation('wrong-bytes', name);
}
