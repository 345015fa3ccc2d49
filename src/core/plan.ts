// Adapter + base + aligned → the list of module jobs; checks every pairing before reading weights.
import { type Adapter, type LoraModule } from './adapter';
import { notLoaded } from './adapter-tensors';
import { type Checkpoint } from './checkpoint';
import { type Notice, type NoticeCode, SafeLoraError, shown, someNames } from './errors';
import { mayLack, missingWeights, type Role } from './missing-weights';
import { cachedRepository, commitOf, lastPart, plainName, unquantisedName } from './model-names';
import { comparePositions, type Position, positions } from './naming';
import { isObject } from './objects';
import { Packing, quantised } from './quantised';
import { sourceOf, type TensorInfo } from './safetensors';
import { ungathered } from './ungathered';
import { isDataParallel, isOutputHead, isVocabularyWeight } from './weight-names';
import { type WantedModule, WeightResolver } from './weight-resolver';

/** The two weights of a module. */
export interface WeightPair {
  base: TensorInfo;
  aligned: TensorInfo;
  /** Stored [in, out] (Conv1D) instead of [out, in]. */
  transposed: boolean;
}

export interface PlannedModule extends Position, LoraModule {
  /** [out, in] of the weight. */
  shape: [number, number];
  /** Null where the module cannot be measured; `notice` says why. */
  weights: WeightPair | null;
  notice: NoticeCode | null;
}

export interface Plan {
  adapter: Adapter;
  base: Checkpoint;
  aligned: Checkpoint;
  /** In report order. */
  modules: PlannedModule[];
  notices: Notice[];
}

/** @throws SafeLoraError where a module has no weight in a checkpoint, or the shapes disagree */
export function makePlan(adapter: Adapter, base: Checkpoint, aligned: Checkpoint): Plan {
  if (base.realPath === aligned.realPath) throw sameModel(base.path);
  const wanted = adapter.modules.map(({ name, a, b }): WantedModule => ({ name, shape: [b.shape[0]!, a.shape[1]!] }));
  const inBase = new WeightResolver(base, adapter.config.targetParameters);
  const inAligned = new WeightResolver(aligned, adapter.config.targetParameters);
  const bases = resolveAll('base', wanted, inBase, inAligned);
  const aligneds = resolveAll('aligned', wanted, inAligned, inBase);
  const where = positions(wanted.map(({ name }) => name));
  refuseStoredLayout(adapter, wanted, aligned, aligneds);
  const pairs = adapter.modules.map((module, i) => pairWeights(wanted[i]!, bases[i], aligneds[i], module));
  const orientationOf = squareOrientations(pairs, aligned, adapter.config.fanInFanOut);
  const modules = adapter.modules.map((module, i): PlannedModule => {
    const { weights, notice } = pairs[i]!;
    return {
      ...module,
      ...where.get(module.name)!,
      shape: wanted[i]!.shape,
      weights: weights && { ...weights, transposed: weights.transposed ?? orientationOf(weights.aligned) },
      notice,
    };
  });
  modules.sort(comparePositions);
  const notices = [
    ...adapter.notices,
    ...modelNotices(adapter, base, aligned),
    ...projectedNotices(modules),
    ...vocabularyNotices(pairs),
    ...missingNotices(wanted, bases, aligneds),
    ...fusedNotices(modules),
    ...[base, aligned].flatMap(leftOverNotices),
    ...misnamedNotices(adapter, modules),
  ];
  return { adapter, base, aligned, modules, notices };
}

/** The tensors that the plans read, for each model with remote weights. */
export function remoteTensors(plans: readonly Plan[]): Map<Checkpoint, TensorInfo[]> {
  const found = new Map<Checkpoint, Set<TensorInfo>>();
  for (const { base, aligned, modules } of plans) {
    for (const [role, model] of [
      ['base', base],
      ['aligned', aligned],
    ] as const) {
      if (!model.remote) continue;
      const tensors = found.get(model) ?? new Set();
      for (const { weights } of modules) if (weights) tensors.add(weights[role].within ?? weights[role]);
      found.set(model, tensors);
    }
  }
  return new Map([...found].map(([model, tensors]) => [model, [...tensors]]));
}

