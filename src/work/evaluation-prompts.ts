// The prompts of an evaluation: sets from files or the hub, checked against the demands, as the model's tokens.
import { basename, dirname, join } from 'node:path';
import { type Checkpoint } from '../core/checkpoint';
import { SafeLoraError } from '../core/errors';
import { kindOf, ReadableFile } from '../core/files';
import { type Demand, unmeasurable } from '../evaluation/choice';
import { isAnswered } from '../evaluation/figures';
import { defaultJudge, type Judge, judgeOf } from '../evaluation/judge';
import { type PromptFile, type PromptSet, readPrompts } from '../evaluation/prompts';
import { type Architecture } from '../llm/architecture';
import { type ChatOptions } from '../llm/chat-files';
import { type ChatProcess } from '../llm/chat-process';
import { type BehaviourPorts, type EncodedSet } from './behaviour';
import { type LanguageServices } from './services';

/** Tokens of the longest answer where the context has room for it. */
export const USUAL_TOKENS = 128;

/** @throws SafeLoraError if a set is unreadable, or the sets do not suffice for the demands */
export async function readSets(
  files: readonly PromptFile[],
  demands: readonly Demand[],
  aligned: Checkpoint,
  { prompts }: LanguageServices,
  signal?: AbortSignal,
): Promise<PromptSet[]> {
  const ofSample = files.length > 0 ? null : await samplePrompts(aligned);
  const given = ofSample === null ? files : [{ path: ofSample, role: null, metric: null }];
  if (given.length === 0) throw promptsMissing();
  const sets: PromptSet[] = [];
  for (const file of given) {
    const localPath = file.path.startsWith('hf://') ? await prompts.fetch(file.path, signal) : file.path;
    sets.push(...(await readPrompts(file, localPath)));
  }
  refuseUnmeasurable(demands, sets);
  return sets.map((set, i) => {
    const before = sets.slice(0, i).filter(({ name }) => name === set.name).length;
    return before === 0 ? set : { ...set, name: `${set.name} ${before + 1}` };
  });
}

/** The sample's prompts, stored beside its models; null for any other model. */
export async function samplePrompts({ config, realPath }: Checkpoint): Promise<string | null> {
  const path = join(dirname(realPath), 'prompts.json');
  return config._name_or_path === 'toy-llama-aligned' && (await kindOf(path)) === 'file' ? path : null;
}

function promptsMissing(): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    'No prompts are given, and this tool ships no harmful ones. Download a set and name it with --prompts: AdvBench (MIT, llm-attacks/llm-attacks, harmful_behaviors.csv), JailbreakBench (MIT, JailbreakBench/JBB-Behaviors), StrongREJECT (MIT, alexandrasouly/strongreject) or HarmBench (MIT, centerforaisafety/HarmBench) of harmful prompts; XSTest (CC BY 4.0, paul-rottger/xstest) of harmless and harmful ones; for utility your own task, with --prompts utility:METRIC:FILE.',
  );
}

function refuseUnmeasurable(demands: readonly Demand[], sets: readonly PromptSet[]): void {
  const demand = unmeasurable(demands, sets);
  if (demand) throw nothingToChooseBy(demand.measure);
  const kinds = new Set(sets.filter(({ role }) => role === 'utility').map(({ metric }) => metric));
  if (kinds.size > 1) throw severalMetrics([...kinds].join(' and '));
}

function nothingToChooseBy(measure: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `--choose asks for ${measure}, and no prompts are given that it is measured by; add a set with --prompts, or leave that demand out.`,
  );
}

function severalMetrics(names: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `The sets for utility are held against their references by ${names}, whose mean would mean nothing; evaluate them one after the other.`,
  );
}

/** @param template a file */
export async function chatOptions({
  template,
  system,
}: {
  template: string | null;
  system: string | null;
}): Promise<ChatOptions> {
  return {
    ...(template === null ? {} : { template: { path: template, text: await textOf(template) } }),
    ...(system === null ? {} : { system }),
  };
}

/** Maximum bytes of a template or a list of phrases. */
const MOST_TEXT = 1_000_000;

async function textOf(path: string): Promise<string> {
  return ReadableFile.with(path, async (file) => {
    if (file.size > MOST_TEXT) throw tooLarge(path, file.size);
    return new TextDecoder().decode(await file.read(0, file.size));
  });
}

function tooLarge(path: string, size: number): SafeLoraError {
  return new SafeLoraError(
    'file-access',
    `${path}: has ${size} bytes, more than the ${MOST_TEXT} that are read of such a file; name another one.`,
  );
}

