// Names of weights: wrappers that are not part of the model, and libraries' renamings.
import { appendTo } from './objects';

/** Segments that a wrapper adds for training: torch.compile, FSDP (also of torch 1), activation checkpointing, Lightning. */
const TRAINING_WRAPPERS = new Set([
  '_orig_mod', '_fsdp_wrapped_module', '_fpw_module', '_checkpoint_wrapped_module', '_forward_module',
]); // prettier-ignore
/** DataParallel's and DeepSpeed's name for the wrapped model; a model may have a part of that name itself. */
const DATA_PARALLEL = 'module';
/** PEFT's name for the layer that it wraps (`base_layer`), and for the module of which it trains a copy (AuxiliaryTrainingWrapper). */
const ADAPTED_LAYERS = new Set(['base_layer', 'original_module']);

/** True for a segment of a name that is a number: a layer's, or an expert's. */
export function isIndex(segment: string): boolean {
  return /^\d+$/.test(segment);
}

/** The suffixes after each dot, longest first. */
export function endsAtDots(name: string): string[] {
  const ends: string[] = [];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) ends.push(name.slice(dot + 1));
  return ends;
}

/** A name as in the bare model, without anything that wrapped it when it was saved. */
export function withoutWrappers(name: string): string {
  return without(name, (part) => TRAINING_WRAPPERS.has(part) || part === DATA_PARALLEL || ADAPTED_LAYERS.has(part));
}

/** A name without parts that cannot belong to the model that the adapter is loaded into. */
export function withoutTrainingWrappers(name: string): string {
  return without(name, (part, i) => TRAINING_WRAPPERS.has(part) || (part === DATA_PARALLEL && i === 0));
}

export function withoutAdaptedLayer(name: string): string {
  return without(name, (part) => ADAPTED_LAYERS.has(part));
}

export function isDataParallel(name: string): boolean {
  return name.split('.').includes(DATA_PARALLEL);
}

function without(name: string, isWrapper: (part: string, at: number) => boolean): string {
  const parts = name.split('.');
  const isPeftModel = (at: number): boolean => parts[at] === 'base_model' && parts[at + 1] === 'model';
  const kept = parts.filter((part, i) => !isWrapper(part, i) && !isPeftModel(i) && !isPeftModel(i - 1));
  return kept.length === parts.length ? name : kept.join('.');
}

// Prefixes of names that differ between a checkpoint and the model in memory. Either side may be the adapter's. Each row's source is
// conversion_mapping.py of transformers 5, unless it names another.
const RENAMINGS: readonly (readonly [one: string, other: string])[] = [
  // llava and its relatives (gemma3, mistral3, internvl, paligemma, aya_vision, mllama …), kimi_k25, minimax_m3_vl
  ['language_model.model.', 'model.language_model.'],
  // its legacy renamings: checkpoints saved with transformers 5.10 to 5.23
  ['model.language_model.model.', 'model.language_model.'],
  // LlavaModel and its relatives without a head
  ['language_model.model.', 'language_model.'],
  // transformers 4.52, `_checkpoint_conversion_mapping` of LLaVA
  ['vision_tower.', 'model.vision_tower.'],
  ['multi_modal_projector.', 'model.multi_modal_projector.'],
  // Qwen2-VL, Qwen2.5-VL (Qwen2VLForConditionalGeneration), paddleocr_vl
  ['visual.', 'model.visual.'],
  ['model.layers.', 'model.language_model.layers.'],
  // Qwen2VLModel, as ColQwen2 and other retrievers use it
  ['model.layers.', 'language_model.layers.'],
  // emu3
  ['text_model.model.', 'model.text_model.'],
  // nemotron_h, whose published checkpoints keep Mamba's name
  ['backbone.', 'model.'],
];

// Segments within names, from conversion_mapping.py of transformers 5.
const INNER_RENAMINGS: readonly (readonly [one: string, other: string])[] = [
  // CLIPVisionModel, SiglipVisionModel
  ['vision_tower.vision_model.', 'vision_tower.'],
  // phimoe
  ['.block_sparse_moe.gate.', '.mlp.router.'],
  // mixtral, minimax_m3_vl
  ['.block_sparse_moe.', '.mlp.'],
];

