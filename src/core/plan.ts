// Adapter + base + aligned → the list of module jobs, every pairing checked before a weight is read.
import { type Adapter, type LoraModule } from './adapter';
import { cachedRepository, type Checkpoint, plainName, unquantisedName } from './checkpoint';
import { isFloatDtype } from './dtype';
import { type Notice, type NoticeCode, SafeLoraError, someNames } from './errors';
import { comparePositions, isVocabularyWeight, NameResolver, type Position, positions } from './naming';
import { placeOf, type TensorInfo } from './safetensors';

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
  const notices = [...adapter.notices, ...nameNotices(adapter, base, aligned)];
  const bases = resolveAll(adapter, base, 'base');
  const aligneds = resolveAll(adapter, aligned, 'aligned');
  const where = positions(adapter.modules.map((module) => module.name));
  const modules = adapter.modules.map((module): PlannedModule => {
    const [out, rows] = [module.b.shape[0]!, module.a.shape[1]!];
    const pair = pairWeights(module, bases.get(module.name)!, aligneds.get(module.name)!, adapter);
    const notice = pair === null ? 'vocabulary-differs' : module.alreadyProjected ? 'already-projected' : null;
    return { ...module, ...where.get(module.name)!, shape: [out, rows], weights: pair, notice };
  });
  modules.sort(comparePositions);
  notices.push(...moduleNotices(modules));
  return { adapter, base, aligned, modules, notices };
}

/** Of each model whose weights are elsewhere, those that the plans read. */
export function remoteTensors(plans: readonly Plan[]): Map<Checkpoint, TensorInfo[]> {
  const found = new Map<Checkpoint, Set<TensorInfo>>();
  for (const { base, aligned, modules } of plans) {
    for (const [role, model] of [
      ['base', base],
      ['aligned', aligned],
    ] as const) {
      if (!model.remote) continue;
      const tensors = found.get(model) ?? new Set();
      for (const { weights } of modules) if (weights) tensors.add(weights[role]);
      found.set(model, tensors);
    }
  }
  return new Map([...found].map(([model, tensors]) => [model, [...tensors]]));
}

export function sameModel(path: string): SafeLoraError {
  return new SafeLoraError(
    'alignment-missing',
    `${path}: base and aligned hold the same weights, so there is no direction of alignment; was the same model given twice?`,
  );
}

function resolveAll(adapter: Adapter, checkpoint: Checkpoint, role: 'base' | 'aligned'): Map<string, TensorInfo> {
  const resolver = new NameResolver(checkpoint);
  const found = new Map<string, TensorInfo>();
  for (const { name } of adapter.modules) {
    const tensor = resolver.resolve(name);
    if (tensor) found.set(name, tensor);
  }
  const missing = adapter.modules.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new SafeLoraError(
      'model-missing-target',
      `${checkpoint.path}: the ${role} model has no weight for ${missing.length} of the adapter's ${adapter.modules.length} modules (${someNames(missing)}); give the models that the adapter was trained on.`,
    );
  }
  for (const tensor of found.values()) {
    if (!isFloatDtype(tensor.dtype)) {
      throw new SafeLoraError(
        'unsupported-dtype',
        `${placeOf(tensor)}: ${tensor.name} is ${tensor.dtype}; F64, F32, F16 and BF16 weights are read: give the unquantised model.`,
      );
    }
    if (tensor.shape.length !== 2) {
      throw new SafeLoraError(
        'model-shape',
        `${placeOf(tensor)}: ${tensor.name} has shape [${tensor.shape.join(', ')}]; the weight of a linear layer has two dimensions.`,
      );
    }
  }
  return found;
}

/** @returns null where the two differ only in the number of vocabulary rows, so that no difference exists */
function pairWeights(module: LoraModule, base: TensorInfo, aligned: TensorInfo, adapter: Adapter): WeightPair | null {
  const [baseRows, baseColumns] = base.shape as [number, number];
  const [rows, columns] = aligned.shape as [number, number];
  if (baseRows !== rows || baseColumns !== columns) {
    if (baseColumns === columns && isVocabularyWeight(base) && isVocabularyWeight(aligned)) return null;
    throw new SafeLoraError(
      'model-shape',
      `${placeOf(base)}: ${base.name} is [${base.shape.join(', ')}], but ${aligned.name} in ${placeOf(aligned)} is [${aligned.shape.join(', ')}]; base and aligned must be the same architecture.`,
    );
  }
  const [out, width] = [module.b.shape[0]!, module.a.shape[1]!];
  const straight = rows === out && columns === width;
  const transposed = rows === width && columns === out;
  if (!straight && !transposed) {
    throw new SafeLoraError(
      'model-shape',
      `${placeOf(aligned)}: ${aligned.name} is [${aligned.shape.join(', ')}], but the adapter's ${module.name} updates a weight of [${out}, ${width}]; give the models that the adapter was trained on.`,
    );
  }
  if (straight && transposed) return { base, aligned, transposed: adapter.fanInFanOut && !isVocabularyWeight(aligned) };
  if (transposed !== adapter.fanInFanOut && !isVocabularyWeight(aligned)) {
    throw new SafeLoraError(
      'orientation',
      `${adapter.path}: adapter_config.json says fan_in_fan_out=${adapter.fanInFanOut}, but ${aligned.name} is stored [${transposed ? 'in, out' : 'out, in'}]; set fan_in_fan_out to ${transposed} if the models are the right ones.`,
    );
  }
  return { base, aligned, transposed };
}

function moduleNotices(modules: readonly PlannedModule[]): Notice[] {
  const named = (code: NoticeCode, message: (names: string) => string): Notice[] => {
    const names = modules.filter((module) => module.notice === code).map((module) => module.name);
    return names.length === 0 ? [] : [{ code, message: message(someNames(names)), modules: names }];
  };
  return [
    ...named(
      'vocabulary-differs',
      (names) => `Not measured: base and aligned differ in their vocabulary's size at ${names}.`,
    ),
    ...named(
      'already-projected',
      (names) =>
        `Projected before, and the original is not there: ${names}. Their numbers describe the projection; they are not selected.`,
    ),
  ];
}

/** Compares what the adapter says it was trained on with what was given. */
function nameNotices(adapter: Adapter, base: Checkpoint, aligned: Checkpoint): Notice[] {
  if (adapter.trainedOn === null) return [];
  const trainedOn = cachedRepository(adapter.trainedOn) ?? adapter.trainedOn;
  const unquantised = unquantisedName(lastPart(trainedOn));
  const wanted = plainName(unquantised ?? trainedOn);
  // Reports travel, and a path of the machine that trained the adapter is nobody else's business.
  const stated = /^[^\\/]+\/[^\\/]+$/.test(trainedOn) ? trainedOn : lastPart(trainedOn);
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
        `The adapter says it was trained on ${stated}, which is the base given here, not the aligned model; if the two were given the wrong way round, every direction has the wrong sign.`,
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

function lastPart(name: string): string {
  return name
    .replace(/[\\/]+$/, '')
    .split(/[\\/]/)
    .at(-1)!
    .toLowerCase();
}
