// Identifies unexpected files and folders by their first bytes, tensor names or file names.

/** A format other than a PEFT adapter or a safetensors model. */
export interface Format {
  /** Follows "is" (a file) or "holds" (a folder) in the message. */
  what: string;
  /** What to do about it. */
  next: string;
}

const TO_PEFT = 'save or convert it in PEFT format, as adapter_config.json and adapter_model.safetensors';
const FROM_PICKLE = 'load it with PyTorch and save it with safetensors.torch.save_file';
const BEFORE_GGUF = 'give the adapter or model that it was converted from';
const TRANSFORMERS = 'give the version for transformers (model.safetensors)';
const CONVERT = 'convert it with transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)';

const THE_FILE_ITSELF = 'download the file itself, with a token where its repository is gated';

type Row = readonly [pattern: RegExp, what: string, next: string];
type Table = readonly Row[];

const WEB_PAGE = /^\s*<(?:!doctype|html|head|\?xml|error)/i;

/* eslint-disable no-control-regex -- signatures are bytes */
const SIGNATURES: Table = [
  [/^GGUF/, 'a GGUF file, the format of llama.cpp, which is not supported', BEFORE_GGUF],
  [/^PK\x03\x04/, 'a zip archive, as PyTorch writes its pickles, not safetensors', FROM_PICKLE],
  [/^\x80[\x02-\x05]/, 'a pickle of PyTorch, not safetensors', FROM_PICKLE],
  [/^\x1f\x8b/, 'a gzip archive, not safetensors', 'unpack it'],
  [/^\x89HDF/, 'an HDF5 file, not safetensors', CONVERT],
  [/^\x93NUMPY/, 'an array of NumPy, not safetensors', 'save it with safetensors.numpy.save_file'],
  [WEB_PAGE, 'a web page, not safetensors', THE_FILE_ITSELF],
  [/^[\t\n\r\x20-\x7e\x80-\xff]+$/, 'a text file, not safetensors', 'download or save it again'],
];
/* eslint-enable no-control-regex */

/** Tensor names of an update in formats other than PEFT's. */
const TENSOR_NAMES: Table = [
  [/\.lora_(?:down|up)\.weight$|^lora_(?:unet|te\d?)_/, 'the names of kohya (lora_down, lora_up, alpha)', TO_PEFT],
  [/[._]lora(?:_linear_layer)?\.(?:down|up)\.weight$/, 'the names of diffusers (lora.down, lora.up)', TO_PEFT],
  [/^blk\.\d+\.[\w.]+\.lora_[ab]$/, 'the names of llama.cpp (blk.N)', TO_PEFT],
  [/\.lora_[ab]\.weight$/, 'the names of torchtune (lora_a.weight, lora_b.weight)', TO_PEFT],
  [/\.lora_[ab]$/, 'the names of MLX (lora_a, lora_b)', TO_PEFT],
  [/\.lora_[AB]$/, 'the names of loralib or LitGPT (lora_A and lora_B without weight)', TO_PEFT],
  [/^(?=.*adapter).*\.linear_(?:in|out)\.weight$/, 'the names of NeMo (linear_in, linear_out)', TO_PEFT],
  [
    /\.(?:hada_w[12]|lokr_w[12]|lora_E$|vera_lambda|oft_[rR]|boft_R|ia3_l)|^prompt_embeddings$/,
    'the tensors of another method than LoRA',
    'give an adapter with peft_type LORA',
  ],
  [
    /(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|input_layernorm|ln_f)\.weight$/,
    "a whole model's weights, not an adapter",
    'give the folder of the adapter',
  ],
];

/** For folders of either; `{}` stands for the file's name. */
const TRAINING: Row = [
  /^(?:global_step\d+|zero_to_fp32\.py|pytorch_model_fsdp[\w.]*|.*\.distcp|latest_checkpointed_iteration\.txt)$/,
  '{}, a checkpoint of a training in parts',
  'save the whole with save_pretrained, of DeepSpeed after zero_to_fp32.py',
];
const UNFINISHED: Row = [
  /\.(?:incomplete|aria2|part|partial|crdownload|download|tmp)$/,
  '{}, a download that is not done',
  'download it again',
];
const ARCHIVE: Row = [/\.(?:zip|tar|tgz|gz|7z)$/i, 'the archive {}', 'unpack it'];

