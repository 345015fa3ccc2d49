// The command line's grammar: its commands and options with their help, parsed strictly, so that a misspelt option never runs as another.
import { resolve } from 'node:path';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  DEFAULT_MODE,
  parseRule,
  type RuleMode,
  ruleModes,
  ruleNumber,
  ruleOf,
  type SelectionRule,
  selectionBy,
} from '../core/rules';
import { type Device, devices } from '../engine/providers';
import { type Demand, parseDemands } from '../evaluation/choice';
import { metrics } from '../evaluation/judge';
import { parsePoints, type PointRequest } from '../evaluation/points';
import { type PromptFile, promptFileOf } from '../evaluation/prompts';
import { type Precision, precisions } from '../llm/graph';
import {
  type Arguments,
  type EvaluateArguments,
  type InspectArguments,
  MissingModel,
  type ProjectArguments,
  UsageError,
} from './arguments';

/** Columns of the help. */
const HELP_WIDTH = 80;

const DEFAULT_MEMORY_MIB = 1024;
/** Default bytes of the engine. */
export const DEFAULT_MEMORY = DEFAULT_MEMORY_MIB * 2 ** 20;
/** With less, onnxruntime and one row do not fit. */
const MIN_MEMORY_MIB = 256;

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Arguments {
  const found = new Found();
  const program = programOf(found);
  if (argv.length === 0)
    throw new UsageError(`no command given; use ${program.commands.map((command) => command.name()).join(', ')}`);
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return { command: 'version' };
    if (error.exitCode === 0) return { command: 'help', text: found.help };
    throw usageErrorOf(error, argv[0]!, program);
  }
  return found.arguments!;
}

/** What one call of the parser leaves. */
class Found {
  arguments: Arguments | undefined;
  help = '';
}

function usageErrorOf({ message }: CommanderError, word: string, program: Command): UsageError {
  const command = program.commands.some((known) => known.name() === word) ? word : null;
  const [cause, ...suggestions] = message.replace(/^error: /, '').split('\n');
  return new UsageError([cause, ...suggestions].join(' '), [], command);
}

function programOf(found: Found): Command {
  const program = new Command('safe-lora')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        found.help += text;
      },
      // Errors are thrown, and printed once.
      outputError: () => undefined,
      getOutHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
    })
    .description(
      'Measures how closely each LoRA update follows the change that alignment made to the model (Safe LoRA, arXiv 2405.16833), and ' +
        'writes a copy of the adapter in which the selected modules are projected.',
    )
    .version('')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [COMMAND]', 'show the options of a command')
    .addHelpText(
      'after',
      '\nExit status: 0 done, 1 bad input or environment, 2 wrong usage, 3 the engine\nfailed, 130 interrupted.',
    );
  addInspect(program, found);
  addProject(program, found);
  addEvaluate(program, found);
  addDoctor(program, found);
  addInstallCuda(program, found);
  addPairs(program, found);
  return program;
}

function addInspect(program: Command, found: Found): void {
  const command = program
    .command('inspect')
    .usage('<ADAPTER...> --base <MODEL> --aligned <MODEL> [options]')
    .summary('measure adapters')
    .description(
      'Measures adapters and prints a table. Adapters on the same two models share one pass over the weights.',
    )
    .addArgument(adapters());
  withModels(command);
  withSelection(command);
  withReport(command);
  withEngine(command, `memory for the engine (default: ${DEFAULT_MEMORY_MIB})`);
  command.addHelpText('after', HUB).action((paths: string[], values: CommonValues) => {
    found.arguments = { command: 'inspect', ...commonArguments('inspect', values, paths) };
  });
}

