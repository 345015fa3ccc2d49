// A task's definition as the arguments of the command line.
import { type ModelPair, type TASK_TYPE } from '../common/contributions';

/** As package.json's taskDefinitions describe it. */
export interface TaskDefinition {
  readonly type: typeof TASK_TYPE;
  readonly command: 'inspect' | 'project';
  /** Relative to the workspace folder, as `base`, `aligned`, `out` and `json` are. */
  readonly adapter: string;
  readonly base?: string;
  readonly aligned?: string;
  readonly threshold?: number;
  readonly count?: number;
  readonly out?: string;
  readonly force?: boolean;
  readonly again?: boolean;
  readonly device?: string;
  readonly memory?: number;
  readonly json?: string;
}

const withValue = ['threshold', 'count', 'out', 'device', 'memory', 'json'] as const;
const flags = ['force', 'again'] as const;

/** What is wrong with a definition is left to the command line to say. */
export function commandLine(definition: TaskDefinition, adapter: string, { base, aligned }: ModelPair): string[] {
  return [
    definition.command,
    adapter,
    '--base',
    base,
    '--aligned',
    aligned,
    ...withValue.flatMap((name) => (definition[name] === undefined ? [] : [`--${name}`, String(definition[name])])),
    ...flags.filter((name) => definition[name]).map((name) => `--${name}`),
  ];
}
