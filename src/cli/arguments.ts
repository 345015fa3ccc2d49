// The command line's calls: what each command takes.
import { type Selection } from '../core/rules';
import { type Device } from '../engine/providers';
import { type Demand } from '../evaluation/choice';
import { type PointRequest } from '../evaluation/points';
import { type PromptFile } from '../evaluation/prompts';
import { type Precision } from '../llm/graph';
import { type ModelRole } from '../models/propose';

/** The call itself is wrong: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  constructor(
    message: string,
    /** Lines after the message, such as models that were found. */
    readonly hints: readonly string[] = [],
    /** The command with the options to read about; null for all commands. */
    readonly command: string | null = null,
  ) {
    super(message);
  }
}

/** One or both models are missing; suggestions can be listed. */
export class MissingModel extends UsageError {
  constructor(
    readonly roles: readonly ModelRole[],
    readonly adapter: string,
    command: string,
  ) {
    super(
      `${roles.map((role) => `--${role} MODEL`).join(' and ')} ${roles.length > 1 ? 'are' : 'is'} missing`,
      [],
      command,
    );
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
  | { command: 'help'; text: string }
  | { command: 'version' };
