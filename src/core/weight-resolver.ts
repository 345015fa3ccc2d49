// Finds the weight that an adapter's module adapts in one checkpoint, by name.
import { type Checkpoint } from './checkpoint';
import { isFloatDtype } from './dtype';
import { SafeLoraError, shown } from './errors';
import { fusedPart } from './fused';
import { appendTo } from './objects';
import { type TensorInfo } from './safetensors';
import {
  endsAtDots,
  isIndex,
  isInputEmbedding,
  isOutputHead,
  isPredictionLayer,
  otherNames,
  ownerSegments,
  withoutWrappers,
} from './weight-names';

/** The parts of a module that decide where its weight is. */
export interface WantedModule {
  name: string;
  /** [out, in] of the update. */
  shape: [number, number];
}

/** Maximum candidates in an error. */
const MOST_NAMED = 5;

export class WeightResolver {
  /** By names without wrappers. */
  private readonly byName = new Map<string, TensorInfo[]>();
  /** By each suffix of the name without wrappers that still identifies the layer. */
  private readonly byEnd = new Map<string, TensorInfo[]>();
  /** The last segments of the modules that own them. */
  private readonly owners = new Set<string>();
  /** Names of the targeted parameters, by owning module; by '' if any module may own them. */
  private readonly parameters = new Map<string, string[]>();
  private heads: TensorInfo[] | undefined;
  private embeddings: TensorInfo[] | undefined;

  /** @param parameters names of parameters that the adapter targets beside whole modules, e.g. `mlp.router.scale` */
  constructor(
    readonly checkpoint: Checkpoint,
    parameters: readonly string[] = [],
  ) {
    const lasts = new Set<string>();
    for (const tensor of checkpoint.tensors.values()) {
      const name = withoutWrappers(tensor.name);
      appendTo(this.byName, name, tensor);
      for (const end of endsOf(name)) appendTo(this.byEnd, end, tensor);
      lasts.add(lastOf(name));
      this.owners.add(ownerSegments(name)[0]!);
    }
    for (const parameter of new Set(parameters)) {
      if (lasts.has(lastOf(parameter))) appendTo(this.parameters, ownerOf(parameter), lastOf(parameter));
    }
  }

  /**
   * @returns undefined where the checkpoint has no such weight
   * @throws SafeLoraError where two weights match equally
   */
  weightOf(module: WantedModule): TensorInfo | undefined {
    return (
      this.targetParameter(module.name) ??
      this.find(`${module.name}.weight`, module.shape) ??
      fusedPart(module, (name) => this.find(name), this.checkpoint.config) ??
      // torch.nn.MultiheadAttention
      this.matrix(`${module.name}.in_proj_weight`) ??
      (isOutputHead(module.name) ? (this.onlyHead(module.name) ?? this.tiedEmbedding(module.name)) : undefined)
    );
  }

  /**
   * A tensor by its whole name: unchanged, then without wrappers, then by a known renaming, then if either name is a suffix of the other at
   * a dot.
   * @param shape decides between candidates
   * @throws SafeLoraError where two match equally
   */
  find(name: string, shape?: readonly [number, number]): TensorInfo | undefined {
    const exact = this.checkpoint.tensors.get(name);
    if (exact) return exact;
    const plain = withoutWrappers(name);
    const same = this.unambiguous(name, this.byName.get(plain), shape);
    if (same) return same;
    // Rejects most absent names at once, however many there are.
    if (!ownerSegments(plain).some((segment) => this.owners.has(segment))) return undefined;
    return (
      this.unambiguous(
        name,
        otherNames(plain).flatMap((other) => this.byName.get(other) ?? []),
        shape,
      ) ??
      this.unambiguous(
        name,
        [...(this.byEnd.get(plain) ?? []), ...endsOf(plain).flatMap((end) => this.byName.get(end) ?? [])],
        shape,
      )
    );
  }

  /** A targeted parameter of the module, called `weight` or otherwise. */
  private targetParameter(module: string): TensorInfo | undefined {
    if (this.parameters.size === 0) return undefined;
    const names = ['', module, ...endsAtDots(module)].flatMap((owner) => this.parameters.get(owner) ?? []);
    const targets = [...new Set(names)].map((name) => this.matrix(`${module}.${name}`));
    return this.unambiguous(
      module,
      targets.filter((tensor) => tensor !== undefined),
    );
  }

  private matrix(name: string): TensorInfo | undefined {
    const tensor = this.find(name);
    return tensor?.shape.length === 2 && isFloatDtype(tensor.dtype) ? tensor : undefined;
  }

  /** An output head under another name. */
  private onlyHead(module: string): TensorInfo | undefined {
    return this.unambiguous(module, (this.heads ??= this.weightsOf(isOutputHead)));
  }

  /** If input and output share their weight, checkpoints store it once, as the embedding (`tie_word_embeddings`). */
  private tiedEmbedding(module: string): TensorInfo | undefined {
    if (this.checkpoint.config.tie_word_embeddings === false) return undefined;
    return this.unambiguous(module, (this.embeddings ??= this.weightsOf(isInputEmbedding)));
  }

  private weightsOf(isKind: (module: string) => boolean): TensorInfo[] {
    return [...this.checkpoint.tensors.values()].filter(
      ({ name }) => name.endsWith('.weight') && isKind(name.slice(0, -'.weight'.length)),
    );
  }

  private unambiguous(
    wanted: string,
    found: readonly TensorInfo[] = [],
    shape?: readonly [number, number],
  ): TensorInfo | undefined {
    const tests = [
      ({ name }: TensorInfo) => !isPredictionLayer(name),
      (tensor: TensorInfo) => shape === undefined || fits(tensor, shape),
    ];
    // A test that all candidates fail decides nothing.
    const candidates = tests.reduce((left, test) => (left.some(test) ? left.filter(test) : left), found);
    const names = [...new Set(candidates.map(({ name }) => name))];
    if (names.length > 1) throw ambiguous(this.checkpoint.path, wanted, names);
    return candidates[0];
  }
}

/**
 * Shorter names that may mean the same weight: the rest after each dot, while it identifies the layer and has more than one part.
 */
function endsOf(name: string): string[] {
  const parts = name.split('.');
  const numberAt = parts.findIndex(isIndex);
  return endsAtDots(name).slice(0, numberAt < 0 ? -1 : numberAt);
}

/** Stored as in a linear layer or as a Conv1D. */
function fits(tensor: TensorInfo, [out, width]: readonly [number, number]): boolean {
  const [rows, columns, ...more] = tensor.shape;
  return more.length === 0 && ((rows === out && columns === width) || (rows === width && columns === out));
}

function ownerOf(parameter: string): string {
  return parameter.slice(0, Math.max(0, parameter.lastIndexOf('.')));
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function ambiguous(path: string, wanted: string, names: readonly string[]): SafeLoraError {
  const more = names.length > MOST_NAMED ? ` or ${names.length - MOST_NAMED} more` : '';
  return new SafeLoraError(
    'model-ambiguous',
    `${path}: the adapter's module ${shown(wanted.replace(/\.weight$/, ''))} could be ${names.slice(0, MOST_NAMED).map(shown).join(' or ')}${more}; give the checkpoint that the adapter was trained on.`,
  );
}