function addProject(program: Command, found: Found): void {
  const command = program
    .command('project')
    .usage('<ADAPTER...> --base <MODEL> --aligned <MODEL>\n                         --out <DIR> [options]')
    .summary('write copies of adapters with the selected modules projected')
    .description(
      'Writes a copy of each adapter in which the selected modules are projected. The source is never changed.',
    )
    .addArgument(adapters());
  withModels(command);
  withSelection(command);
  command
    .optionsGroup('Output:')
    .option(
      '--out <DIR>',
      'folder for the projected adapter; with several adapters, each gets DIR/NAME',
      text('a folder'),
    )
    .option('--force', 'replace DIR if it contains an earlier result')
    .option('--again', 'also accept an adapter that was already projected; its projected modules stay unchanged');
  withReport(command);
  withEngine(command, `memory for the engine (default: ${DEFAULT_MEMORY_MIB})`);
  command.addHelpText('after', HUB).action((paths: string[], values: ProjectValues) => {
    const { out, force = false, again = false } = values;
    if (out === undefined)
      throw new UsageError('--out DIR is missing: the folder for the projected adapter', [], 'project');
    found.arguments = { command: 'project', ...commonArguments('project', values, paths), out, force, again };
  });
}

function addEvaluate(program: Command, found: Found): void {
  const command = program
    .command('evaluate')
    .usage('<ADAPTER> --base <MODEL> --aligned <MODEL> [options]')
    .summary('measure what projecting does to the model’s behaviour')
    .description(
      'Runs the aligned model with the original adapter and with some of its modules projected. For each of these points it reports how ' +
        'many harmful prompts are answered, how many harmless prompts are refused, and the score on the task.',
    )
    .addArgument(adapter());
  withModels(command);
  withSelection(command);
  command
    .optionsGroup('Prompts:')
    .option(
      '--prompts <FILE>',
      'prompts as JSONL, CSV, JSON, promptfoo’s YAML or text; repeat for several files. ROLE:FILE if the file does not name the role: ' +
        `harmful, harmless or utility:METRIC with METRIC ${metrics.join(', ')}. The sample has its own prompts. ` +
        'hf://datasets/org/name/file is downloaded',
      (given: string, earlier: PromptFile[] | undefined) => [...(earlier ?? []), promptFileOf(file(given))],
    )
    .option('--template <FILE>', 'a chat template (Jinja) instead of the model’s', file)
    .option('--system <TEXT>', 'a system message')
    .option('--refusals <FILE>', 'phrases that mark a refusal, one per line, instead of the built-in list', file)
    .optionsGroup('Points:')
    .option(
      '--points <LIST>',
      'numbers of projected modules (0,4,8), or tau:0.2,0.35, or auto (default: where the refusal score changes most), in addition to ' +
        'the aligned model, the original adapter and the selection of --threshold or --count',
      points,
    )
    .addOption(
      new Option(
        '--score',
        'compute only the refusal score, for every number of modules; only the aligned model generates answers',
      ).conflicts(['choose', 'answers']),
    )
    .option(
      '--choose <DEMANDS>',
      'of the measured points, find the one with the fewest projected modules that meets demands such as "asr <= 0.1, utility >= -0.02". ' +
        'A number with a sign is a change from the original adapter. Chosen on one half of the prompts, reported on the other half',
      demands,
    )
    .optionsGroup('Model:')
    .option('--max-tokens <N>', 'longest answer in tokens (default: 128)', wholeNumber(1))
    .addOption(
      new Option('--precision <NAME>', 'default: single precision if it fits into memory, else 8 bits').choices(
        precisions,
      ),
    );
  withReport(command);
  command
    .optionsGroup('Output:')
    .option(
      '--answers <FILE>',
      'write the answers as JSONL. They may be harmful text and are stored nowhere else',
      file,
    );
  withEngine(command, 'memory for the model (default: half of the free memory)');
  command.addHelpText('after', HUB).action((path: string, values: EvaluateValues) => {
    found.arguments = evaluateArguments(values, path);
  });
}

function addDoctor(program: Command, found: Found): void {
  program
    .command('doctor')
    .summary('test each device and explain what works')
    .description('Tests each device and explains what works and what is missing.')
    .addOption(jsonOption())
    .action(({ json }: { json?: string }) => {
      found.arguments = { command: 'doctor', json };
    });
}