/** @param refusals a file of phrases */
export async function ownJudge(refusals: string | null): Promise<Judge | null> {
  if (refusals === null) return null;
  const judge = judgeOf(basename(refusals), '1', (await textOf(refusals)).split(/\r?\n/));
  if (judge.phrases.length === 0) throw noPhrases(refusals);
  return judge;
}

function noPhrases(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: contains no phrase; write the phrases of refusals into it, one a line.`,
  );
}

/**
 * @param judge replaces the sets' own
 * @throws SafeLoraError if a prompt cannot be encoded; the signal's reason
 */
export async function encodeSets(
  sets: readonly PromptSet[],
  chat: ChatProcess,
  judge: Judge | null,
  { onStage, signal }: BehaviourPorts,
): Promise<EncodedSet[]> {
  const encoded: EncodedSet[] = [];
  const total = sets.reduce((sum, { prompts }) => sum + prompts.length, 0);
  let before = 0;
  for (const set of sets) {
    const conversations = await chat.encode(
      set.prompts,
      (index) => `prompt ${index + 1} of ${set.name}`,
      (done) => onStage?.('prompts', before + done, total),
      signal,
    );
    before += conversations.length;
    encoded.push({
      set,
      judge: judge ?? set.judge ?? defaultJudge,
      tokens: conversations.map(({ tokens }) => tokens),
      references: conversations.map(({ reference }) => reference),
    });
  }
  return encoded;
}

/**
 * @param asked tokens of an answer, null for the default, or the maximum of the context
 * @param path of the model
 * @returns maximum tokens of an answer, and of the longest sequence
 * @throws SafeLoraError if a prompt and its answer exceed the model's context
 */
export function lengthsOf(
  encoded: readonly EncodedSet[],
  { positions: most, vocabulary }: Architecture,
  asked: number | null,
  path: string,
): { maxTokens: number; positions: number } {
  // Of answered prompts, and of those scored together with their references.
  let [prompt, reference] = [nothing, nothing];
  for (const { set, tokens, references } of encoded) {
    tokens.forEach(({ length }, i) => {
      const name = `prompt ${i + 1} of ${set.name}`;
      if (length === 0) throw emptyPrompt(set.name, i + 1);
      if (set.role === 'utility' && references[i]!.length === 0) throw emptyReference(set.name, i + 1);
      const ids: readonly unknown[] = [...tokens[i]!, ...references[i]!];
      const foreign = ids.findIndex((id) => !(Number.isSafeInteger(id) && Number(id) >= 0 && Number(id) < vocabulary));
      if (foreign >= 0) throw foreignToken(path, set.name, i + 1, ids[foreign], vocabulary);
      if (isAnswered(set) && length > prompt.length) prompt = { length, name };
      const whole = length + references[i]!.length;
      if (set.role === 'utility' && whole > reference.length) reference = { length: whole, name };
    });
  }
  if (reference.length > most) throw tooLongReference(path, reference.name, reference.length, most);
  const maxTokens = asked ?? Math.min(USUAL_TOKENS, most - prompt.length);
  if (maxTokens < 1 || prompt.length + maxTokens > most)
    throw tooLong(path, prompt.name, prompt.length, most, maxTokens);
  return { maxTokens, positions: Math.max(prompt.length + maxTokens, reference.length) };
}

const nothing = { length: 0, name: '' };

function emptyPrompt(set: string, prompt: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `Prompt ${prompt} of ${set} has no tokens: the chat template makes no text of it, or the tokenizer no tokens of the text; take it out, or give another template with --template FILE.`,
  );
}

function emptyReference(set: string, prompt: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `Prompt ${prompt} of ${set} has an empty reference, against which no answer can be held; correct or remove it.`,
  );
}

function foreignToken(path: string, set: string, prompt: number, id: unknown, vocabulary: number): SafeLoraError {
  return new SafeLoraError(
    'model-config',
    `${path}: its tokenizer gives prompt ${prompt} of ${set} the token ${String(id)}, and the model has ${vocabulary}; give the model with the tokenizer that belongs to it.`,
  );
}

function tooLong(path: string, name: string, length: number, most: number, maxTokens: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: ${name} has ${length} tokens, which with an answer of ${Math.max(1, maxTokens)} is more than the model's ${most}; leave that prompt out, or give a lower --max-tokens.`,
  );
}

function tooLongReference(path: string, name: string, length: number, most: number): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: ${name} and its reference have ${length} tokens, more than the model's ${most}; leave that prompt out, or shorten its reference.`,
  );
}

/** The one named in reports. */
export function judgeOfSets(sets: readonly EncodedSet[]): Judge {
  return (sets.find(({ set }) => set.role === 'harmful') ?? sets[0]!).judge;
}
