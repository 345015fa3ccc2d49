// Reads sets of prompts in common formats: JSONL, JSON, CSV, promptfoo's YAML and plain text; each prompt gets a role.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, extname } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { CsvError, parse as parseCsv } from 'csv-parse';
import { parse as parseYaml } from 'yaml';
import { type Message } from '../core/conversation';
import { fileError, quoted, SafeLoraError } from '../core/errors';
import { ReadableFile } from '../core/files';
import { parseJson } from '../core/json';
import { isObject } from '../core/objects';
import { type Judge, judgeOf, type Metric, metrics } from './judge';

/** Harmful prompts should be refused, refusing harmless ones is over-refusal; utility is compared with references. */
export const roles = ['harmful', 'harmless', 'utility'] as const;
export type Role = (typeof roles)[number];

export interface Prompt {
  messages: readonly Message[];
  reference: string | null;
  /** Prompts of one group are rephrasings of each other. */
  group: string | null;
}

export interface PromptSet {
  name: string;
  role: Role;
  /** How to compare answers with the references; null without references. */
  metric: Metric | null;
  prompts: readonly Prompt[];
  /** SHA-256 of everything that defines the prompts. */
  sha256: string;
  /** The set's own way to detect refusals, if it names one. */
  judge: Judge | null;
}

/** A file of prompts, with options given beside its content. */
export interface PromptFile {
  path: string;
  role: Role | null;
  metric: Metric | null;
}

/** A record of a file, and its position. */
interface Entry {
  /** By names in lower case. */
  fields: ReadonlyMap<string, unknown>;
  location: string;
}

/** Maximum bytes of a file read whole: JSON, YAML. */
export const MOST_BYTES = 100_000_000;
/** Maximum characters of a prompt: more than the longest supported context. */
const MOST_CHARACTERS = 1_000_000;

/** Names of the fields with a prompt, in order of precedence; in lower case. */
const PROMPT_FIELDS = ['prompt', 'instruction', 'goal', 'forbidden_prompt', 'behavior', 'question', 'input'];
/** Fields of sets of harmful prompts: AdvBench, JailbreakBench, StrongREJECT, HarmBench. */
const HARMFUL_FIELDS = ['goal', 'forbidden_prompt', 'behavior'];
const REFERENCE_FIELDS = ['reference', 'answer', 'output'];

/** @param given `harmful:FILE`, `utility:exact:FILE` or FILE alone */
export function promptFileOf(given: string): PromptFile {
  const role = roles.find((known) => given.startsWith(`${known}:`)) ?? null;
  if (!role) return { path: given, role: null, metric: null };
  const rest = given.slice(role.length + 1);
  const metric = metrics.find((known) => rest.startsWith(`${known}:`)) ?? null;
  return { path: metric ? rest.slice(metric.length + 1) : rest, role, metric };
}

/**
 * @param localPath of the file on this machine, if not its own path
 * @returns the file's sets: one for each role in its records, or those that the file names
 * @throws SafeLoraError for a file without a usable prompt
 */
export async function readPrompts(file: PromptFile, localPath = file.path): Promise<PromptSet[]> {
  const { path } = file;
  switch (extname(path).toLowerCase()) {
    case '.jsonl':
    case '.ndjson':
      return grouped(file, linesOf(path, localPath));
    case '.csv':
    case '.tsv':
      return grouped(file, rowsOf(path, localPath));
    case '.json':
      return ofJson(file, await wholeText(path, localPath));
    case '.yaml':
    case '.yml':
      return grouped(file, listed(path, promptfoo(path, await wholeText(path, localPath))));
    case '.txt':
      return grouped(file, textLines(path, localPath));
    default:
      throw unknownKind(path);
  }
}

async function wholeText(path: string, localPath: string): Promise<string> {
  return ReadableFile.with(localPath, async (file) => {
    if (file.size > MOST_BYTES) throw tooLarge(path);
    return new TextDecoder().decode(await file.read(0, file.size));
  });
}

/** Refuses anything but a regular file before a stream blocks on it. */
async function streamOf(path: string): Promise<Readable> {
  await ReadableFile.with(path, () => Promise.resolve());
  return createReadStream(path, 'utf8');
}

async function* textLines(path: string, localPath: string): AsyncGenerator<Entry> {
  let number = 0;
  for await (const line of createInterface({ input: await streamOf(localPath), crlfDelay: Infinity })) {
    number++;
    const prompt = line.replace(/^\ufeff/, '').trim();
    if (prompt !== '') yield entryOf(path, prompt, `line ${number}`);
  }
}

async function* linesOf(path: string, localPath: string): AsyncGenerator<Entry> {
  let number = 0;
  for await (const line of createInterface({ input: await streamOf(localPath), crlfDelay: Infinity })) {
    number++;
    const text = line.replace(/^\ufeff/, '').trim();
    if (text === '') continue;
    const location = `line ${number}`;
    yield entryOf(path, jsonOf(path, text, location), location);
  }
}

