// The command line's arguments: parsed strictly, so that a misspelt option never runs as another.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  DEFAULT_MODE,
  parseRule,
  type RuleMode,
  ruleModes,
  ruleNumber,
  ruleOf,
  type Selection,
  selectionBy,
} from '../core/rules';
import { type Device, devices } from '../engine/providers';
import { type Demand, parseDemands } from '../evaluation/choice';
import { metrics } from '../evaluation/judge';
import { parsePoints, type PointRequest } from '../evaluation/points';
import { type PromptFile, promptFileOf } from '../evaluation/prompts';
import { type Precision, precisions } from '../llm/graph';

/** The call itself is wrong: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A model is missing. Keeps the given arguments, so that suggestions can be listed. */
export class MissingModel extends UsageError {
  constructor(
    message: string,
    readonly adapters: readonly string[],
    readonly given: { base: string | undefined; aligned: string | undefined },
  ) {
    super(message);
  }
}

export interface InspectArguments {
  command: 'inspect';
  /** At least one. */
  adapters: string[];
  base: string;
  aligned: string;
  selection: Selection;
  /** True without --threshold and --count. */
  selectionIsDefault: boolean;
  device: Device;
  /** Maximum bytes of the engine. */
  memory: number;
  json: string | undefined;
  html: string | undefined;
  quiet: boolean;
  /** No requests. */
  offline: boolean;
}

export interface ProjectArguments extends Omit<InspectArguments, 'command'> {
  command: 'project';
  out: string;
  force: boolean;
  again: boolean;
}

export interface EvaluateArguments extends Omit<
  InspectArguments,
  'command' | 'memory' | 'adapters' | 'selectionIsDefault'
> {
  command: 'evaluate';
  adapter: string;
  prompts: PromptFile[];
  points: PointRequest;
  scoreOnly: boolean;
  demands: { text: string; demands: Demand[] } | null;
  maxTokens: number | null;
  /** A file for the answers. */
  answers: string | undefined;
  refusals: string | null;
  template: string | null;
  system: string | null;
  precision: Precision | null;
  /** Maximum bytes of the model; null for half of the free memory. */
  memory: number | null;
}

export interface CudaArguments {
  /** A package downloaded by other means. */
  archive: string | undefined;
  removes: boolean;
}

export interface PairsArguments {
  /** The id of the pair to remove; without one, all are listed. */
  remove: string | undefined;
  json: string | undefined;
}

export type Arguments =
  | InspectArguments
  | ProjectArguments
  | EvaluateArguments
  | ({ command: 'install-cuda' } & CudaArguments)
  | ({ command: 'pairs' } & PairsArguments)
  | { command: 'doctor'; json: string | undefined }
  | { command: 'help' }
  | { command: 'version' };