/** mixtral, by the parts of gate_up_proj and down_proj; of single experts only. */
const EXPERT_RENAMINGS: typeof INNER_RENAMINGS = [
  ['.w1.', '.gate_proj.'],
  ['.w2.', '.down_proj.'],
  ['.w3.', '.up_proj.'],
];

function bothWays(table: typeof RENAMINGS): typeof RENAMINGS {
  return table.flatMap(([one, other]) => [[one, other] as const, [other, one] as const]);
}

const BEGINNINGS = bothWays(RENAMINGS);
const SEGMENTS = bothWays(INNER_RENAMINGS);
const EXPERT_SEGMENTS = bothWays([...INNER_RENAMINGS, ...EXPERT_RENAMINGS]);

const lastSegment = (of: string): string => of.split('.').findLast((part) => part !== '') ?? '';
/** The other last segment, by the one that a row changes. */
const LAST_SEGMENTS = new Map<string, string[]>();
for (const [from, to] of EXPERT_SEGMENTS) appendTo(LAST_SEGMENTS, lastSegment(from), lastSegment(to));

/** Possible last segments of the module that owns a weight, ignoring its prefix. */
export function ownerSegments(name: string): string[] {
  const segment = name.split('.').at(-2) ?? '';
  return [segment, ...(LAST_SEGMENTS.get(segment) ?? [])];
}

/** Other names of the weight, by one renaming of its prefix and one of each segment within. */
export function otherNames(name: string): string[] {
  let names = [name];
  for (const [from, to] of BEGINNINGS) if (name.startsWith(from)) names.push(to + name.slice(from.length));
  for (const [from, to] of /\.experts\.\d+\./.test(name) ? EXPERT_SEGMENTS : SEGMENTS)
    if (names.some((one) => one.includes(from)))
      names = names.flatMap((one) => (one.includes(from) ? [one, one.replace(from, to)] : [one]));
  return [...new Set(names)].filter((other) => other !== name);
}

const OUTPUT_HEADS = new Set([
  // transformers, with GPT-NeoX, Whisper, BERT and its relatives
  'lm_head', 'embed_out', 'proj_out', 'decoder',
  // the modeling files of InternLM2, ChatGLM and OLMo, and the adapters of Tinker
  'output', 'output_layer', 'ff_out', 'unembed_tokens',
]); // prettier-ignore
const INPUT_EMBEDDINGS = new Set([
  // `set_input_embeddings` of transformers' models: llama, gpt2, gpt_neox, bloom, T5; of InternLM2 in its own modeling file
  'embed_tokens', 'wte', 'embed_in', 'word_embeddings', 'tok_embeddings', 'embeddings', 'shared',
]); // prettier-ignore

/** True for the name of a module that is an output head: it lies outside all layers, and its rows are tokens. */
export function isOutputHead(module: string): boolean {
  return isOutside(module, OUTPUT_HEADS);
}

/** True for the name of a tensor whose rows are tokens: an output head's weight, or an input embedding's. */
export function isVocabularyWeight(tensor: string): boolean {
  const module = tensor.replace(/\.weight$/, '');
  return isOutputHead(module) || isInputEmbedding(module);
}

export function isInputEmbedding(module: string): boolean {
  return isOutside(module, INPUT_EMBEDDINGS);
}

/**
 * True for the name of a layer that predicts further tokens. Transformers loads none (`_keys_to_ignore_on_load_unexpected = [r"^mtp.*"]`
 * in modeling_qwen3_next.py), so an adapter trained with it has none either.
 */
export function isPredictionLayer(name: string): boolean {
  return name.split('.').includes('mtp');
}

function isOutside(module: string, names: ReadonlySet<string>): boolean {
  const parts = withoutWrappers(module).split('.');
  return names.has(parts.at(-1)!) && !parts.some(isIndex);
}