async function* rowsOf(path: string, localPath: string): AsyncGenerator<Entry> {
  const input = await streamOf(localPath);
  const parser = parseCsv({
    columns: (header: string[]) => header.map((name) => name.trim()),
    delimiter: extname(path).toLowerCase() === '.tsv' ? '\t' : ',',
    bom: true,
    skip_empty_lines: true,
    relax_column_count: true,
  });
  input.on('error', (error) => parser.destroy(error)).pipe(parser);
  let number = 1;
  try {
    for await (const row of parser) yield entryOf(path, row, `row ${++number}`);
  } catch (error) {
    if (error instanceof CsvError) {
      throw unreadable(path, `row ${number + 1}`, `is not valid CSV (${error.message.slice(0, 120)})`);
    }
    throw fileError(path, error);
  }
}

function jsonOf(path: string, text: string, location: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw unreadable(path, location, `is not valid JSON (${(error as Error).message.slice(0, 120)})`);
  }
}

function* listed(path: string, values: readonly unknown[]): Generator<Entry> {
  for (const [i, value] of values.entries()) yield entryOf(path, value, `entry ${i + 1}`);
}

function entryOf(path: string, value: unknown, location: string): Entry {
  if (typeof value === 'string') return { fields: new Map([['prompt', value]]), location };
  if (!isObject(value)) throw unreadable(path, location, 'is neither a prompt nor an object with one');
  return { fields: new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field])), location };
}

/** The `vars` of its tests, in any of the places that promptfoo allows. */
function promptfoo(path: string, text: string): unknown[] {
  let value: unknown;
  try {
    value = parseYaml(text, { maxAliasCount: 100 });
  } catch (error) {
    throw unreadable(path, 'the file', `is not valid YAML (${(error as Error).message.split('\n')[0]!.slice(0, 120)})`);
  }
  const tests = isObject(value) && Array.isArray(value.tests) ? value.tests : value;
  if (!Array.isArray(tests)) throw noPrompts(path);
  return tests.map((test: unknown) => (isObject(test) && isObject(test.vars) ? test.vars : test));
}

async function ofJson(file: PromptFile, text: string): Promise<PromptSet[]> {
  const { path } = file;
  const value = jsonOf(path, text, 'the file');
  if (Array.isArray(value)) return grouped(file, listed(path, value));
  if (!isObject(value)) throw noPrompts(path);
  const { refusalMarker } = value;
  const judge =
    typeof refusalMarker === 'string' ? judgeOf(`refusal marker of ${basename(path)}`, '1', [refusalMarker]) : null;
  const sets: PromptSet[] = [];
  for (const [name, list] of Object.entries(value)) {
    if (!Array.isArray(list)) continue;
    const role = file.role ?? roleOfName(name);
    if (!role) throw unknownRole(path, `the list ${quoted(name)}`);
    // Answers to such a file are compared whole: right or wrong.
    const metric = file.metric ?? 'exact';
    for (const set of await grouped({ path, role, metric }, listed(path, list), file.metric !== null))
      sets.push({ ...set, name, judge });
  }
  if (sets.length === 0) throw noPrompts(path);
  return sets;
}

/** The role that a list's name implies. */
function roleOfName(name: string): Role | null {
  const plain = name.toLowerCase();
  if (['harmful', 'unsafe'].includes(plain)) return 'harmful';
  if (['harmless', 'helpful', 'benign', 'safe'].includes(plain)) return 'harmless';
  return ['utility', 'task'].includes(plain) ? 'utility' : null;
}

/** One set per role. @param isMetricNamed the user named the metric; it is not only the default */
async function grouped(
  file: PromptFile,
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  isMetricNamed = file.metric !== null,
): Promise<PromptSet[]> {
  const { path, metric } = file;
  const byRole = new Map<Role, Prompt[]>();
  for await (const entry of entries) {
    const prompt = promptOf(path, entry);
    const role = file.role ?? roleOfFields(path, entry, prompt);
    if ((role === 'utility' || isMetricNamed) && prompt.reference === null)
      throw unreadable(
        path,
        entry.location,
        'has no reference to compare an answer with (a field reference, answer or output)',
      );
    const prompts = byRole.get(role);
    if (prompts) prompts.push(prompt);
    else byRole.set(role, [prompt]);
  }
  if (byRole.size === 0) throw noPrompts(path);
  if (byRole.has('utility') && !metric) throw noMetric(path);
  if (metric === 'likelihood' && [...byRole.keys()].some((role) => role !== 'utility')) throw noLikelihood(path);
  const name = basename(path, extname(path));
  return [...byRole].map(([role, prompts]): PromptSet => {
    const sha256 = createHash('sha256');
    for (const prompt of prompts) sha256.update(JSON.stringify(prompt));
    const hasReferences = prompts.every(({ reference }) => reference !== null);
    return {
      name: byRole.size > 1 ? `${name} (${role})` : name,
      role,
      metric: hasReferences ? metric : null,
      prompts,
      sha256: sha256.digest('hex'),
      judge: null,
    };
  });
}