function addInstallCuda(program: Command, found: Found): void {
  program
    .command('install-cuda')
    .summary('install onnxruntime’s CUDA provider (Linux x64)')
    .description(
      'Downloads onnxruntime’s CUDA provider, about 250 MB, into the user’s data folder (or SAFE_LORA_STORAGE) and lists the CUDA ' +
        'libraries that are missing. Interrupted downloads resume. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured; ' +
        'SAFE_LORA_NUGET_INDEX selects another NuGet feed.',
    )
    .option('--archive <FILE>', 'use a package file that was downloaded elsewhere', file)
    .addOption(new Option('--remove', 'delete the installed provider').conflicts('archive'))
    .action(({ archive, remove = false }: { archive?: string; remove?: boolean }) => {
      found.arguments = { command: 'install-cuda', archive, removes: remove };
    });
}

function addPairs(program: Command, found: Found): void {
  const command = program
    .command('pairs')
    .summary('list the measured pairs of models and their cached bytes')
    .description('Lists the measured pairs of models and their cached bytes, or removes those of one pair.');
  command
    .command('list', { isDefault: true })
    .description('Lists the pairs.')
    .summary('list the pairs')
    .addOption(jsonOption())
    .action(({ json }: { json?: string }) => {
      found.arguments = { command: 'pairs', remove: undefined, json };
    });
  command
    .command('remove')
    .description('Removes a pair and its cached bytes.')
    .summary('remove a pair and its cached bytes')
    .argument('<ID>', 'as `pairs list` shows it')
    .action((id: string) => {
      found.arguments = { command: 'pairs', remove: id, json: undefined };
    });
}

const ADAPTER_MEANING = 'folder of a PEFT LoRA adapter, or its adapter_model.safetensors';

function adapter(): Argument {
  return new Argument('<ADAPTER>', ADAPTER_MEANING).argParser(text('a folder'));
}

function adapters(): Argument {
  const parse = text('a folder');
  // An empty path is none: it would mean the working folder.
  return new Argument('<ADAPTER...>', ADAPTER_MEANING).argParser((given, earlier: string[] | undefined) => [
    ...(earlier ?? []),
    parse(given),
  ]);
}

function withModels(command: Command): void {
  command
    .optionsGroup('Models:')
    .option('--base <MODEL>', 'the pretrained model: a folder, or hf://org/name[@revision] on the hub')
    .option('--aligned <MODEL>', 'the chat or instruct model that the adapter was trained on: a folder, or on the hub');
}

function withSelection(command: Command): void {
  const { usual } = ruleNumber(DEFAULT_MODE);
  command
    .optionsGroup('Selection:')
    .addOption(
      new Option(
        '--threshold <T>',
        `modules whose similarity is at or below T, from 0 to 1 (default: ${usual}, the paper’s for Llama-2)`,
      )
        .argParser(rule('threshold'))
        .conflicts('count'),
    )
    .addOption(
      new Option('--count <K>', 'the K modules with the lowest similarity')
        .argParser(rule('count'))
        .conflicts('threshold'),
    );
}

function withReport(command: Command): void {
  command
    .optionsGroup('Output:')
    .addOption(jsonOption())
    .option(
      '--html <FILE>',
      'write a self-contained page: heatmap, table, behaviour, what is not covered, provenance',
      file,
    )
    .option('--quiet', 'print errors only');
}

function jsonOption(): Option {
  return new Option('--json <FILE>', 'write the report as JSON; - is standard output').argParser(file);
}

function withEngine(command: Command, memoryMeaning: string): void {
  command
    .optionsGroup('Engine:')
    .addOption(new Option('--device <NAME>', 'the device that computes').choices(devices).default('auto'))
    .option('--memory <MIB>', memoryMeaning, wholeNumber(MIN_MEMORY_MIB))
    .option('--offline', 'send nothing; models that are not cached are an error (also HF_HUB_OFFLINE=1)');
}

const HUB = `
Models on the hub:
  Only headers and the weights that the adapters change are downloaded. They
  are cached in the user’s data folder (or SAFE_LORA_STORAGE), up to 20 GB
  (SAFE_LORA_CACHE_LIMIT, in bytes). HF_TOKEN, HF_TOKEN_PATH, HF_HOME and
  HF_ENDPOINT work as in the hub’s own tools. org/name without hf:// is on the
  hub if no folder has that name.`;

