// Names of modules: which weight of a checkpoint an adapter's module means, and where in the model it sits.
import { type Checkpoint } from './checkpoint';
import { SafeLoraError } from './errors';
import { firstFitting, isPattern } from './patterns';
import { type TensorInfo } from './safetensors';

/** Where a module sits, read from its name. */
export interface Position {
  /** `encoder`, `decoder`, a tower's name, or null in a model of one stack. */
  stack: string | null;
  /** The first number in the name. */
  layer: number | null;
  /** The shortest dotted tail that tells it from the other modules of its layer, e.g. `q_proj` or `SelfAttention.q`. */
  kind: string;
  expert: number | null;
}

// Prefixes that transformers renamed when it nested language models inside multimodal ones (4.52, `_checkpoint_conversion_mapping`
// of LLaVA and its relatives, and of Qwen2-VL and Qwen2.5-VL). Either side may be the adapter's or the checkpoint's.
const RENAMINGS: readonly (readonly [string, string])[] = [
  ['language_model.model.', 'model.language_model.'],
  ['language_model.lm_head', 'lm_head'],
  ['vision_tower.', 'model.vision_tower.'],
  ['multi_modal_projector.', 'model.multi_modal_projector.'],
  ['visual.', 'model.visual.'],
  ['model.layers.', 'model.language_model.layers.'],
];

const OUTPUT_HEAD = /(?:^|\.)(?:lm_head|embed_out)$/;
const INPUT_EMBEDDING = /(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|shared)\.weight$/;

/** Finds adapter modules in one checkpoint, by name. */
export class NameResolver {
  private readonly bySuffix = new Map<string, TensorInfo[]>();

  constructor(private readonly checkpoint: Checkpoint) {
    for (const tensor of checkpoint.tensors.values()) {
      for (const suffix of suffixes(tensor.name)) {
        const known = this.bySuffix.get(suffix);
        if (known) known.push(tensor);
        else this.bySuffix.set(suffix, [tensor]);
      }
    }
  }

  /**
   * The weight that a module adapts: the exact name, then a known renaming, then one name being the other's end at a dot.
   * @returns undefined where the checkpoint has no such weight
   * @throws SafeLoraError where two weights fit equally
   */
  resolve(module: string): TensorInfo | undefined {
    const exact = this.checkpoint.tensors.get(`${module}.weight`);
    if (exact) return exact;
    const renamed = RENAMINGS.flatMap(([one, other]) => [rename(module, one, other), rename(module, other, one)])
      .map((name) => (name === undefined ? undefined : this.checkpoint.tensors.get(`${name}.weight`)))
      .filter((tensor) => tensor !== undefined);
    if (renamed.length > 0) return this.only(module, renamed);
    const related = [
      ...(this.bySuffix.get(`${module}.weight`) ?? []),
      ...suffixes(module)
        .filter((suffix) => keepsPosition(module, suffix))
        .map((suffix) => this.checkpoint.tensors.get(`${suffix}.weight`))
        .filter((tensor) => tensor !== undefined),
    ];
    if (related.length > 0) return this.only(module, related);
    return OUTPUT_HEAD.test(module) ? this.tiedEmbedding(module) : undefined;
  }

  /** Where input and output share their weight, checkpoints hold it once, as the embedding (`tie_word_embeddings`). */
  private tiedEmbedding(module: string): TensorInfo | undefined {
    if (this.checkpoint.config.tie_word_embeddings === false) return undefined;
    const embeddings = [...this.checkpoint.tensors.values()].filter((tensor) => INPUT_EMBEDDING.test(tensor.name));
    return embeddings.length > 0 ? this.only(module, embeddings) : undefined;
  }

  private only(module: string, candidates: readonly TensorInfo[]): TensorInfo {
    const names = [...new Set(candidates.map((tensor) => tensor.name))];
    if (names.length > 1) {
      throw new SafeLoraError(
        'model-ambiguous',
        `${this.checkpoint.path}: the adapter's module ${module} could be ${names.join(' or ')}; give the checkpoint that the adapter was trained on.`,
      );
    }
    return candidates[0]!;
  }
}

/** True where a module is the output head or the tied embedding, whose rows are words. */
export function isVocabularyWeight(tensor: TensorInfo): boolean {
  return INPUT_EMBEDDING.test(tensor.name) || OUTPUT_HEAD.test(tensor.name.replace(/\.weight$/, ''));
}

function rename(name: string, from: string, to: string): string | undefined {
  return name.startsWith(from) ? to + name.slice(from.length) : undefined;
}

