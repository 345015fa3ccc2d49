// Explains why a checkpoint lacks weights for an adapter's modules.
import { type Checkpoint } from './checkpoint';
import { SafeLoraError, someNames } from './errors';
import { fusedModules, hasKnownOrder, partsOf } from './fused';
import { type TensorInfo } from './safetensors';
import { isIndex, otherNames, withoutWrappers } from './weight-names';
import { type WantedModule, WeightResolver } from './weight-resolver';

export type Role = 'base' | 'aligned';

const GIVE_TRAINED_ON = 'give the models that the adapter was trained on';

/** @param missing not empty */
export function missingWeights(
  role: Role,
  resolver: WeightResolver,
  other: WeightResolver,
  missing: readonly WantedModule[],
  total: number,
): SafeLoraError {
  const { checkpoint } = resolver;
  const names = missing.map(({ name }) => name);
  const stacked = adaptedStack(names);
  if (stacked !== undefined) {
    const stack = expertStack(`${withoutWrappers(stacked)}.0`, resolver);
    const held = stack ? `, which ${stack.name} [${stack.shape.join(', ')}] contains` : '';
    return new SafeLoraError(
      'unsupported-adapter',
      `${checkpoint.path}: the adapter adapts stacked experts (target_parameters) at ${someNames(names)}${held}; this is not supported: use an adapter of two-dimensional weights.`,
    );
  }
  const { why, next } = reasonFor(role, resolver, other, missing);
  return new SafeLoraError(
    'model-missing-target',
    `${checkpoint.path}: the ${role} model has no weight for ${missing.length} of the adapter's ${total} modules (${someNames(names)})${why === null ? '' : `: ${why}`}; ${next}.`,
  );
}

interface Reason {
  why: string | null;
  next: string;
}

/** Examines only a few modules: many are missing for the same reason. */
const MOST_EXPLAINED = 10;

function reasonFor(
  role: Role,
  resolver: WeightResolver,
  other: WeightResolver,
  missing: readonly WantedModule[],
): Reason {
  const [first] = missing as [WantedModule];
  const causes = new Causes(resolver);
  for (const { name } of missing.slice(0, MOST_EXPLAINED)) {
    const cause = causes.of(name);
    if (cause) return cause;
  }
  const there = other.weightOf(first);
  if (there) {
    const otherRole = role === 'base' ? 'aligned' : 'base';
    return {
      why: `only the ${otherRole} model has it, as ${there.name}`,
      next: 'give two models of the same architecture and layout',
    };
  }
  return alikeIn(first.name, resolver);
}

/**
 * Whether a model may lack these modules by design: all are outside the layers, i.e. heads or projectors of the adapter's training task,
 * and no removable cause is found.
 */
export function mayLack(modules: readonly WantedModule[], resolver: WeightResolver): boolean {
  // No task has more heads.
  if (modules.length > MOST_EXPLAINED || modules.some(({ name }) => name.split('.').some(isIndex))) return false;
  const causes = new Causes(resolver);
  return modules.every(({ name }) => causes.of(name) === null);
}

/** Why weights are missing from one checkpoint, though another form or a complete copy of the model has them. */
class Causes {
  private readonly checkpoint: Checkpoint;
  private readonly promised: WeightResolver | null;
  private readonly foreign: Reason | null;

  constructor(private readonly resolver: WeightResolver) {
    this.checkpoint = resolver.checkpoint;
    this.promised = promisedBy(this.checkpoint);
    this.foreign = foreignTensors(this.checkpoint);
  }

  of(name: string): Reason | null {
    const { checkpoint, resolver } = this;
    // The index may promise the weight, or the fused weight that contains it, in a shard that lacks it.
    const shard = this.promised && weightsOf([name, ...fusedModules(name)], this.promised)[0]?.tensor.path;
    if (shard)
      return { why: `the index places it in ${shard}, which does not hold it`, next: `download ${shard} again` };
    const stack = expertStack(name, resolver);
    if (stack)
      return {
        why: `it keeps its experts stacked in ${stack.name} [${stack.shape.join(', ')}], which is not supported`,
        next: 'give models that keep each expert apart',
      };
    const [fused] = weightsOf(fusedModules(name), resolver);
    if (fused) {
      const { tensor, module } = fused;
      const order = hasKnownOrder(module, checkpoint.config)
        ? 'do not add up with the adapter'
        : "have an order of the model's own";
      return {
        why: `it keeps them fused in ${tensor.name} [${tensor.shape.join(', ')}], whose rows ${order}`,
        next: 'give models that keep them apart',
      };
    }
    const parts = weightsOf(partsOf(name), resolver);
    if (parts.length > 0)
      return {
        why: `it keeps their parts apart (${parts.map(({ tensor }) => tensor.name).join(', ')})`,
        next: 'give models that keep them fused as the adapter does',
      };
    return this.foreign ?? foreignModule(name);
  }
}

