// Converts a conversation to a model's tokens and back.
import { createHash } from 'node:crypto';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { type Message } from '../core/conversation';
import { quoted, SafeLoraError } from '../core/errors';
import { jsonObjectOf } from '../core/files';
import { isObject } from '../core/objects';
import { type ChatSource, type Settings } from './chat-files';
import { templateBroken } from './failures';

/**
 * The default date in Llama's templates. The real date would change the prompt every day.
 */
const TODAY = `{%- macro strftime_now(format) -%}{{ '2024-07-26' if format == '%Y-%m-%d' else '26 Jul 2024' }}{%- endmacro %}{{ '' }}`;

export class ChatFormat {
  /** Any of them ends an answer. */
  readonly stopTokens: readonly number[];
  /** SHA-256 of everything that affects a conversation's tokens: the tokenizer's files, the template, the system message and the stop tokens. */
  readonly sha256: string;
  private readonly tokenizer: Tokenizer;
  private readonly template: Template;
  private readonly variables: Settings;

  /**
   * @param onTemplate is called once the tokenizer is open, before the template is read
   * @throws SafeLoraError if the tokenizer or the template cannot be used
   */
  constructor(
    private readonly source: ChatSource,
    onTemplate: () => void = () => undefined,
  ) {
    const { tokenizer, settings, specialTokens: special, configs, template, system } = source;
    this.tokenizer = openTokenizer(tokenizer.path, tokenizer.bytes, settings);
    this.variables = tokenTexts(special);
    this.stopTokens = [...stopTokens(this.tokenizer, configs, textOf(special.eos_token))];
    const hash = createHash('sha256');
    const hashed = [tokenizer.bytes, JSON.stringify(special), JSON.stringify(this.stopTokens), template.text];
    for (const part of [...hashed, JSON.stringify(system ?? null)]) hash.update(part).update('\0');
    this.sha256 = hash.digest('hex');
    onTemplate();
    try {
      this.template = new Template((/\bstrftime_now\b/.test(template.text) ? TODAY : '') + template.text);
    } catch (error) {
      throw templateBroken(template.path, failsWith(error));
    }
  }

  /**
   * A conversation as the model reads it, up to the start of its answer.
   * @throws SafeLoraError if the template refuses it
   */
  render(messages: readonly Message[]): string {
    const { template, system } = this.source;
    const whole =
      system === undefined || messages[0]?.role === 'system'
        ? messages
        : [{ role: 'system', content: system }, ...messages];
    try {
      return this.template.render({
        ...this.variables,
        messages: whole,
        add_generation_prompt: true,
        enable_thinking: false,
      });
    } catch (error) {
      throw templateBroken(template.path, failsWith(error), system !== undefined);
    }
  }

  /** Tokens of a text alone: nothing is added. */
  tokens(text: string): number[] {
    return this.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  decode(tokens: readonly number[]): string {
    // The library refuses an empty answer.
    return tokens.length === 0 ? '' : this.tokenizer.decode([...tokens], { skip_special_tokens: true });
  }
}

/** Values of `model.type`; older files omit it. */
const KINDS: readonly unknown[] = ['BPE', 'Unigram', 'WordPiece', 'WordLevel'];

function openTokenizer(path: string, bytes: Uint8Array, settings: Settings): Tokenizer {
  const refuse = (reason: string): SafeLoraError =>
    new SafeLoraError('model-config', `${path}: ${reason}; download the model again.`);
  const content = jsonObjectOf(bytes, refuse);
  const kind = isObject(content.model) ? content.model.type : undefined;
  // The library misreads unknown types.
  if (kind !== undefined && !KINDS.includes(kind)) throw unknownTokenizer(path, `its kind is ${JSON.stringify(kind)}`);
  try {
    // Older configurations omit it, and the library's default then removes spaces that belong to the text.
    return new Tokenizer(content, { clean_up_tokenization_spaces: false, ...settings });
  } catch (error) {
    throw unknownTokenizer(path, (error as Error).message);
  }
}

function textOf(token: unknown): string | null {
  if (typeof token === 'string') return token;
  return isObject(token) && typeof token.content === 'string' ? token.content : null;
}

/** `bos_token` and the like, by their names in templates. */
function tokenTexts(settings: Settings): Record<string, string> {
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

function unknownTokenizer(path: string, reason: string): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: the tokenizer cannot be used: ${reason}; evaluate the model on a server that runs it, such as vLLM.`,
  );
}

function failsWith(error: unknown): string {
  return `fails with ${quoted((error as Error).message)}`;
}
