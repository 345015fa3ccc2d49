// Models from folders and the hub, for the editor: uses the user's token, and asks before downloading weights.
import * as vscode from 'vscode';
import { orAborted } from '../../core/aborting';
import { bytesText } from '../../core/bytes';
import { type Checkpoint, type Travel } from '../../core/checkpoint';
import { SafeLoraError } from '../../core/errors';
import { type Plan, remoteTensors } from '../../core/plan';
import { Hub } from '../../hub/checkpoint';
import { cacheLimit, checked, endpointOf, isOffline, tokenOf } from '../../hub/environment';
import { PairRegistry } from '../../hub/pairs';
import { parseReference } from '../../hub/reference';
import { type Agree } from '../../work/services';
import { commands } from '../common/contributions';
import { Disposable } from '../common/dispose';
import { Cancelled, showingFailure } from '../common/errors';
import { editorFetch } from '../common/network';
import { type Log, showInformation, showInputBox } from '../common/surface';

const SECRET = 'safeLora.hubToken';

/** Decides whether to download all weights of a model. @throws if they must not be downloaded */
export type AgreeToRun = (name: string, travel: Travel) => Promise<void>;

export class HubService extends Disposable {
  private opened: Hub | undefined;
  /** Paths of tensors whose download the user accepted. */
  private readonly agreed = new Set<string>();

  /** @param storage shared with the command line's tasks */
  constructor(
    private readonly storage: string,
    private readonly secrets: vscode.SecretStorage,
    private readonly log: Log,
  ) {
    super();
    this._register(
      vscode.commands.registerCommand(commands.setHubToken, () => showingFailure(log, () => this.setToken())),
    );
    this._register(
      secrets.onDidChange(({ key }) => {
        // The open client keeps its token.
        if (key === SECRET) this.opened = undefined;
      }),
    );
  }

  /**
   * @param given a folder, hf://org/name[@revision], or org/name if no folder has that name
   * @throws SafeLoraError, or the signal's reason
   */
  open(given: string, signal?: AbortSignal): Promise<Checkpoint> {
    return this.hub().open(given, signal);
  }

  /** A file of a dataset, hf://datasets/org/name[@revision]/file; its path on this machine. */
  datasetFile(given: string, most: number, signal?: AbortSignal): Promise<string> {
    return this.hub().datasetFile(given, most, signal);
  }

  /** Like `open`, but offline: only data on this machine. */
  openKept(given: string): Promise<Checkpoint> {
    return this.make(true).open(given);
  }

  /** A model's card from the hub; null if it has none. */
  card(id: string): Promise<string | null> {
    return this.hub().card(id);
  }

  private readonly notice = (text: string): void => {
    this.log.warn(`hub: ${text}`);
  };

  private hub(): Hub {
    this.opened ??= this.make(isOffline(process.env));
    return this.opened;
  }

  private make(offline: boolean): Hub {
    const { env } = process;
    return new Hub({
      storage: this.storage,
      limit: cacheLimit(env),
      offline,
      endpoint: endpointOf(env),
      token: async () => (await this.secrets.get(SECRET)) ?? tokenOf(env),
      line: { fetch: editorFetch },
      onNotice: this.notice,
    });
  }

  /** Lists each plan's downloads, and asks once per tensor. @throws Cancelled if the user declines */
  readonly agree: Agree = async (plans, signal) => {
    for (const plan of plans) await this.agreeTo(plan, signal);
  };

  /** Asks before all weights of a model are downloaded to run it. @throws Cancelled if the user declines */
  readonly agreeToRun: AgreeToRun = async (name, { bytes, cached, modelBytes }) => {
    if (bytes === 0) return;
    const fetch = vscode.l10n.t('Fetch');
    const message = vscode.l10n.t(
      'Fetch all weights of {0} from {1} to run it?',
      name,
      new URL(endpointOf(process.env)).host,
    );
    const lines = [travelText(name, { bytes, cached, modelBytes }), keptText()];
    if ((await showInformation(message, { modal: true, lines }, fetch)) !== fetch) throw new Cancelled();
  };

