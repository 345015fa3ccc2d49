// Models on the hub from the command line: what the environment says, and what is going to travel.
import { bytesText } from '../core/bytes';
import { type Checkpoint } from '../core/checkpoint';
import { type Plan, remoteTensors } from '../core/plan';
import { Hub } from '../hub/checkpoint';
import { cacheLimit, endpointOf, isOffline, tokenOf } from '../hub/environment';
import { PairRegistry } from '../hub/pairs';
import { type Line, openLine } from './network';
import { notice } from './terminal';
import { storageFolder } from './storage';

export class Models {
  private readonly line: Line = openLine();
  private readonly hub: Hub;

  /** @throws SafeLoraError */
  constructor({ offline, quiet }: { offline: boolean; quiet: boolean }) {
    const { env } = process;
    this.hub = new Hub({
      storage: storageFolder(env),
      limit: cacheLimit(env),
      offline: offline || isOffline(env),
      endpoint: endpointOf(env),
      token: () => tokenOf(env),
      line: { fetch: this.line.fetch },
      ...(quiet ? {} : { onNotice: notice }),
    });
  }

  /** A folder's model, or one on the hub. */
  open(given: string): Promise<Checkpoint> {
    return this.hub.open(given);
  }

  close(): Promise<void> {
    return this.line.close();
  }
}

/** One line for each model that is not here. */
export async function travelLines(plans: readonly Plan[]): Promise<string[]> {
  const lines: string[] = [];
  for (const [model, tensors] of remoteTensors(plans)) {
    const { bytes, cached, modelBytes } = await model.remote!.needed(tensors);
    lines.push(
      `hf://${model.name}: ${bytesText(bytes)} of ${bytesText(modelBytes)} to fetch; ${bytesText(cached)} cached`,
    );
  }
  return lines;
}

/** For safe-lora pairs. Where it cannot be written down, only that is lost. */
export async function rememberPair([plan]: readonly Plan[]): Promise<void> {
  if (plan) await new PairRegistry(storageFolder()).remember(plan.base, plan.aligned).catch(() => undefined);
}