function text(wanted: string): (given: string) => string {
  return (given) => {
    if (given === '') throw new InvalidArgumentError(`Name ${wanted}.`);
    return given;
  };
}

const file = text('a file');

function wholeNumber(min: number): (given: string) => number {
  return (given) => {
    const value = Number(given);
    if (!Number.isSafeInteger(value) || value < min) throw new InvalidArgumentError(`Use a whole number from ${min}.`);
    return value;
  };
}

function rule(mode: RuleMode): (given: string) => SelectionRule {
  return (given) => {
    const parsed = parseRule(mode, given);
    if (parsed) return parsed;
    const { kind, min, max } = ruleNumber(mode);
    throw new InvalidArgumentError(
      kind === 'integer' ? `Use a whole number from ${min}.` : `Use a number from ${min} to ${max}.`,
    );
  };
}

function points(given: string): PointRequest {
  const parsed = parsePoints(given);
  if (!parsed) throw new InvalidArgumentError('Use auto, or a list of numbers such as 0,4,8 or tau:0.2,0.35.');
  return parsed;
}

function demands(given: string): { text: string; demands: Demand[] } {
  const parsed = parseDemands(given);
  if (!parsed)
    throw new InvalidArgumentError('Use a list such as "asr <= 0.1, utility >= -0.02" (asr, overRefusal, utility).');
  return { text: given, demands: parsed };
}

type CommonValues = {
  base?: string;
  aligned?: string;
  device: Device;
  memory?: number;
  json?: string;
  html?: string;
  quiet?: boolean;
  offline?: boolean;
} & Partial<Record<RuleMode, SelectionRule>>;

type ProjectValues = CommonValues & Partial<Pick<ProjectArguments, 'out' | 'force' | 'again'>>;

function commonArguments(
  command: string,
  values: CommonValues,
  paths: readonly string[],
): Omit<InspectArguments, 'command'> {
  const { base, aligned, device, memory = DEFAULT_MEMORY_MIB, json, html, quiet = false, offline = false } = values;
  if (!base || !aligned) {
    const missing = [...(base ? [] : ['base' as const]), ...(aligned ? [] : ['aligned' as const])];
    throw new MissingModel(missing, paths[0]!, command);
  }
  const rules = ruleModes.flatMap((mode) => values[mode] ?? []);
  return {
    adapters: [...paths],
    base,
    aligned,
    selection: selectionBy(rules[0] ?? ruleOf(DEFAULT_MODE)),
    selectionIsDefault: rules.length === 0,
    device,
    memory: memory * 2 ** 20,
    json,
    html,
    quiet,
    offline,
  };
}

type EvaluateValues = CommonValues & {
  prompts?: PromptFile[];
  points?: PointRequest;
  score?: boolean;
  choose?: { text: string; demands: Demand[] };
  maxTokens?: number;
  answers?: string;
  refusals?: string;
  template?: string;
  system?: string;
  precision?: Precision;
};

function evaluateArguments(values: EvaluateValues, adapter: string): EvaluateArguments {
  const common = commonArguments('evaluate', values, [adapter]);
  const { base, aligned, selection, device, json, html, quiet, offline } = common;
  const { answers } = values;
  const targets = [answers, json, html].filter((path) => path !== undefined && path !== '-');
  if (new Set(targets.map((path) => resolve(path!))).size < targets.length)
    throw new UsageError('--answers, --json and --html need different files', [], 'evaluate');
  return {
    command: 'evaluate',
    adapter,
    ...{ base, aligned, selection, device, json, html, quiet, offline },
    prompts: values.prompts ?? [],
    points: values.points ?? { auto: true },
    scoreOnly: values.score ?? false,
    demands: values.choose ?? null,
    maxTokens: values.maxTokens ?? null,
    answers,
    refusals: values.refusals ?? null,
    template: values.template ?? null,
    system: values.system ?? null,
    precision: values.precision ?? null,
    memory: values.memory === undefined ? null : common.memory,
  };
}