export function sameModel(path: string): SafeLoraError {
  return new SafeLoraError(
    'alignment-missing',
    `${path}: base and aligned have the same weights, so alignment changed nothing; was the same model given twice?`,
  );
}

/** @returns undefined where the model may lack such a weight by design */
function resolveAll(
  role: Role,
  wanted: readonly WantedModule[],
  resolver: WeightResolver,
  other: WeightResolver,
): (TensorInfo | undefined)[] {
  const { checkpoint } = resolver;
  const found = wanted.map((module) => resolver.weightOf(module));
  const packing = new Packing(checkpoint, (name) => resolver.find(name));
  const packed = wanted
    .map(({ name }, i) => ({ name, by: packing.evidence(name, found[i]) }))
    .filter((module): module is { name: string; by: TensorInfo } => module.by !== null);
  if (packed.length > 0) {
    throw quantised(
      checkpoint,
      packed.map(({ name }) => name),
      packed[0]!.by,
    );
  }
  const tensors = found.filter((tensor) => tensor !== undefined);
  const missing = wanted.filter((_, i) => found[i] === undefined);
  if (missing.length > 0 && (tensors.length === 0 || !mayLack(missing, resolver)))
    throw missingWeights(role, resolver, other, missing, wanted.length);
  const fault = ungathered(tensors, `the ${tensors.length} weights that the adapter changes`);
  if (fault) throw ungatheredModel(checkpoint.path, fault);
  found.forEach((tensor, i) => {
    if (tensor && tensor.shape.length !== 2) throw notTwoDimensional(tensor, wanted[i]!);
  });
  return found;
}

/** Unlike a convolution, a stack of experts does not begin with a module's outputs. */
function notTwoDimensional(tensor: TensorInfo, { name, shape: [out] }: WantedModule): SafeLoraError {
  const isStack = tensor.shape.length === 3 && (tensor.shape[0] !== out || /(?:^|\.)experts?\b/.test(tensor.name));
  return new SafeLoraError(
    isStack ? 'unsupported-adapter' : 'model-shape',
    `${sourceOf(tensor)}: ${tensor.name} has shape [${tensor.shape.join(', ')}]${isStack ? ' (stacked experts)' : ''}, but the adapter's ${name} updates a weight of two dimensions; ${isStack ? 'stacked experts are not supported: use an adapter of two-dimensional weights' : 'give the models that the adapter was trained on'}.`,
  );
}

/**
 * For `target_parameters` PEFT uses a Conv1D's weight as stored, [in, out]: B then belongs to the inputs, where C is undefined
 * (ParamWrapper in peft/tuners/lora/layer.py).
 */
function refuseStoredLayout(
  { path, config: { targetParameters } }: Adapter,
  wanted: readonly WantedModule[],
  aligned: Checkpoint,
  tensors: readonly (TensorInfo | undefined)[],
): void {
  if (targetParameters.length === 0) return;
  const reversed = wanted.filter(
    ({ shape: [out] }, i) => tensors[i]?.shape[0] === out && storedByBias(tensors[i], aligned) === true,
  );
  if (reversed.length > 0) throw storedLayout(path, reversed);
}

/** Two weights of a module, as far as known before all modules were seen. */
interface Paired {
  /** `transposed` is null if the weight is square; the whole is null if the module cannot be measured. */
  weights: (Omit<WeightPair, 'transposed'> & { transposed: boolean | null }) | null;
  notice: NoticeCode | null;
  name: string;
  /** Vocabulary rows of the adapter's, the base's and the aligned model's weight, if they differ. */
  vocabulary: { adapter: number; base: number; aligned: number } | null;
}

