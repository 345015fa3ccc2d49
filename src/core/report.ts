// The report: what was measured, what was selected, and what is not covered. The editor's export and --json write this object.
import { isDeepStrictEqual } from 'node:util';
import { type Checkpoint } from './checkpoint';
import { type Measurement } from './measure';
import { type Measures, unmeasured } from './measure-names';
import { type Notice, type NoticeCode, SafeLoraError, someNames } from './errors';
import { targeted } from './naming';
import { DEFAULT_REPLACEMENT, type KnownProjection, type ReplacementName } from './replacement';
import { type Plan, type PlannedModule, sameModel } from './plan';
import { type Provenance } from './provenance';
import { type TensorHashes } from './safetensors';
import { excess, isCandidate, type Selectable, select, type Selection } from './rules';

export const REPORT_SCHEMA = 'safe-lora/report@2';

export interface ModuleReport extends Measures {
  name: string;
  stack: string | null;
  layer: number | null;
  kind: string;
  expert: number | null;
  shape: [number, number];
  rank: number;
  selected: boolean;
  notice: NoticeCode | null;
}

export interface Report {
  schema: typeof REPORT_SCHEMA;
  tool: { version: string };
  adapter: { path: string; name: string; rank: number; alpha: number; targetModules: string[] };
  base: { path: string; name: string };
  aligned: { path: string; name: string };
  /** The provenance already in the adapter. */
  safeLora: Provenance | null;
  device: { requested: string; provider: string; fallbackReason: string | null };
  selection: Selection;
  /** How the selected modules are replaced. */
  replacement: ReplacementName;
  modules: ModuleReport[];
  /** How the model behaves with the selected modules projected, where the editor had measured it. */
  behaviour?: ReportedBehaviour;
  totals: { modules: number; selected: number; direction: number | null; bytesRead: number; seconds: number };
  notices: Notice[];
}

/** A share or a mean over prompts, with its 95 % interval. */
interface ReportedFigure {
  value: number;
  low: number;
  high: number;
  n: number;
}

export interface ReportedBehaviour {
  judge: { name: string; version: string; sha256: string };
  sets: { name: string; role: string; sha256: string; n: number }[];
  maxTokens: number;
  /** Judgements corrected by hand, at all points. */
  corrected: number;
  /** The aligned model (null), the original adapter (0), and so many projected modules. */
  points: {
    count: number | null;
    asr: ReportedFigure | null;
    overRefusal: ReportedFigure | null;
    utility: ReportedFigure | null;
  }[];
}

/** A module with the engine's result; `measurement` is null if it could not be measured. */
export interface MeasuredModule extends PlannedModule, ModuleFinding {}

/** The engine's result for a module. */
export interface ModuleFinding {
  measurement: Measurement | null;
  projected: KnownProjection | null;
}

export interface Measured {
  modules: MeasuredModule[];
  /** Of both models' weights. Work shared by several adapters counts for each with its share. */
  bytesRead: number;
  seconds: number;
}

/** @throws SafeLoraError where the two models do not differ in any adapted weight */
export function refuseEqualModels(plan: Plan, modules: readonly MeasuredModule[]): void {
  const measured = modules.filter((module) => module.measurement !== null);
  if (measured.length > 0 && measured.every((module) => module.measurement!.alignmentNorm === 0))
    throw sameModel(plan.aligned.path);
}

/** @throws SafeLoraError where a projected B does not fit its dtype, F16 as a rule */
export function refuseOverflow(plan: Plan, selected: readonly MeasuredModule[]): void {
  const overflowing = selected.filter((module) => module.projected?.overflow);
  if (overflowing.length > 0) throw outOfRange(plan.adapter.file.path, overflowing);
}

/** A report's modules under another selection. */
export function selectedIn(report: Report, selection: Selection): Set<string> {
  const candidates = report.modules.map((module) => ({ ...module, selectable: module.notice !== 'already-projected' }));
  return select(candidates, selection);
}

/** Notices that apply only to the selection that a report was made with. */
const OF_SELECTION: readonly NoticeCode[] = ['count-capped', 'rounding-loss'];

/** A report's notices that also apply to another selection. */
export function noticesUnder(report: Report, selection: Selection): Notice[] {
  const same = isDeepStrictEqual(report.selection, selection);
  return report.notices.filter(({ code }) => same || !OF_SELECTION.includes(code));
}

/** A report's modules by the entries of `target_modules` that match them. */
export function modulesByTarget(
  { modules }: Report,
  entries: readonly string[],
  inList: boolean,
): Map<string, ModuleReport[]> {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const found = targeted([...byName.keys()], entries, inList);
  return new Map([...found].map(([entry, names]) => [entry, names.map((name) => byName.get(name)!)]));
}