function promptOf(path: string, { fields, location }: Entry): Prompt {
  const text = (name: string): string | null => {
    const value = fields.get(name);
    return typeof value === 'string' && value.trim() !== '' ? value : null;
  };
  const group = fields.get('group');
  const shared = { group: typeof group === 'string' || typeof group === 'number' ? String(group) : null };
  const messages = fields.get('messages');
  if (Array.isArray(messages)) return { ...conversation(path, location, messages), ...shared };
  const field = PROMPT_FIELDS.find((name) => text(name) !== null);
  if (field === undefined)
    throw unreadable(
      path,
      location,
      `has no prompt: none of the fields ${PROMPT_FIELDS.join(', ')} and messages contains a text`,
    );
  const more = field === 'instruction' ? text('input') : null;
  const content = more === null ? text(field)! : `${text(field)!}\n\n${more}`;
  refuseUnusable(path, location, content);
  // In other files `target` is the beginning of a jailbroken answer.
  const references = field === 'input' ? [...REFERENCE_FIELDS, 'target'] : REFERENCE_FIELDS;
  const answer = (name: string): string | null =>
    typeof fields.get(name) === 'number' ? String(fields.get(name)) : text(name);
  const reference = references.map(answer).find((value) => value !== null) ?? null;
  return { messages: [{ role: 'user', content }], reference, ...shared };
}

function conversation(path: string, location: string, values: readonly unknown[]): Omit<Prompt, 'group'> {
  const messages = values.map((value): Message => {
    const { role, content } = isObject(value) ? value : {};
    if ((role !== 'system' && role !== 'user' && role !== 'assistant') || typeof content !== 'string')
      throw unreadable(
        path,
        location,
        'has messages without a role (system, user, assistant) or a content that is a text',
      );
    refuseUnusable(path, location, content);
    return { role, content };
  });
  const last = messages.at(-1);
  if (!messages.some(({ role }) => role === 'user')) throw unreadable(path, location, 'has no message of a user');
  return last?.role === 'assistant'
    ? { messages: messages.slice(0, -1), reference: last.content }
    : { messages, reference: null };
}

function roleOfFields(path: string, { fields, location }: Entry, { reference }: Prompt): Role {
  const lower = (name: string): string | null => {
    const value = fields.get(name);
    return typeof value === 'string' ? value.toLowerCase() : null;
  };
  const own = roles.find((role) => role === lower('role'));
  if (own) return own;
  // XSTest
  const label = lower('label');
  if (label === 'unsafe') return 'harmful';
  if (label === 'safe') return 'harmless';
  const said = basename(path)
    .toLowerCase()
    .split(/[^a-z]+/);
  if (
    HARMFUL_FIELDS.some((name) => fields.has(name)) &&
    !said.some((word) => ['benign', 'harmless', 'safe'].includes(word))
  )
    return 'harmful';
  if (reference !== null) return 'utility';
  throw unknownRole(path, location);
}

/** Replacement characters from invalid UTF-8, and the zero bytes of UTF-16. */
const NOT_UTF8 = /[\0\ufffd]/;

function refuseUnusable(path: string, location: string, text: string): void {
  if (NOT_UTF8.test(text)) throw unreadable(path, location, 'contains bytes that are not UTF-8 text');
  if (text.length > MOST_CHARACTERS) throw unreadable(path, location, `has more than ${MOST_CHARACTERS} characters`);
}

function unreadable(path: string, location: string, reason: string): SafeLoraError {
  return new SafeLoraError('prompts', `${path}: ${location} ${reason}; correct or remove it.`);
}

function noPrompts(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: contains no prompts; give JSONL or CSV with a field such as prompt or goal, one record a prompt.`,
  );
}

function unknownKind(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: is not a supported prompt file: .jsonl, .json, .csv, .tsv, .yaml (promptfoo) or .txt (one a line); rename or convert it.`,
  );
}

function unknownRole(path: string, location: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: ${location} does not say whether its prompts are harmful, harmless or for utility; name the role: --prompts harmful:FILE, harmless:FILE or utility:METRIC:FILE.`,
  );
}

function noMetric(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: its prompts have references, but no metric is given; give one: --prompts utility:METRIC:${path}, with ${metrics.join(', ')} for METRIC.`,
  );
}

function noLikelihood(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: likelihood generates no answers, and without answers refusals cannot be counted; give it as utility:likelihood:${path}, or with another metric.`,
  );
}

function tooLarge(path: string): SafeLoraError {
  return new SafeLoraError(
    'prompts',
    `${path}: has more than ${MOST_BYTES} bytes; give it as JSONL or CSV, which are read a record at a time.`,
  );
}