function pairWeights(
  { name, shape: [out, width] }: WantedModule,
  base: TensorInfo | undefined,
  aligned: TensorInfo | undefined,
  { alreadyProjected }: LoraModule,
): Paired {
  if (!base || !aligned) return { weights: null, notice: 'weight-missing', name, vocabulary: null };
  const [baseRows, baseColumns] = base.shape as [number, number];
  const [rows, columns] = aligned.shape as [number, number];
  const isVocabulary = isVocabularyWeight(base.name) && isVocabularyWeight(aligned.name);
  if (isVocabulary && baseColumns === columns && columns === width && (baseRows !== rows || rows !== out)) {
    const vocabulary = { adapter: out, base: baseRows, aligned: rows };
    return { weights: null, notice: 'vocabulary-differs', name, vocabulary };
  }
  if (baseRows !== rows || baseColumns !== columns) throw otherArchitecture(base, aligned);
  const straight = rows === out && columns === width;
  if (!straight && (rows !== width || columns !== out)) throw otherShape(aligned, name, [out, width]);
  const transposed = rows === columns && !isVocabulary ? null : !straight;
  const notice = alreadyProjected ? 'already-projected' : null;
  return { weights: { base, aligned, transposed }, notice, name, vocabulary: null };
}

/** The modules of transformers' Conv1D, whose weight is [in, out] (modeling_gpt2.py and its relatives). */
const CONV1D = /(?:^|\.)(?:c_attn|c_fc|c_proj|q_attn)\.weight$/;

/**
 * Whether a square weight is stored [in, out]. PEFT saves one flag for all layers, taken from the class of the last one it wrapped, and
 * ignores it for linear layers. The adapter's other weights are better evidence, then the checkpoint's, the same stack first: an encoder
 * and a decoder may differ. The output head is no evidence: it is a linear layer in every model.
 */
function squareOrientations(
  pairs: readonly Paired[],
  checkpoint: Checkpoint,
  fanInFanOut: boolean,
): (weight: TensorInfo) => boolean {
  const byShape = new Votes();
  for (const { weights } of pairs)
    if (weights && !isVocabularyWeight(weights.aligned.name)) byShape.add(weights.aligned.name, weights.transposed);
  const byBias = new Votes();
  for (const one of checkpoint.tensors.values()) byBias.add(one.name, storedByBias(one, checkpoint));
  return ({ name }) => {
    const stack = stackOf(name);
    const told = byShape.of(stack) ?? byBias.of(stack) ?? byShape.of(ALL) ?? byBias.of(ALL);
    return told ?? (fanInFanOut && CONV1D.test(name));
  };
}

const ALL = '';

/** The part before the first number in a name. */
function stackOf(name: string): string {
  return /^(.*?)(?:^|\.)\d+\./.exec(name)?.[1] ?? name;
}

/** Counts unanimous votes, by stack and in total. */
class Votes {
  private readonly told = new Map<string, Set<boolean>>();

  add(name: string, vote: boolean | null): void {
    if (vote === null) return;
    for (const voters of [ALL, stackOf(name)]) this.told.set(voters, (this.told.get(voters) ?? new Set()).add(vote));
  }

  of(voters: string): boolean | null {
    const votes = this.told.get(voters);
    return votes?.size === 1 ? votes.has(true) : null;
  }
}

/** Whether a weight is stored [in, out], by the length of its bias, [out]; null if inconclusive. */
function storedByBias({ name, shape }: TensorInfo, { tensors }: Checkpoint): boolean | null {
  const [rows, columns] = shape;
  if (shape.length !== 2 || rows === columns || !name.endsWith('.weight') || isVocabularyWeight(name)) return null;
  const bias = tensors.get(`${name.slice(0, -'weight'.length)}bias`)?.shape;
  if (bias?.length !== 1) return null;
  return bias[0] === columns ? true : bias[0] === rows ? false : null;
}

function projectedNotices(modules: readonly PlannedModule[]): Notice[] {
  const code = 'already-projected';
  const names = modules.filter(({ notice }) => notice === code).map(({ name }) => name);
  if (names.length === 0) return [];
  const message = `Projected before, and their original weights are missing: ${someNames(names)}. Their numbers describe the projected weights, and they cannot be selected.`;
  return [{ code, message, modules: names }];
}