export const HELP = `Usage:
  safe-lora inspect ADAPTER… --base MODEL --aligned MODEL [options]
  safe-lora project ADAPTER… --base MODEL --aligned MODEL --out DIR [--force] [--again] [options]
  safe-lora evaluate ADAPTER --base MODEL --aligned MODEL [--prompts [ROLE:]FILE]… [options]
  safe-lora doctor [--json FILE|-]
  safe-lora install-cuda [--archive FILE | --remove]
  safe-lora pairs [list | remove ID] [--json FILE|-]

Measures how closely each LoRA update follows the change that alignment made to the model (Safe LoRA,
arXiv 2405.16833), and writes a copy of the adapter in which the selected modules are projected onto it.

  ADAPTER          folder of a PEFT LoRA adapter, or its adapter_model.safetensors; several adapters on the same two
                   models share one pass over the weights
  --base MODEL     the pretrained model: a folder, or hf://org/name[@revision] on the hub
  --aligned MODEL  the chat or instruct model that the adapter was trained on: a folder, or on the hub

Selection (default: --${DEFAULT_MODE} ${ruleNumber(DEFAULT_MODE).usual}, the paper's for Llama-2)
  --threshold T    modules whose similarity is at or below T, from 0 to 1
  --count K        the K modules of lowest similarity

Behaviour (evaluate): runs the aligned model with the original adapter and with some of its modules projected. For each of these
points it reports how many harmful prompts are answered, how many harmless prompts are refused, and the score on the task
  --prompts [ROLE:]FILE  prompts as JSONL, CSV, JSON, promptfoo's YAML or text. ROLE is harmful, harmless or utility:METRIC,
                   needed if the file does not name it. METRIC is ${metrics.join(', ')}. Repeat for several files. The sample
                   has its own prompts. hf://datasets/org/name/file is downloaded from the hub
  --points LIST    numbers of projected modules (0,4,8), or tau:0.2,0.35, or auto (default: where the refusal score changes most),
                   in addition to the aligned model, the original adapter and the selection of --threshold or --count
  --score          compute only the refusal score, for every number of modules; only the aligned model generates answers
  --choose TEXT    find the fewest modules that meet demands such as "asr <= 0.1, utility >= -0.02". A number with a sign is a
                   change from the original adapter. Chosen on one half of the prompts, reported on the other half
  --max-tokens N   longest answer in tokens (default: 128)
  --answers FILE   write the answers as JSONL. They may be harmful text and are stored nowhere else
  --refusals FILE  phrases that mark a refusal, one per line, instead of the built-in list
  --template FILE  a chat template (Jinja) instead of the model's; --system TEXT adds a system message
  --precision NAME ${precisions.join(', ')} (default: single precision if it fits into memory, else 8 bits)

Hub
  Only headers and the weights that the adapters change are downloaded. They are cached in the user's data folder
  (or SAFE_LORA_STORAGE), up to 20 GB (SAFE_LORA_CACHE_LIMIT, in bytes). HF_TOKEN, HF_TOKEN_PATH, HF_HOME and HF_ENDPOINT
  work as in the hub's own tools. org/name without hf:// is a model on the hub if no folder has that name.
  --offline        send nothing; models that are not cached are an error (also HF_HUB_OFFLINE=1)
  pairs            list the measured pairs of models and their cached bytes; remove ID deletes those of one pair

Output
  --out DIR        folder for the projected adapter; with several adapters, each gets DIR/NAME. No source is changed
  --force          replace DIR if it contains an earlier result
  --again          also accept an adapter that was already projected; its projected modules stay unchanged
  --json FILE|-    write the report as JSON; - is standard output
  --html FILE      write a self-contained page: heatmap, table, behaviour, what is not covered, provenance
  --quiet          print errors only

Engine
  --device NAME    ${devices.join(', ')} (default: auto)
  --memory MIB     memory for the engine (default: 1024); with evaluate, for the model (default: half of the free memory)

CUDA (Linux x64)
  install-cuda     download onnxruntime's CUDA provider, about 250 MB, into the user's data folder (or SAFE_LORA_STORAGE)
                   and list the CUDA libraries that are missing. Interrupted downloads resume. HTTPS_PROXY, HTTP_PROXY
                   and NO_PROXY are honoured; SAFE_LORA_NUGET_INDEX selects another NuGet feed
  --archive FILE   use a package file that was downloaded elsewhere
  --remove         delete the installed provider

Exit status: 0 done, 1 bad input or environment, 2 wrong usage, 3 the engine failed, 130 interrupted.
`;

const DEFAULT_MEMORY_MIB = 1024;
/** Default bytes of the engine. */
export const DEFAULT_MEMORY = DEFAULT_MEMORY_MIB * 2 ** 20;
/** With less, onnxruntime and one row do not fit. */
const MIN_MEMORY_MIB = 256;

