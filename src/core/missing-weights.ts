// Why a checkpoint has no weight for modules of an adapter, seen from what it does hold.
import { SafeLoraError, someNames } from './errors';
import { fusedWeight, partsOf } from './fused';
import { type TensorInfo } from './safetensors';
import { isIndex, withoutWrappers } from './weight-names';
import { type WantedModule, type WeightResolver } from './weight-resolver';

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
  const stacked = adaptedStack(names, resolver);
  if (stacked) {
    return new SafeLoraError(
      'unsupported-adapter',
      `${checkpoint.path}: the adapter adapts stacked experts (target_parameters) at ${someNames(names)}, which ${stacked.name} [${stacked.shape.join(', ')}] holds; this is not supported: use an adapter of two-dimensional weights.`,
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
  const { checkpoint } = resolver;
  const find = (name: string): TensorInfo | undefined => resolver.find(name);
  const [{ name }] = missing as [WantedModule];
  const shard = checkpoint.absent.get(`${name}.weight`) ?? absentAlike(name, checkpoint.absent);
  if (shard !== undefined)
    return { why: `the index places it in ${shard}, which does not hold it`, next: `download ${shard} again` };
  const stack = expertStack(name, resolver);
  if (stack)
    return {
      why: `it keeps its experts stacked in ${stack.name} [${stack.shape.join(', ')}], which is not supported`,
      next: 'give models that keep each expert apart',
    };
  const fused = fusedWeight(name, find);
  if (fused)
    return {
      why: `it keeps them fused in ${fused.name} [${fused.shape.join(', ')}], whose rows cannot be told apart by the sizes of the adapter`,
      next: 'give models that keep them apart',
    };
  const parts = partsOf(name, find);
  if (parts.length > 0)
    return {
      why: `it keeps their parts apart (${parts.map((part) => part.name).join(', ')})`,
      next: 'give models that keep them fused as the adapter does',
    };
  const own = [...checkpoint.tensors.keys()].find((tensor) =>
    /(?:^|\.)layers\.\d+\.attention\.w[qkvo]\.weight$/.test(tensor),
  );
  if (own !== undefined)
    return {
      why: `its weights have the names of Mistral's or Meta's own code (${own})`,
      next: 'give the version for transformers (model.safetensors with config.json)',
    };
  const there = other.weightOf(missing[0]!);
  if (there) {
    const otherRole = role === 'base' ? 'aligned' : 'base';
    return {
      why: `only the ${otherRole} model has it, as ${there.name}`,
      next: 'give two models of the same architecture and layout',
    };
  }
  return alikeIn(name, resolver);
}

/** What the index places in a shard under another name of the same weight. */
function absentAlike(module: string, absent: ReadonlyMap<string, string>): string | undefined {
  if (absent.size === 0) return undefined;
  const wanted = `${withoutWrappers(module)}.weight`;
  for (const [name, shard] of absent) {
    const plain = withoutWrappers(name);
    if (plain === wanted || plain.endsWith(`.${wanted}`) || wanted.endsWith(`.${plain}`)) return shard;
  }
  return undefined;
}

/** A tensor of all experts together where the adapter has one expert's weight. */
function expertStack(module: string, { checkpoint }: WeightResolver): TensorInfo | undefined {
  const parts = withoutWrappers(module).split('.');
  const at = parts.findLastIndex((part) => /experts?$/.test(part));
  if (at < 0) return undefined;
  const inside = `.${parts.slice(Math.max(0, at - 1), at + 1).join('.')}.`;
  const layer = parts.slice(0, at).findLast(isIndex);
  const stacks = [...checkpoint.tensors.values()].filter(({ name, shape }) => {
    const tail = `.${name}`.split(inside)[1];
    return shape.length >= 2 && tail !== undefined && !/^\d+\./.test(tail);
  });
  return stacks.find(({ name }) => layer === undefined || name.split('.').includes(layer)) ?? stacks[0];
}

/** PEFT names what it puts on a stack of experts after the module that holds the stack. */
function adaptedStack(modules: readonly string[], resolver: WeightResolver): TensorInfo | undefined {
  const owner = modules.find((name) => /(?:^|\.)experts?(?:\.base_layer)*$/.test(name));
  return owner === undefined ? undefined : expertStack(`${withoutWrappers(owner)}.0`, resolver);
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
