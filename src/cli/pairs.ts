// safe-lora pairs: lists the measured pairs of models and their cached data, and removes them.
import { bytesText } from '../core/bytes';
import { type ListedPair, PairRegistry } from '../hub/pairs';
import { type PairsArguments } from './arguments';
import { writeJson } from './targets';
import { storageFolder } from './storage';
import { type Terminal } from './terminal';

/** @throws SafeLoraError */
export async function pairs({ remove, json }: PairsArguments, terminal: Terminal): Promise<void> {
  const registry = new PairRegistry(storageFolder());
  if (remove !== undefined) {
    const bytes = await registry.remove(remove);
    terminal.print([`removed  ${remove}, ${bytesText(bytes)} of cached weights`]);
    return;
  }
  const found = await registry.list();
  if (json !== '-') terminal.print(pairLines(found));
  await writeJson(json, { schema: 'safe-lora/pairs@1', pairs: found }, terminal);
}

function pairLines(found: readonly ListedPair[]): string[] {
  if (found.length === 0) return ['no pairs yet; safe-lora inspect remembers the pairs that it measures'];
  return found.flatMap(({ id, base, aligned, cachedBytes, lastUsed }) => [
    `${id}  ${bytesText(cachedBytes)} cached, last used ${lastUsed.slice(0, 10)}`,
    `  base     ${base}`,
    `  aligned  ${aligned}`,
  ]);
}