const common = {
  base: { type: 'string' },
  aligned: { type: 'string' },
  threshold: { type: 'string' },
  count: { type: 'string' },
  device: { type: 'string' },
  memory: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  quiet: { type: 'boolean' },
  offline: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const ofEvaluate = {
  prompts: { type: 'string', multiple: true },
  points: { type: 'string' },
  score: { type: 'boolean' },
  choose: { type: 'string' },
  'max-tokens': { type: 'string' },
  answers: { type: 'string' },
  refusals: { type: 'string' },
  template: { type: 'string' },
  system: { type: 'string' },
  precision: { type: 'string' },
} as const;

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Arguments {
  const [command, ...rest] = argv;
  switch (command) {
    case 'inspect': {
      const { values, positionals } = parse(rest, common);
      if (values.help) return { command: 'help' };
      return { command, ...commonArguments(values, positionals) };
    }
    case 'project': {
      const { values, positionals } = parse(rest, {
        ...common,
        out: { type: 'string' },
        force: { type: 'boolean' },
        again: { type: 'boolean' },
      } as const);
      if (values.help) return { command: 'help' };
      if (!values.out) throw new UsageError('project needs --out DIR, the folder for the projected adapter');
      return {
        command,
        ...commonArguments(values, positionals),
        out: values.out,
        force: values.force ?? false,
        again: values.again ?? false,
      };
    }
    case 'evaluate': {
      const { values, positionals } = parse(rest, { ...common, ...ofEvaluate });
      if (values.help) return { command: 'help' };
      return evaluateArguments(values, positionals);
    }
    case 'doctor': {
      const { values, positionals } = parse(rest, { json: common.json, help: common.help });
      if (values.help) return { command: 'help' };
      if (positionals.length > 0) throw new UsageError(`doctor takes no argument, not ${positionals[0]!}`);
      return { command, json: values.json };
    }
    case 'pairs': {
      const { values, positionals } = parse(rest, { json: common.json, help: common.help });
      if (values.help) return { command: 'help' };
      if (values.json === '') throw new UsageError('--json wants a file, or - for standard output');
      const [action = 'list', id, ...more] = positionals;
      if (action !== 'list' && action !== 'remove') throw new UsageError(`pairs has no ${action}: list or remove ID`);
      if (action === 'list' && id !== undefined) throw new UsageError(`pairs list takes no argument, not ${id}`);
      if (action === 'remove' && (id === undefined || more.length > 0))
        throw new UsageError('pairs remove wants one ID, as pairs list shows it');
      if (action === 'remove' && values.json !== undefined) throw new UsageError('--json is for pairs list');
      return { command, remove: id, json: values.json };
    }
    case 'install-cuda': {
      const { values, positionals } = parse(rest, {
        archive: { type: 'string' },
        remove: { type: 'boolean' },
        help: common.help,
      } as const);
      if (values.help) return { command: 'help' };
      if (positionals.length > 0) throw new UsageError(`install-cuda takes no argument, not ${positionals[0]!}`);
      if (values.archive === '') throw new UsageError('--archive wants the file of a package');
      if (values.archive !== undefined && values.remove)
        throw new UsageError('--archive and --remove exclude each other');
      return { command, archive: values.archive, removes: values.remove ?? false };
    }
    case '--help':
    case '-h':
    case 'help':
      return { command: 'help' };
    case '--version':
      return { command: 'version' };
    case undefined:
      throw new UsageError('a command is missing: inspect, project, evaluate, doctor, install-cuda or pairs');
    default:
      throw new UsageError(`there is no command ${command}: inspect, project, evaluate, doctor, install-cuda or pairs`);
  }
}

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

function parse<T extends Options>(args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split(/\. To specify|\n/)[0]);
  }
}

interface CommonValues {
  base?: string | undefined;
  aligned?: string | undefined;
  threshold?: string | undefined;
  count?: string | undefined;
  device?: string | undefined;
  memory?: string | undefined;
  json?: string | undefined;
  html?: string | undefined;
  quiet?: boolean | undefined;
  offline?: boolean | undefined;
}

function commonArguments(values: CommonValues, positionals: readonly string[]): Omit<InspectArguments, 'command'> {
  if (positionals.length === 0 || positionals.includes(''))
    throw new UsageError('ADAPTER is missing: the folder of a LoRA adapter');
  const { base, aligned } = values;
  const missing = (message: string): UsageError => new MissingModel(message, positionals, { base, aligned });
  if (!base) throw missing('--base MODEL is missing: the pretrained model');
  if (!aligned) throw missing('--aligned MODEL is missing: the model that the adapter was trained on');
  if (values.json === '') throw new UsageError('--json wants a file, or - for standard output');
  if (values.html === '') throw new UsageError('--html wants a file');
  const device = devices.find((name) => name === (values.device ?? 'auto'));
  if (!device) throw new UsageError(`--device ${values.device!} is none of ${devices.join(', ')}`);
  const memory = Number(values.memory ?? DEFAULT_MEMORY_MIB);
  if (!Number.isSafeInteger(memory) || memory < MIN_MEMORY_MIB)
    throw new UsageError(`--memory ${values.memory!} is not a whole number of MiB from ${MIN_MEMORY_MIB}`);
  return {
    adapters: [...positionals],
    base,
    aligned,
    selection: selectionOf(values),
    selectionIsDefault: ruleModes.every((mode) => values[mode] === undefined),
    device,
    memory: memory * 2 ** 20,
    json: values.json,
    html: values.html,
    quiet: values.quiet ?? false,
    offline: values.offline ?? false,
  };
}