  /** For work without questions. @throws SafeLoraError if the model would have to be downloaded */
  readonly refuseToRun: AgreeToRun = (name, { bytes }) =>
    bytes === 0 ? Promise.resolve() : Promise.reject(modelNotFetched(name));

  /** For work without questions. @throws SafeLoraError if weights would have to be downloaded */
  readonly refuse: Agree = async (plans) => {
    for (const plan of plans) if ((await this.lacking(plan)).lines.length > 0) throw notFetched(plan);
  };

  private async agreeTo(plan: Plan, signal: AbortSignal | undefined): Promise<void> {
    const { lines, paths } = await this.lacking(plan);
    if (lines.length === 0) return;
    const fetch = vscode.l10n.t('Fetch');
    const message = vscode.l10n.t(
      'Fetch the weights that {0} needs from {1}?',
      plan.adapter.name,
      new URL(endpointOf(process.env)).host,
    );
    const all = [...lines, keptText()];
    const answer = await orAborted(showInformation(message, { modal: true, lines: all }, fetch), signal);
    if (answer !== fetch) throw new Cancelled();
    for (const path of paths) this.agreed.add(path);
  }

  private async lacking(plan: Plan): Promise<{ lines: string[]; paths: string[] }> {
    const lines: string[] = [];
    const asked: string[] = [];
    for (const [model, tensors] of remoteTensors([plan])) {
      const fresh = tensors.filter(({ path }) => !this.agreed.has(path));
      const travel = await model.remote!.needed(fresh);
      if (travel.bytes === 0) continue;
      asked.push(...fresh.map(({ path }) => path));
      lines.push(travelText(model.name, travel));
    }
    return { lines, paths: asked };
  }

  /** Records the pair for safe-lora pairs; write failures are ignored. */
  async remember({ base, aligned }: Plan): Promise<void> {
    if (base.remote || aligned.remote) {
      await new PairRegistry(this.storage).remember(base, aligned).catch(() => undefined);
    }
  }

  private async setToken(): Promise<void> {
    const title = vscode.l10n.t('Safe LoRA: Set Hugging Face Token');
    const prompt = vscode.l10n.t(
      'For gated and private models. The editor’s secret storage keeps it; leave the field empty to remove it.',
    );
    const given = await showInputBox({ title, prompt, password: true });
    if (given === undefined) throw new Cancelled();
    const token = given.trim();
    if (token === '') await this.secrets.delete(SECRET);
    else await this.secrets.store(SECRET, checked(token, title));
    this.opened = undefined;
  }
}

function travelText(name: string, { bytes, cached, modelBytes }: Travel): string {
  return vscode.l10n.t(
    '{0}: {1} of {2} to fetch; {3} cached',
    name,
    bytesText(bytes),
    bytesText(modelBytes),
    bytesText(cached),
  );
}

function keptText(): string {
  return vscode.l10n.t('Fetched weights are cached. Only the download requests are sent.');
}

/** @returns the error of a plan whose downloads were declined */
export function notFetched({ adapter }: Plan): SafeLoraError {
  return new SafeLoraError(
    'hub-declined',
    vscode.l10n.t(
      '{0}: the weights of its models were not fetched from the hub; measure the adapter and agree to fetch them.',
      adapter.path,
    ),
  );
}

function modelNotFetched(name: string): SafeLoraError {
  return new SafeLoraError(
    'hub-declined',
    vscode.l10n.t(
      '{0}: its weights were not all fetched from the hub; open the adapter, use "Evaluate…" in the view Behaviour, and agree to fetch them.',
      name,
    ),
  );
}

/** Whether a model is on the hub rather than in a folder, judging only by its name. */
export function isOnHub(given: string): boolean {
  return given.startsWith('hf://');
}

/** From user input; null if it names no model. */
export function hubReference(given: string): string | null {
  const text = given.trim().replace(/^(?:https:\/\/huggingface\.co\/|hf:\/\/)/, '');
  return parseReference(text) === null ? null : `hf://${text}`;
}