/** The proper endings of a name at its dots, longest first. */
function suffixes(name: string): string[] {
  const parts = name.split('.');
  return parts.slice(1).map((_, index) => parts.slice(index + 1).join('.'));
}

/** A shortened name must still say which layer it means. */
function keepsPosition(name: string, suffix: string): boolean {
  const numbers = (text: string): number => text.split('.').filter((part) => /^\d+$/.test(part)).length;
  return numbers(name) === numbers(suffix);
}

/**
 * The modules that PEFT adapts for an entry of `target_modules`: in a list an entry is a name or its end, alone it is a pattern of
 * whole names (`check_target_module_exists` in peft/tuners/tuners_utils.py). None where the pattern cannot be used.
 */
export function targeted(modules: readonly string[], entry: string, inList: boolean): Set<string> {
  if (inList) return new Set(modules.filter((name) => name === entry || name.endsWith(`.${entry}`)));
  if (entry === 'all-linear') return new Set(modules);
  const fitting = isPattern(entry) ? firstFitting([`^(?:${entry})$`], modules) : null;
  return new Set(fitting ? modules.filter((_, i) => fitting[i] === 0) : []);
}

const STACKS = ['encoder', 'decoder', 'vision_tower', 'vision_model', 'visual', 'audio_tower', 'language_model'];

/** Reads the positions of all of an adapter's modules, since how long a kind's name must be depends on its neighbours. */
export function positions(names: readonly string[]): Map<string, Position> {
  const drafts = names.map((name) => {
    const parts = name.split('.');
    const layerAt = parts.findIndex((part) => /^\d+$/.test(part));
    const expertAt = parts.findIndex(
      (part, index) => index > layerAt && /^\d+$/.test(part) && /experts?$/.test(parts[index - 1]!),
    );
    const head = layerAt < 0 ? parts : parts.slice(0, layerAt);
    return {
      name,
      stack: head.find((part) => STACKS.includes(part)) ?? null,
      layer: layerAt < 0 ? null : Number(parts[layerAt]),
      expert: expertAt < 0 ? null : Number(parts[expertAt]),
      tail: parts.filter((_, index) => index > layerAt && index !== expertAt),
    };
  });
  const lengths = new Map(drafts.map(({ name }) => [name, 1]));
  const kindOf = (draft: (typeof drafts)[number]): string => draft.tail.slice(-lengths.get(draft.name)!).join('.');
  // A kind that means two weights of any layer is lengthened in every layer, so that a kind is one column throughout.
  for (let lengthened = true; lengthened;) {
    lengthened = false;
    const seen = new Map<string, string>();
    const unclear = new Set<string>();
    for (const draft of drafts) {
      const cell = JSON.stringify([draft.stack, draft.layer, kindOf(draft)]);
      const whole = draft.tail.join('.');
      if ((seen.get(cell) ?? whole) !== whole) unclear.add(kindOf(draft));
      seen.set(cell, whole);
    }
    for (const draft of drafts.filter((candidate) => unclear.has(kindOf(candidate)))) {
      const length = lengths.get(draft.name)!;
      if (length === draft.tail.length) continue;
      lengths.set(draft.name, length + 1);
      lengthened = true;
    }
  }
  return new Map(
    drafts.map((draft) => [
      draft.name,
      { stack: draft.stack, layer: draft.layer, kind: kindOf(draft), expert: draft.expert },
    ]),
  );
}

const KIND_ORDER = [
  /^(?:q|q_proj|query)$/,
  /^(?:k|k_proj|key)$/,
  /^(?:v|v_proj|value)$/,
  /^(?:o|o_proj|out_proj)$/,
  /^gate_proj$/,
  /^up_proj$/,
  /^down_proj$/,
];

function kindRank(kind: string): number {
  const last = kind.slice(kind.lastIndexOf('.') + 1);
  const index = KIND_ORDER.findIndex((pattern) => pattern.test(last));
  return index < 0 ? KIND_ORDER.length : index;
}

function stackRank(stack: string | null): number {
  return stack === null ? -1 : STACKS.indexOf(stack);
}

/** The order of every list: stack, layer, kind, expert, name. Modules outside all layers come last in their stack. */
export function comparePositions(a: Position & { name: string }, b: Position & { name: string }): number {
  return (
    stackRank(a.stack) - stackRank(b.stack) ||
    (a.layer ?? Infinity) - (b.layer ?? Infinity) ||
    kindRank(a.kind) - kindRank(b.kind) ||
    compareText(a.kind, b.kind) ||
    (a.expert ?? -1) - (b.expert ?? -1) ||
    compareText(a.name, b.name)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
