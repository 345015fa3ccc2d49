// Finds the weight that an adapter's module adapts in one checkpoint, by name.
import { type Checkpoint } from './checkpoint';
import { isFloatDtype } from './dtype';
import { SafeLoraError } from './errors';
import { fusedPart } from './fused';
import { appendTo } from './objects';
import { type TensorInfo } from './safetensors';
import { isIndex, isInputEmbedding, isOutputHead, otherNames, withoutWrappers } from './weight-names';

/** A module as far as its weight's place depends on it. */
export interface WantedModule {
  name: string;
  /** [out, in] of the update. */
  shape: [number, number];
}

export class WeightResolver {
  /** By names without wrappers. */
  private readonly byName = new Map<string, TensorInfo[]>();
  /** By the end of the name, from its last number on: what may be the same weight under a longer or a shorter name. */
  private readonly byEnd = new Map<string, TensorInfo[]>();

  /** @param parameters names of parameters that the adapter targets beside whole modules, e.g. `mlp.router.scale` */
  constructor(
    readonly checkpoint: Checkpoint,
    private readonly parameters: readonly string[] = [],
  ) {
    for (const tensor of checkpoint.tensors.values()) {
      const name = withoutWrappers(tensor.name);
      appendTo(this.byName, name, tensor);
      appendTo(this.byEnd, endOf(name), tensor);
    }
  }

  /**
   * @returns undefined where the checkpoint has no such weight
   * @throws SafeLoraError where two weights fit equally
   */
  weightOf(module: WantedModule): TensorInfo | undefined {
    return (
      this.find(`${module.name}.weight`) ??
      fusedPart(module, (name) => this.find(name), this.checkpoint.config) ??
      this.parameterOf(module.name) ??
      (isOutputHead(module.name) ? this.tiedEmbedding(module.name) : undefined)
    );
  }

  /**
   * A tensor by its whole name: as it is, then without wrappers, then by a known renaming, then where one name is the other's end at
   * a dot.
   * @throws SafeLoraError where two fit equally
   */
  find(name: string): TensorInfo | undefined {
    const exact = this.checkpoint.tensors.get(name);
    if (exact) return exact;
    const plain = withoutWrappers(name);
    return (
      this.unambiguous(name, this.byName.get(plain)) ??
      this.unambiguous(
        name,
        otherNames(plain).flatMap((other) => this.byName.get(other) ?? []),
      ) ??
      this.unambiguous(
        name,
        this.byEnd.get(endOf(plain))?.filter((tensor) => isEndOf(plain, withoutWrappers(tensor.name))),
      )
    );
  }

  /** A parameter that is not called `weight`: one that the configuration targets, or that of torch.nn.MultiheadAttention. */
  private parameterOf(module: string): TensorInfo | undefined {
    const last = [...this.parameters, 'in_proj_weight']
      .filter((target) => {
        const owner = target.slice(0, Math.max(0, target.lastIndexOf('.')));
        return owner === '' || module === owner || module.endsWith(`.${owner}`);
      })
      .map((target) => target.slice(target.lastIndexOf('.') + 1));
    for (const parameter of new Set(last)) {
      const tensor = this.find(`${module}.${parameter}`);
      if (tensor?.shape.length === 2 && isFloatDtype(tensor.dtype)) return tensor;
    }
    return undefined;
  }

  /** Where input and output share their weight, checkpoints hold it once, as the embedding (`tie_word_embeddings`). */
  private tiedEmbedding(module: string): TensorInfo | undefined {
    if (this.checkpoint.config.tie_word_embeddings === false) return undefined;
    const embeddings = [...this.checkpoint.tensors.values()].filter(
      ({ name }) => name.endsWith('.weight') && isInputEmbedding(name.slice(0, -'.weight'.length)),
    );
    return this.unambiguous(module, embeddings);
  }

  private unambiguous(wanted: string, candidates: readonly TensorInfo[] = []): TensorInfo | undefined {
    const names = [...new Set(candidates.map(({ name }) => name))];
    if (names.length > 1) {
      throw new SafeLoraError(
        'model-ambiguous',
        `${this.checkpoint.path}: the adapter's module ${wanted.replace(/\.weight$/, '')} could be ${names.join(' or ')}; give the checkpoint that the adapter was trained on.`,
      );
    }
    return candidates[0];
  }
}

/** From the last number on, else the last two segments. */
function endOf(name: string): string {
  const parts = name.split('.');
  const numberAt = parts.findLastIndex(isIndex);
  return parts.slice(numberAt < 0 ? -2 : numberAt).join('.');
}

/** One name is the other's end at a dot, and says as well which layer is meant. */
function isEndOf(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return long.endsWith(`.${short}`) && numbersIn(short) === numbersIn(long);
}

function numbersIn(name: string): number {
  return name.split('.').filter(isIndex).length;
}
