// An adapter's changes to a running model: its updates, trained and projected, and its own head and embedding, if any.
import { type Adapter } from '../core/adapter';
import { isTrainingOnly, withoutPrefix } from '../core/adapter-tensors';
import { isFloatDtype } from '../core/dtype';
import { SafeLoraError, someNames } from '../core/errors';
import { type Plan } from '../core/plan';
import { type TensorInfo } from '../core/safetensors';
import { type Architecture } from './architecture';
import { EMBEDDING, HEAD, layerPrefix, linears } from './parameters';
import { type BranchTask } from './protocol';

export interface AppliedAdapter {
  branches: BranchTask[];
  saved: Map<string, TensorInfo>;
}

/**
 * @returns the branches in the order of the plan's modules, not yet projected
 * @throws SafeLoraError if something in the adapter cannot be applied, since the result would be another model
 */
export function applyAdapter({ adapter, modules }: Plan, architecture: Architecture): AppliedAdapter {
  const known = matricesOf(architecture);
  const branches = modules.map(({ name, a, b, scale, weights }): BranchTask => {
    // The name in the model's own file: the adapter's may have a longer or shorter prefix.
    const module = weights ? fullName(weights.aligned.name.replace(/\.weight$/, '')) : name;
    return { module, a, b, scale, projected: null };
  });
  const foreign = branches.map(({ module }) => module).filter((module) => !known.has(module));
  if (foreign.length > 0) throw notApplicable(adapter, foreign);
  return { branches, saved: savedOf(adapter, architecture) };
}

function fullName(module: string): string {
  return module.startsWith('layers.') ? `model.${module}` : module;
}

/** Names of the matrices that can have an update. */
function matricesOf(architecture: Architecture): Set<string> {
  const names = Object.keys(linears(architecture));
  return new Set([
    'lm_head',
    ...architecture.layers.flatMap((_, layer) => names.map((name) => layerPrefix(layer) + name)),
  ]);
}

/** The tensors in the adapter's file other than its updates. */
function savedOf(adapter: Adapter, { hidden, vocabulary }: Architecture): Map<string, TensorInfo> {
  const updates = new Set(adapter.modules.flatMap(({ a, b }) => [a.name, b.name]));
  const saved = new Map<string, TensorInfo>();
  const unused: string[] = [];
  for (const [key, tensor] of adapter.file.tensors) {
    if (updates.has(key) || isTrainingOnly(key)) continue;
    const name = parameterOf(key);
    const [rows, width, ...more] = tensor.shape;
    const fits = more.length === 0 && width === hidden && isFloatDtype(tensor.dtype);
    // The replacement must contain all tokens of the model's own tokenizer.
    if (fits && (name === HEAD || name === EMBEDDING) && rows! >= vocabulary) saved.set(name, tensor);
    else unused.push(key);
  }
  // Every token that the head can generate needs an embedding.
  const embedded = saved.get(EMBEDDING)?.shape[0] ?? vocabulary;
  if ((saved.get(HEAD)?.shape[0] ?? vocabulary) > embedded) unused.push(HEAD);
  if (unused.length > 0) throw notApplicable(adapter, unused);
  return saved;
}

/** PEFT saves a head and an embedding for `modules_to_save`, and as the layer below an update on them. */
function parameterOf(key: string): string {
  return withoutPrefix(key).replace(/\.(?:modules_to_save(?:\.[^.]+)?|base_layer)\.weight$/, '.weight');
}

function notApplicable({ file }: Adapter, names: readonly string[]): SafeLoraError {
  return new SafeLoraError(
    'unsupported-adapter',
    `${file.path}: ${someNames(names)} cannot be applied when the model is run here, and without ${names.length === 1 ? 'it' : 'them'} another model would be measured; evaluate the adapter on a server that loads it whole, such as vLLM.`,
  );
}