/** The mean over the modules with a defined measure; null if there are none. */
export function meanOf(modules: readonly ModuleReport[], measure: 'similarity' | 'direction'): number | null {
  const values = modules.map((module) => module[measure]).filter((value) => value !== null);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function selectable({ name, measurement, alreadyProjected }: MeasuredModule): Selectable {
  return { ...(measurement ?? unmeasured), name, selectable: !alreadyProjected };
}

/** Why a module cannot be selected or has no numbers; empty if it can. */
export function noticeText({ notice }: ModuleReport): string {
  return notice === 'already-projected' ? 'projected' : (notice ?? '');
}

/** Rounding losses above this are reported: BF16's own is about 0.2 %. */
const ROUNDING_LOSS = 0.01;

export function buildReport(
  plan: Plan,
  measured: Measured,
  selection: Selection,
  context: { version: string; device: Report['device']; notices?: readonly Notice[] },
): Report {
  const selected = select(measured.modules.map(selectable), selection);
  const modules = measured.modules.map((module) => moduleReport(module, selected.has(module.name)));
  return {
    schema: REPORT_SCHEMA,
    tool: { version: context.version },
    adapter: {
      path: plan.adapter.path,
      name: plan.adapter.name,
      rank: plan.adapter.rank,
      alpha: plan.adapter.config.alpha,
      targetModules: plan.adapter.config.targetModules,
    },
    base: modelOf(plan.base),
    aligned: modelOf(plan.aligned),
    safeLora: plan.adapter.provenance,
    device: context.device,
    selection,
    replacement: DEFAULT_REPLACEMENT,
    modules,
    totals: {
      modules: modules.length,
      selected: selected.size,
      direction: totalDirection(measured.modules),
      bytesRead: measured.bytesRead,
      seconds: measured.seconds,
    },
    notices: [...plan.notices, ...measuredNotices(measured.modules, selected, selection), ...(context.notices ?? [])],
  };
}

/** A model on the hub by its commit, since its name may move to another. */
function modelOf({ path, name, realPath, remote }: Checkpoint): Report['base'] {
  return { path: remote ? realPath : path, name };
}

function moduleReport(module: MeasuredModule, selected: boolean): ModuleReport {
  const { name, stack, layer, kind, expert, shape, rank, measurement } = module;
  return {
    name,
    stack,
    layer,
    kind,
    expert,
    shape,
    rank,
    similarity: measurement?.similarity ?? null,
    nullSimilarity: measurement?.nullSimilarity ?? null,
    nullSpread: measurement?.nullSpread ?? null,
    direction: measurement?.direction ?? null,
    gain: measurement?.gain ?? null,
    alignmentNorm: measurement?.alignmentNorm ?? null,
    updateNorm: measurement?.updateNorm ?? null,
    participationRatio: measurement?.participationRatio ?? null,
    selected,
    notice: module.notice ?? measuredNotice(module),
  };
}

/** The cosine between the whole update, alpha included, and the whole alignment matrix. */
export function totalDirection(modules: readonly MeasuredModule[]): number | null {
  let [dot, update2, alignment2] = [0, 0, 0];
  // The cosine is the same for every multiple of the update, and the square of an odd alpha could overflow.
  const largest = modules.reduce((most, module) => Math.max(most, Math.abs(module.scale)), 0) || 1;
  for (const { measurement, scale: own } of modules) {
    if (!measurement) continue;
    const scale = own / largest;
    // ⟨ΔW, V⟩ already includes its sign.
    dot += Math.abs(scale) * measurement.updateDotAlignment;
    update2 += (scale * measurement.updateNorm) ** 2;
    alignment2 += measurement.alignmentNorm ** 2;
  }
  return update2 > 0 && alignment2 > 0 ? dot / Math.sqrt(update2 * alignment2) : null;
}

function measuredNotice({ measurement }: MeasuredModule): NoticeCode | null {
  if (!measurement) return null;
  if (measurement.alignmentNorm === 0) return 'no-alignment';
  if (measurement.updateNorm === 0) return 'no-update';
  return measurement.gain === 0 ? 'orthogonal-update' : null;
}

function measuredNotices(
  modules: readonly MeasuredModule[],
  selected: ReadonlySet<string>,
  selection: Selection,
): Notice[] {
  const texts = {
    'no-alignment': 'Base and aligned are equal at',
    'no-update': 'The update is zero at',
    'orthogonal-update': 'The projection removes the whole update, which shares no direction with the alignment, at',
  } as const;
  const notices: Notice[] = [];
  for (const [code, text] of Object.entries(texts) as [keyof typeof texts, string][]) {
    const names = modules.filter((module) => measuredNotice(module) === code).map((module) => module.name);
    if (names.length > 0) notices.push({ code, message: `${text} ${someNames(names)}.`, modules: names });
  }
  const lossy = modules.filter(
    (module) => selected.has(module.name) && (module.projected?.roundingLoss ?? 0) > ROUNDING_LOSS,
  );
  if (lossy.length > 0) {
    const worst = lossy.reduce((a, b) => (a.projected!.roundingLoss > b.projected!.roundingLoss ? a : b));
    notices.push({
      code: 'rounding-loss',
      message: `Rounding the projection to ${worst.b.dtype} loses up to ${(100 * worst.projected!.roundingLoss).toPrecision(2)} % of it (${worst.name}).`,
      modules: lossy.map((module) => module.name),
    });
  }
  const candidates = modules.map(selectable).filter(isCandidate).length;
  const asked = excess(selection, candidates);
  if (asked !== null) {
    notices.push({
      code: 'count-capped',
      message: `${asked} modules were asked for; ${candidates} can be selected.`,
      modules: [],
    });
  }
  return notices;
}

/**
 * The report saved with the adapter: no path, no time, so that it can be published and is equal for equal input.
 * @param files SHA-256 of the companion files, by name; the folder may be replaced while its files match them
 */
export function travellingReport(report: Report, files?: TensorHashes): string {
  const withoutPath = <T extends { path: string }>({ path, ...rest }: T): Omit<T, 'path'> => rest;
  const { seconds, ...totals } = report.totals;
  return reportText({
    ...report,
    adapter: withoutPath(report.adapter),
    base: withoutPath(report.base),
    aligned: withoutPath(report.aligned),
    totals,
    ...(files ? { files } : {}),
  });
}

export function reportText(report: object): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

function outOfRange(path: string, modules: readonly MeasuredModule[]): SafeLoraError {
  const names = someNames(modules.map((module) => module.name));
  return new SafeLoraError(
    'overflow',
    `${path}: the projection exceeds the range of ${modules[0]!.b.dtype} in ${names}; save the adapter in BF16 or F32 first.`,
  );
}