function vocabularyNotices(pairs: readonly Paired[]): Notice[] {
  return pairs.flatMap(({ name, vocabulary }): Notice[] => {
    if (!vocabulary) return [];
    const { adapter, base, aligned } = vocabulary;
    const message =
      base === aligned
        ? `Not measured: ${name} was trained on a vocabulary of ${adapter} rows, the models have ${base}.`
        : `Not measured: base and aligned differ in their vocabulary's size at ${name} (${base} and ${aligned} rows).`;
    return [{ code: 'vocabulary-differs', message, modules: [name] }];
  });
}

function missingNotices(
  wanted: readonly WantedModule[],
  bases: readonly (TensorInfo | undefined)[],
  aligneds: readonly (TensorInfo | undefined)[],
): Notice[] {
  const code = 'weight-missing';
  const without = (who: string, lacks: (i: number) => boolean): Notice[] => {
    const modules = wanted.filter((_, i) => lacks(i)).map(({ name }) => name);
    return modules.length === 0
      ? []
      : [{ code, message: `Not measured: ${who} no weight for ${someNames(modules)}.`, modules }];
  };
  return [
    ...without('base and aligned have', (i) => !bases[i] && !aligneds[i]),
    ...without('the base model has', (i) => !bases[i] && aligneds[i] !== undefined),
    ...without('the aligned model has', (i) => bases[i] !== undefined && !aligneds[i]),
  ];
}

function fusedNotices(modules: readonly PlannedModule[]): Notice[] {
  const parts = modules.filter(({ weights }) => weights?.base.within ?? weights?.aligned.within);
  if (parts.length === 0) return [];
  const wholes = new Set(parts.map(({ weights }) => (weights!.aligned.within ?? weights!.base.within!).name));
  const names = parts.map(({ name }) => name);
  return [
    {
      code: 'fused-weights',
      message: `The models keep ${someNames(names)} fused; their rows of ${someNames([...wholes])} were measured.`,
      modules: names,
    },
  ];
}

/** Merged adapters keep the entry with exact weights, and some models pack only weights that the adapter does not touch. */
function leftOverNotices({ name, config }: Checkpoint): Notice[] {
  if (!isObject(config.quantization_config)) return [];
  return [
    {
      code: 'quantisation-left-over',
      message: `The config.json of ${name} has a quantization_config, but every weight that the adapter changes is unquantised and was used.`,
      modules: [],
    },
  ];
}

/** Notices for names that only the model reveals as wrong. */
function misnamedNotices(adapter: Adapter, modules: readonly PlannedModule[]): Notice[] {
  const noticed = new Set(adapter.notices.filter(({ code }) => code === 'names-not-loaded').flatMap((n) => n.modules));
  const misnamed = modules.flatMap(({ name, b, weights }) => {
    const right = noticed.has(name) || !weights ? null : rightName(name, weights.aligned.name, adapter.config.taskType);
    return right === null ? [] : [{ name, from: b.name, to: b.name.replace(name, right) }];
  });
  const [first] = misnamed;
  return notLoaded(
    misnamed.map(({ name }) => name),
    modules.length,
    first ? [first.from, first.to] : null,
  );
}

/**
 * The model's own name for a misnamed module, from the name of the stored weight; null if unknown. Data parallelism's "module" counts as a
 * wrapper only if the model has no such part. A language model with a head has its layers in "model" if the checkpoint does, and no second
 * "model" in it: https://github.com/huggingface/peft/issues/1579.
 */
function rightName(module: string, weight: string, taskType: string | null): string | null {
  if (isDataParallel(module) && !isDataParallel(weight)) return module.replace(/(^|\.)module\./, '$1');
  if (taskType !== 'CAUSAL_LM') return null;
  const stored = weight.replace(/\.weight$/, '');
  const isWithout = module.startsWith('layers.') && stored === `model.${module}`;
  const isDouble = module === `model.${stored}` && (stored.startsWith('model.') || isOutputHead(stored));
  return isWithout || isDouble ? stored : null;
}

