// From a conversation to a model's tokens and back: its tokenizer, its chat template and what ends its answers.
import { createHash } from 'node:crypto';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { type Checkpoint } from '../core/checkpoint';
import { type Message } from '../core/conversation';
import { quoted, SafeLoraError } from '../core/errors';
import { jsonCaps, jsonObjectOf } from '../core/files';
import { isObject } from '../core/objects';

export interface ChatOptions {
  /** A Jinja template in place of the model's own, and the file that it comes from. */
  template?: { text: string; path: string };
  /** Goes before every conversation that has no system message of its own. */
  system?: string;
}

/** What of a model is read for it. */
export type ChatFiles = Pick<Checkpoint, 'path' | 'config' | 'read' | 'sourceOf'>;

type Settings = Readonly<Record<string, unknown>>;

/** Gemma's tokenizer has 35 MB. */
const MOST_TOKENIZER = jsonCaps.index;
/** Gemma 3 lists its 6,000 added tokens in tokenizer_config.json, which makes 1.2 MB. */
const MOST_SETTINGS = 10_000_000;
const MOST_TEMPLATE = 1_000_000;

const TOKENIZER = 'tokenizer.json';
const SETTINGS = 'tokenizer_config.json';

/**
 * The day that Llama's templates take for today where nobody says which it is. The real one would make the same prompt another one
 * tomorrow.
 */
const TODAY = `{%- macro strftime_now(format) -%}{{ '2024-07-26' if format == '%Y-%m-%d' else '26 Jul 2024' }}{%- endmacro -%}`;

export class ChatFormat {
  /** Any of them ends an answer. */
  readonly stopTokens: readonly number[];
  /** SHA-256 of the tokenizer's files, the template, the system message and the stop tokens: what a conversation's tokens depend on. */
  readonly sha256: string;
  private readonly template: Template;

  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly source: { text: string; path: string },
    private readonly variables: Settings,
    private readonly system: string | undefined,
    stopTokens: Iterable<number>,
    hashed: readonly (Uint8Array | string)[],
  ) {
    this.stopTokens = [...stopTokens];
    const hash = createHash('sha256');
    for (const part of [...hashed, source.text, system ?? '']) hash.update(part).update('\0');
    this.sha256 = hash.digest('hex');
    try {
      this.template = new Template((/\bstrftime_now\b/.test(source.text) ? TODAY : '') + source.text);
    } catch (error) {
      throw templateFailed(source.path, error);
    }
  }

  /** @throws SafeLoraError where the model has no tokenizer or no template, or one that cannot be used */
  static async of(model: ChatFiles, { template, system }: ChatOptions = {}): Promise<ChatFormat> {
    const tokenizerBytes = await model.read(TOKENIZER, MOST_TOKENIZER);
    if (!tokenizerBytes) throw noTokenizer(model.path);
    const settings = await readSettings(model, SETTINGS);
    const tokens = { ...(await readSettings(model, 'special_tokens_map.json')), ...settings };
    const tokenizer = openTokenizer(model.sourceOf(TOKENIZER), tokenizerBytes, settings);
    const source = template ?? (await ownTemplate(model, settings));
    if (!source) throw noTemplate(model.path);
    const stop = stopTokens(
      tokenizer,
      [await readSettings(model, 'generation_config.json'), model.config],
      textOf(tokens.eos_token),
    );
    const hashed = [tokenizerBytes, JSON.stringify(tokens), JSON.stringify([...stop])];
    return new ChatFormat(tokenizer, source, specialTokens(tokens), system, stop, hashed);
  }

  /** Where the template comes from. */
  get templatePath(): string {
    return this.source.path;
  }

  /**
   * A conversation's tokens, up to where the model's answer begins.
   * @throws SafeLoraError where the template refuses it
   */
  encode(messages: readonly Message[]): number[] {
    const { system } = this;
    const whole =
      system === undefined || messages[0]?.role === 'system'
        ? messages
        : [{ role: 'system', content: system }, ...messages];
    let text: string;
    try {
      text = this.template.render({
        ...this.variables,
        messages: whole,
        add_generation_prompt: true,
        enable_thinking: false,
      });
    } catch (error) {
      throw templateFailed(this.source.path, error, system !== undefined);
    }
    return this.tokens(text);
  }

  /** Of a text as it is: nothing is added. */
  tokens(text: string): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  decode(tokens: readonly number[]): string {
    // The library refuses an empty answer.
    return tokens.length === 0 ? '' : this.tokenizer.decode([...tokens], { skip_special_tokens: true });
  }
}

async function readSettings(model: ChatFiles, file: string): Promise<Settings> {
  const bytes = await model.read(file, MOST_SETTINGS);
  if (!bytes) return {};
  return jsonObjectOf(
    bytes,
    (reason) => new SafeLoraError('model-config', `${model.sourceOf(file)}: ${reason}; download the model again.`),
  );
}

function openTokenizer(path: string, bytes: Uint8Array, settings: Settings): Tokenizer {
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError('model-config', `${path}: ${reason}; download the model again.`);
  const content = jsonObjectOf(bytes, refuse);
  try {
    // Older configurations leave it out, and the usual value then takes spaces from the text that the tokens are.
    return new Tokenizer(content, { clean_up_tokenization_spaces: false, ...settings });
  } catch (error) {
    throw unknownTokenizer(path, (error as Error).message);
  }
}

/** In the order in which Transformers looks for it. */
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

/** One template, or several by name, of which the one for conversations is called default. */
function templateIn(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named: unknown = value.find((entry) => isObject(entry) && entry.name === 'default');
  return isObject(named) && typeof named.template === 'string' ? named.template : null;
}

function textOf(token: unknown): string | null {
  if (typeof token === 'string') return token;
  return isObject(token) && typeof token.content === 'string' ? token.content : null;
}

/** `bos_token` and its like, as templates name them. */
function specialTokens(settings: Settings): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings)) {
    const text = name.endsWith('_token') ? textOf(value) : null;
    if (text !== null) found[name] = text;
  }
  return found;
}

function stopTokens(tokenizer: Tokenizer, configs: readonly Settings[], endToken: string | null): Set<number> {
  const ids = configs.flatMap(({ eos_token_id: id }) => id).filter((id) => typeof id === 'number');
  const own = endToken === null ? undefined : tokenizer.token_to_id(endToken);
  return new Set(own === undefined ? ids : [...ids, own]);
}

function noTokenizer(path: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: holds no ${TOKENIZER}, which is needed to run the model; write it with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR).`,
  );
}

function unknownTokenizer(path: string, reason: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: the tokenizer cannot be used here: ${reason}; evaluate the model on a server that runs it, such as vLLM.`,
  );
}

function noTemplate(path: string): SafeLoraError {
  return new SafeLoraError(
    'chat-template',
    `${path}: has no chat template, so how a prompt is put to it is unknown; give the template that the adapter was trained with: --template FILE (Jinja, as in chat_template.jinja).`,
  );
}

function templateFailed(path: string, error: unknown, hasSystem = false): SafeLoraError {
  const next = hasSystem
    ? 'leave --system out if the template takes none, or give another one with --template FILE'
    : 'give another one with --template FILE';
  return new SafeLoraError(
    'chat-template',
    `${path}: the chat template fails with ${quoted((error as Error).message)}; ${next}.`,
  );
}