/** Tensors that the index assigns to shards that lack them; null if there are none. */
function promisedBy(checkpoint: Checkpoint): WeightResolver | null {
  if (checkpoint.absent.size === 0) return null;
  const stubs = [...checkpoint.absent].map(([name, path]): [string, TensorInfo] => [
    name,
    { path, name, dtype: '', shape: [], offset: 0, length: 0 },
  ]);
  return new WeightResolver({ ...checkpoint, tensors: new Map(stubs) });
}

function weightsOf(modules: readonly string[], resolver: WeightResolver): { module: string; tensor: TensorInfo }[] {
  return modules.flatMap((module) => {
    const tensor = resolver.find(`${module}.weight`);
    return tensor ? [{ module, tensor }] : [];
  });
}

const TRANSFORMERS = 'give the version for transformers (model.safetensors with config.json)';

/** Names of weights that reveal which code made the checkpoint. */
const FOREIGN: readonly (readonly [name: RegExp, whose: string, next: string])[] = [
  [/(?:^|\.)layers\.\d+\.attention\.wq(?:\.weight)?$/, "Mistral's or Meta's own code", TRANSFORMERS],
  [/^blk\.\d+\./, 'llama.cpp', TRANSFORMERS],
  [/^layers\.\d+\.attn\.q_proj(?:\.weight)?$/, 'torchtune', TRANSFORMERS],
  [/\.linear_qkv(?:\.weight)?$/, 'Megatron', TRANSFORMERS],
  [/(?:^|\.)_?flat_param(?:_\d+)?$/, "FSDP's flat shards", 'save the model again with state_dict_type FULL_STATE_DICT'],
];

/** The code whose names a checkpoint's tensors have, if not transformers. */
function foreignTensors({ tensors }: Checkpoint): Reason | null {
  for (const name of tensors.keys())
    for (const [pattern, whose, next] of FOREIGN)
      if (pattern.test(name)) return { why: `its weights have the names of ${whose} (${name})`, next };
  return null;
}

function foreignModule(module: string): Reason | null {
  const [, whose] = FOREIGN.find(([pattern]) => pattern.test(module)) ?? [];
  return whose === undefined
    ? null
    : { why: `the adapter has the names of ${whose}`, next: 'convert it to the names of transformers' };
}

/** A tensor that stacks all experts, where the adapter has one expert's weight: of the same layer and kind if possible. */
function expertStack(module: string, { checkpoint }: WeightResolver): TensorInfo | undefined {
  const plain = withoutWrappers(module);
  for (const parts of [plain, ...otherNames(plain)].map((name) => name.split('.'))) {
    const at = parts.findLastIndex((part) => /experts?$/.test(part));
    if (at < 0) return undefined;
    const inside = `.${parts.slice(Math.max(0, at - 1), at + 1).join('.')}.`;
    const layer = parts.slice(0, at).findLast(isIndex);
    const stacks = [...checkpoint.tensors.values()].filter(({ name, shape }) => {
      const tail = `.${name}`.split(inside)[1];
      return shape.length >= 2 && tail !== undefined && !/^\d+\./.test(tail);
    });
    const near = stacks.filter(({ name }) => layer === undefined || name.split('.').includes(layer));
    const stack = near.find(({ name }) => name.includes(parts.at(-1)!)) ?? near[0] ?? stacks[0];
    if (stack) return stack;
  }
  return undefined;
}

/** The adapter's module for a stack of experts: PEFT names an update of a stack after its parent module. */
function adaptedStack(modules: readonly string[]): string | undefined {
  return modules.find((name) => /(?:^|\.)experts?(?:\.base_layer)*$/.test(name));
}

/** The same module in other layers, or else examples of the checkpoint's names. */
function alikeIn(module: string, { checkpoint }: WeightResolver): Reason {
  const last = module.slice(module.lastIndexOf('.') + 1);
  const names = [...checkpoint.tensors.keys()];
  const layers = new Set<number>();
  const layer = /\.(\d+)\./.exec(module)?.[1];
  const [before, after] = layer === undefined ? ['', ''] : module.split(`.${layer}.`, 2);
  for (const name of names) {
    const end = `.${after}.weight`;
    if (after === '' || !name.endsWith(end)) continue;
    const head = name.slice(0, -end.length);
    const number = /(?:^|\.)(\d+)$/.exec(head)?.[1];
    const prefix = head.slice(0, -(number?.length ?? 0) - 1);
    if (number !== undefined && (prefix.endsWith(before!) || before!.endsWith(prefix))) layers.add(Number(number));
  }
  if (layers.size > 0 && !layers.has(Number(layer)))
    return { why: `it has ${layers.size} layers of such weights, none of them layer ${layer}`, next: GIVE_TRAINED_ON };
  const alike =
    names.find((name) => name.endsWith(`.${last}.weight`)) ??
    names.find((name) => name.endsWith('weight') && /\.\d+\./.test(name));
  return { why: alike === undefined ? null : `its weights are named like ${alike}`, next: GIVE_TRAINED_ON };
}