/** Compares the models that the adapter names with the given ones. */
function modelNotices(adapter: Adapter, base: Checkpoint, aligned: Checkpoint): Notice[] {
  return [...nameNotices(adapter, base, aligned), ...revisionNotices(adapter, aligned)];
}

function revisionNotices({ config: { revision } }: Adapter, { name, realPath }: Checkpoint): Notice[] {
  if (revision === null || revision === 'main') return [];
  const commit = commitOf(realPath);
  if (commit?.startsWith(revision)) return [];
  const given = commit === null ? 'which revision was given is not known' : `the one given is ${commit.slice(0, 7)}`;
  const message = `The adapter says it was trained on revision ${shown(revision)} of its model; ${given} (${name}).`;
  return [{ code: 'revision-unconfirmed', message, modules: [] }];
}

function nameNotices(adapter: Adapter, base: Checkpoint, aligned: Checkpoint): Notice[] {
  if (adapter.trainedOn === null) return [];
  const trainedOn = cachedRepository(adapter.trainedOn) ?? adapter.trainedOn;
  const last = lastPart(trainedOn).toLowerCase();
  const unquantised = unquantisedName(last);
  const wanted = plainName(unquantised ?? trainedOn);
  // Reports are shared, so they omit paths of the machine that trained the adapter.
  const stated = shown(/^[^\\/]+\/[^\\/]+$/.test(trainedOn) ? trainedOn : last);
  const notice = (code: NoticeCode, message: string): Notice[] => [{ code, message, modules: [] }];
  const quantised =
    unquantised === null
      ? []
      : notice(
          'trained-on-quantised',
          `The adapter says it was trained on ${stated}, a quantised model; it is measured against the exact weights of ${aligned.name}.`,
        );
  if (knownAs(aligned).includes(wanted)) return quantised;
  if (knownAs(base).includes(wanted)) {
    return quantised.concat(
      notice(
        'trained-on-base',
        `The adapter says it was trained on ${stated}, which is the base given here, not the aligned model; if base and aligned are swapped, every agreement has the wrong sign.`,
      ),
    );
  }
  return quantised.concat(
    notice(
      'aligned-mismatch',
      `The adapter says it was trained on ${stated}; the aligned model given is ${aligned.name}.`,
    ),
  );
}

function knownAs(model: Checkpoint): string[] {
  const stated = model.config._name_or_path;
  return [model.name, ...(typeof stated === 'string' ? [stated] : [])].map(plainName);
}

function ungatheredModel(path: string, { what, next }: { what: string; next: string }): SafeLoraError {
  return new SafeLoraError('model-shape', `${path}: ${what}; ${next}.`);
}

function storedLayout(path: string, reversed: readonly WantedModule[]): SafeLoraError {
  return new SafeLoraError(
    'unsupported-adapter',
    `${path}: target_parameters adapts ${someNames(reversed.map(({ name }) => name))} in the layout [in, out] in which the weight is stored, where C·B·A does not describe a projection; adapt the modules with target_modules instead.`,
  );
}

function otherArchitecture(base: TensorInfo, aligned: TensorInfo): SafeLoraError {
  return new SafeLoraError(
    'model-shape',
    `${sourceOf(base)}: ${base.name} is [${base.shape.join(', ')}], but ${aligned.name} in ${sourceOf(aligned)} is [${aligned.shape.join(', ')}]; base and aligned must be the same architecture.`,
  );
}

function otherShape(aligned: TensorInfo, name: string, [out, width]: readonly [number, number]): SafeLoraError {
  return new SafeLoraError(
    'model-shape',
    `${sourceOf(aligned)}: ${aligned.name} is [${aligned.shape.join(', ')}], but the adapter's ${name} updates a weight of [${out}, ${width}]; give the models that the adapter was trained on.`,
  );
}
