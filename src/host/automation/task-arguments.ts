// Converts a task's definition to command-line arguments.
import { type ModelPair, type TASK_TYPE } from '../common/contributions';

/** As declared in package.json's taskDefinitions. */
export interface TaskDefinition {
  readonly type: typeof TASK_TYPE;
  readonly command: 'inspect' | 'project' | 'evaluate';
  /** Relative to the workspace folder, like `base`, `aligned`, `out`, `prompts`, `json` and `html`. */
  readonly adapter: string;
  readonly base?: string;
  readonly aligned?: string;
  readonly threshold?: number;
  readonly count?: number;
  readonly out?: string;
  readonly force?: boolean;
  readonly again?: boolean;
  /** FILE or ROLE:FILE */
  readonly prompts?: readonly string[];
  readonly points?: string;
  readonly choose?: string;
  readonly device?: string;
  readonly memory?: number;
  readonly json?: string;
  readonly html?: string;
}

const withValue = ['threshold', 'count', 'out', 'points', 'choose', 'device', 'memory', 'json', 'html'] as const;
const flags = ['force', 'again'] as const;

/** The command line reports errors in a definition. */
export function commandLine(definition: TaskDefinition, adapter: string, { base, aligned }: ModelPair): string[] {
  return [
    definition.command,
    adapter,
    '--base',
    base,
    '--aligned',
    aligned,
    ...withValue.flatMap((name) => (definition[name] === undefined ? [] : [`--${name}`, String(definition[name])])),
    ...(definition.prompts ?? []).flatMap((file) => ['--prompts', file]),
    ...flags.filter((name) => definition[name]).map((name) => `--${name}`),
  ];
}
