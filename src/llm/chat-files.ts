// Reads a model's files about conversations: its tokenizer, its chat template and its end tokens.
import { type Checkpoint } from '../core/checkpoint';
import { SafeLoraError } from '../core/errors';
import { jsonCaps, jsonObjectOf } from '../core/files';
import { isObject } from '../core/objects';

export interface ChatOptions {
  /** A Jinja template that replaces the model's own, and its file. */
  template?: { text: string; path: string };
  /** Prepended to every conversation without a system message. */
  system?: string;
}

/** The parts of a model read here. */
export type ChatFiles = Pick<Checkpoint, 'path' | 'config' | 'read' | 'sourceOf'>;

export type Settings = Readonly<Record<string, unknown>>;

/** Everything that affects a conversation's tokens, as plain data. */
export interface ChatSource {
  tokenizer: { path: string; bytes: Uint8Array };
  /** tokenizer_config.json */
  settings: Settings;
  /** special_tokens_map.json, overlaid with tokenizer_config.json. */
  specialTokens: Settings;
  /** Configurations that name end tokens. */
  configs: readonly Settings[];
  template: { text: string; path: string };
  system: string | undefined;
}

/** Gemma's tokenizer is 35 MB. */
const MOST_TOKENIZER = jsonCaps.index;
/** Gemma 3 lists its 6,000 added tokens in tokenizer_config.json, 1.2 MB in total. */
const MOST_SETTINGS = 10_000_000;
const MOST_TEMPLATE = 1_000_000;

const TOKENIZER = 'tokenizer.json';
const SETTINGS = 'tokenizer_config.json';

/** @throws SafeLoraError where the model has no tokenizer or no template */
export async function readChat(model: ChatFiles, { template, system }: ChatOptions = {}): Promise<ChatSource> {
  const bytes = await model.read(TOKENIZER, MOST_TOKENIZER);
  if (!bytes) throw noTokenizer(model.path);
  const settings = await readSettings(model, SETTINGS);
  const specialTokens = { ...(await readSettings(model, 'special_tokens_map.json')), ...settings };
  const source = template ?? (await ownTemplate(model, settings));
  if (!source) throw noTemplate(model.path);
  return {
    tokenizer: { path: model.sourceOf(TOKENIZER), bytes },
    settings,
    specialTokens,
    configs: [await readSettings(model, 'generation_config.json'), model.config],
    template: source,
    system,
  };
}

async function readSettings(model: ChatFiles, file: string): Promise<Settings> {
  const bytes = await model.read(file, MOST_SETTINGS);
  if (!bytes) return {};
  return jsonObjectOf(
    bytes,
    (reason) => new SafeLoraError('model-config', `${model.sourceOf(file)}: ${reason}; download the model again.`),
  );
}

/** In Transformers' search order. */
async function ownTemplate(model: ChatFiles, settings: Settings): Promise<{ text: string; path: string } | null> {
  const file = 'chat_template.jinja';
  const bytes = await model.read(file, MOST_TEMPLATE);
  if (bytes) return { text: new TextDecoder().decode(bytes), path: model.sourceOf(file) };
  const processor = 'chat_template.json';
  const { chat_template: ofProcessor } = await readSettings(model, processor);
  if (typeof ofProcessor === 'string') return { text: ofProcessor, path: model.sourceOf(processor) };
  const text = templateIn(settings.chat_template);
  return text === null ? null : { text, path: model.sourceOf(SETTINGS) };
}

/** One template, or several by name, with `default` for conversations. */
function templateIn(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named: unknown = value.find((entry) => isObject(entry) && entry.name === 'default');
  return isObject(named) && typeof named.template === 'string' ? named.template : null;
}

function noTokenizer(path: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: contains no ${TOKENIZER}, which is needed to run the model; write it with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR).`,
  );
}

function noTemplate(path: string): SafeLoraError {
  return new SafeLoraError(
    'chat-template',
    `${path}: has no chat template, so how a prompt is put to it is unknown; give the template that the adapter was trained with: --template FILE (Jinja, as in chat_template.jinja).`,
  );
}