type EvaluateValues = CommonValues & { prompts?: string[] | undefined; score?: boolean | undefined } & Partial<
    Record<Exclude<keyof typeof ofEvaluate, 'prompts' | 'score'>, string | undefined>
  >;

function evaluateArguments(values: EvaluateValues, positionals: readonly string[]): EvaluateArguments {
  const { memory, selectionIsDefault, adapters, ...shared } = commonArguments(values, positionals);
  const [adapter, another] = adapters as [string, string | undefined];
  if (another !== undefined) throw new UsageError(`evaluate takes one ADAPTER, not also ${another}`);
  const { points = 'auto', choose, precision, score, ...texts } = values;
  const parsedPoints = parsePoints(points);
  if (!parsedPoints)
    throw new UsageError(`--points ${points} is neither auto nor a list of numbers, 0,4,8 or tau:0.2,0.35`);
  const demands = choose === undefined ? null : parseDemands(choose);
  if (choose !== undefined && !demands)
    throw new UsageError(
      `--choose ${choose} is not a list such as "asr <= 0.1, utility >= -0.02" (asr, overRefusal, utility)`,
    );
  if (choose !== undefined && score) throw new UsageError('--choose needs answers, which --score leaves out');
  if (texts.answers !== undefined && score) throw new UsageError('--answers needs answers, which --score leaves out');
  const known = precisions.find((name) => name === precision) ?? null;
  if (precision !== undefined && !known)
    throw new UsageError(`--precision ${precision} is none of ${precisions.join(', ')}`);
  const empty = (['answers', 'refusals', 'template'] as const).find((name) => texts[name] === '');
  if (empty) throw new UsageError(`--${empty} wants a file`);
  const targets = [texts.answers, shared.json, shared.html].filter((path) => path !== undefined && path !== '-');
  if (new Set(targets.map((path) => resolve(path!))).size < targets.length)
    throw new UsageError('--answers, --json and --html want a file each');
  const maxTokens = texts['max-tokens'] === undefined ? null : Number(texts['max-tokens']);
  if (maxTokens !== null && (!Number.isSafeInteger(maxTokens) || maxTokens < 1))
    throw new UsageError(`--max-tokens ${texts['max-tokens']!} is not a whole number from 1`);
  return {
    ...shared,
    command: 'evaluate',
    adapter,
    prompts: (values.prompts ?? []).map(promptFile),
    points: parsedPoints,
    scoreOnly: score ?? false,
    demands: demands && { text: choose!, demands },
    maxTokens,
    answers: texts.answers,
    refusals: texts.refusals ?? null,
    template: texts.template ?? null,
    system: texts.system ?? null,
    precision: known,
    memory: values.memory === undefined ? null : memory,
  };
}

function promptFile(given: string): PromptFile {
  const file = promptFileOf(given);
  if (file.path === '') throw new UsageError('--prompts wants a file');
  return file;
}

function selectionOf(values: CommonValues): Selection {
  const [mode = DEFAULT_MODE, another] = ruleModes.filter((known) => values[known] !== undefined);
  if (another !== undefined) throw new UsageError(`--${mode} and --${another} exclude each other`);
  const text = values[mode];
  const rule = text === undefined ? ruleOf(mode) : parseRule(mode, text);
  if (!rule) throw new UsageError(`--${mode} ${text!} is not ${wantedNumber(mode)}`);
  return selectionBy(rule);
}

function wantedNumber(mode: RuleMode): string {
  const { kind, min, max } = ruleNumber(mode);
  return kind === 'integer' ? `a whole number from ${min}` : `a number from ${min} to ${max}`;
}
