// Why a checkpoint has no weight for modules of an adapter, seen from what it does hold.
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
    const held = stack ? `, which ${stack.name} [${stack.shape.join(', ')}] holds` : '';
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

function reasonFor(
  role: Role,
  resolver: WeightResolver,
  other: WeightResolver,
  missing: readonly WantedModule[],
): Reason {
  const [first] = missing as [WantedModule];
  for (const { name } of missing) {
    const cause = causeOf(name, resolver);
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
 * Whether a model may well be without a module: one outside all layers, that is, a head or a projector of the task that the adapter was
 * trained for, unless there is a cause that can be removed.
 */
export function mayLack({ name }: WantedModule, resolver: WeightResolver): boolean {
  return !name.split('.').some(isIndex) && causeOf(name, resolver) === null;
}

/** What keeps a weight from being found that a model of another form, or a whole one, would have. */
function causeOf(name: string, resolver: WeightResolver): Reason | null {
  const { checkpoint } = resolver;
  const shard = promisedShard(name, checkpoint);
  if (shard !== undefined)
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
  return foreignNames(name, checkpoint);
}

/** The shard in which the index places a module's weight, or the fused weight that it is a part of, without its being there. */
function promisedShard(module: string, checkpoint: Checkpoint): string | undefined {
  if (checkpoint.absent.size === 0) return undefined;
  const stubs = [...checkpoint.absent].map(([name, path]): [string, TensorInfo] => [
    name,
    { path, name, dtype: '', shape: [], offset: 0, length: 0 },
  ]);
  const promised = new WeightResolver({ ...checkpoint, tensors: new Map(stubs) });
  return weightsOf([module, ...fusedModules(module)], promised)[0]?.tensor.path;
}

function weightsOf(modules: readonly string[], resolver: WeightResolver): { module: string; tensor: TensorInfo }[] {
  return modules.flatMap((module) => {
    const tensor = resolver.find(`${module}.weight`);
    return tensor ? [{ module, tensor }] : [];
  });
}

const TRANSFORMERS = 'give the version for transformers (model.safetensors with config.json)';

/** Names of weights that tell whose code made the checkpoint. */
const FOREIGN: readonly (readonly [name: RegExp, whose: string, next: string])[] = [
  [/(?:^|\.)layers\.\d+\.attention\.wq(?:\.weight)?$/, "Mistral's or Meta's own code", TRANSFORMERS],
  [/^blk\.\d+\./, 'llama.cpp', TRANSFORMERS],
  [/^layers\.\d+\.attn\.q_proj(?:\.weight)?$/, 'torchtune', TRANSFORMERS],
  [/\.linear_qkv(?:\.weight)?$/, 'Megatron', TRANSFORMERS],
  [/(?:^|\.)_?flat_param(?:_\d+)?$/, "FSDP's flat shards", 'save the model again with state_dict_type FULL_STATE_DICT'],
];

/** A checkpoint, or an adapter, whose names are not those of transformers. */
function foreignNames(module: string, checkpoint: Checkpoint): Reason | null {
  const names = [...checkpoint.tensors.keys()];
  for (const [pattern, whose, next] of FOREIGN) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) return { why: `its weights have the names of ${whose} (${found})`, next };
    if (pattern.test(module))
      return { why: `the adapter has the names of ${whose}`, next: 'convert it to the names of transformers' };
  }
  return null;
}

/** A tensor of all experts together where the adapter has one expert's weight: of the same layer, and of the same kind, where it can be. */
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

/** The module of an adapter that is a stack of experts: PEFT names what it puts on a stack after the module that holds it. */
function adaptedStack(modules: readonly string[]): string | undefined {
  return modules.find((name) => /(?:^|\.)experts?(?:\.base_layer)*$/.test(name));
}

/** The same module in other layers, or what the checkpoint's names look like. */
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
    const place = head.slice(0, -(number?.length ?? 0) - 1);
    if (number !== undefined && (place.endsWith(before!) || before!.endsWith(place))) layers.add(Number(number));
  }
  if (layers.size > 0 && !layers.has(Number(layer)))
    return { why: `it has ${layers.size} layers of such weights, none of them layer ${layer}`, next: GIVE_TRAINED_ON };
  const alike =
    names.find((name) => name.endsWith(`.${last}.weight`)) ??
    names.find((name) => name.endsWith('weight') && /\.\d+\./.test(name));
  return { why: alike === undefined ? null : `its weights are named like ${alike}`, next: GIVE_TRAINED_ON };
}