/** Files of folders without adapter_model.safetensors. */
const ADAPTER_FILES: Table = [
  [/^adapters\.(?:safetensors|npz)$/, '{}, an adapter of MLX', TO_PEFT],
  [/\.gguf$/i, '{}, a GGUF file, the format of llama.cpp, which is not supported', BEFORE_GGUF],
  [/^pytorch_lora_weights\.\w+$/, '{}, an adapter of diffusers', TO_PEFT],
  [/^adapter_\d+\.(?:pt|safetensors)$/, '{}, an adapter of torchtune', TO_PEFT],
  [
    /^adapter_model(?:-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)$/,
    '{}, an adapter in shards, which PEFT does not load',
    'join them in one adapter_model.safetensors, with safetensors.torch.load_file and save_file',
  ],
  TRAINING,
  UNFINISHED,
  [
    /^(?:model|pytorch_model|consolidated)[\w.-]*\.(?:safetensors|bin|pth|index\.json)$/,
    '{}, a whole model and no adapter',
    'give the folder of the adapter',
  ],
  [
    /\.safetensors$/i,
    '{}, but PEFT loads adapter_model.safetensors',
    'rename it if PEFT saved it, else save the adapter with PEFT',
  ],
  ARCHIVE,
  [
    /\.(?:bin|pt|pth|ckpt|lora|nemo)$/,
    '{}, which is not in safetensors format',
    'save the adapter with PEFT: model.save_pretrained(NEW_DIR, safe_serialization=True)',
  ],
  [/^adapter_config\.json$/, '{} but no adapter_model.safetensors', 'download or copy it into the same folder'],
];

/** Files of folders with neither model.safetensors nor its index. */
const MODEL_FILES: Table = [
  [/^model-\d+-of-\d+\.safetensors$/, '{} but no index', 'download model.safetensors.index.json into the same folder'],
  [
    /^model\.(?:\w+(?:-\d+-of-\d+)?\.safetensors|safetensors\.index\.\w+\.json)$/,
    '{}, a variant',
    'give a folder with model.safetensors',
  ],
  [/^consolidated[\w.-]*\.(?:safetensors|pth)$/, "{}, in the format of Mistral's or Meta's own code", TRANSFORMERS],
  [/\.gguf$/i, '{}, a GGUF file, the format of llama.cpp, which is not supported', BEFORE_GGUF],
  [/^weights(?:\.\d+)?\.(?:npz|safetensors)$/, '{}, the weights of MLX', TRANSFORMERS],
  [
    /^(?:tf_model\.h5|flax_model\.msgpack|model\.onnx|onnx|openvino_model\.xml|rust_model\.ot)$/,
    '{}, the weights of another framework',
    CONVERT,
  ],
  [/^pytorch_model-\d+-of-\d+\.bin$/, "{}, in PyTorch's pickle format, which is not read", CONVERT],
  TRAINING,
  UNFINISHED,
  [
    /^(?:model_index\.json|diffusion_pytorch_model[\w.-]*)$/,
    '{}, a model of diffusers',
    'give a language model in safetensors format',
  ],
  [/^snapshots$/, 'a repository of the hub cache', 'give one of the folders in its snapshots folder'],
  [/^checkpoint-\d+$/, 'no model, but {}', 'give that folder, or another checkpoint'],
  [/\.safetensors$/i, '{}, but transformers loads model.safetensors', TRANSFORMERS],
  ARCHIVE,
  [/\.(?:pt|pth|ckpt|nemo)$/, '{}, which is not in safetensors format', TRANSFORMERS],
  [/^config\.json$/, '{} but no weights', 'download model.safetensors, or its index and shards, into the same folder'],
];

/** Identifies a file by its first bytes, or null. */
export function formatOf(start: Uint8Array): Format | null {
  return firstIn(SIGNATURES, [textOf(start)]);
}

/** Identifies text that should be JSON, or null. */
export function formatOfJson(start: Uint8Array): Format | null {
  const text = textOf(start);
  if (isLfsPointer(start)) return { what: 'a Git LFS pointer', next: 'run "git lfs pull" in its repository' };
  return WEB_PAGE.test(text) ? { what: 'a web page', next: THE_FILE_ITSELF } : null;
}

/** A Git LFS pointer file. */
export function isLfsPointer(start: Uint8Array): boolean {
  return textOf(start).startsWith('version https://git-lfs');
}

function textOf(start: Uint8Array): string {
  return Buffer.from(start.subarray(0, 512))
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '');
}

/** The format of a file's tensor names, or null. */
export function formatOfTensors(names: Iterable<string>): Format | null {
  return firstIn(TENSOR_NAMES, [...names]);
}

/** Identifies a folder without adapter_model.safetensors by its file names, or null. */
export function formatOfAdapterFiles(names: readonly string[]): Format | null {
  return firstIn(ADAPTER_FILES, names);
}

/** Identifies a folder with neither model.safetensors nor its index by its file names, or null. */
export function formatOfModelFiles(names: readonly string[]): Format | null {
  return firstIn(MODEL_FILES, names);
}

function firstIn(table: Table, texts: readonly string[]): Format | null {
  for (const [pattern, what, next] of table) {
    const text = texts.find((candidate) => pattern.test(candidate));
    if (text !== undefined) return { what: what.replace('{}', text), next };
  }
  return null;
}
