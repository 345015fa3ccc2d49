// One process of an attack: `act OPERATION ROOT`, or `race WHO ROOT COUNT` beside another that is `race` of the same folders.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SafeLoraError } from '../../src/core/errors';
import { copy, folder, MODULES, operations, save } from './operations';

/** What each of two processes does at once to the folder of a number. */
const contests: ((root: string, who: number) => Promise<void>)[] = [
  (root, who) => save(root, [MODULES[who]!], 1 + who),
  (root, who) => save(root, MODULES.slice(who, who + 3), 1 + who),
  (root, who) => save(root, MODULES, 1 + who),
  (root, who) => untilUnchanged(() => save(root, MODULES.slice(2 * who, 2 * who + 2), 1 + who)),
  (root, who) => copy(root, 1 + who),
  (root, who) => folder(root, 1 + who),
];

/** As a person does who is told that the adapter was changed. */
async function untilUnchanged(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof SafeLoraError) || error.code !== 'changed-on-disk') throw error;
    await untilUnchanged(act);
  }
}

async function race(who: number, root: string, count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    const trial = join(root, String(round));
    writeFileSync(join(trial, `ready-${who}`), '');
    // Without a pause: a timer would be later than the other.
    while (!existsSync(join(trial, `ready-${1 - who}`)));
    // So that now the one and now the other is ahead.
    for (let left = (round * (who === 0 ? 7919 : 104_729)) % 200_000; left > 0; left--);
    let ended = 'done';
    try {
      await contests[round % contests.length]!(trial, who);
    } catch (error) {
      ended = error instanceof SafeLoraError ? error.code : String((error as Error).stack);
    }
    writeFileSync(join(trial, `ended-${who}`), ended);
  }
}

async function main([task, ...given]: string[]): Promise<void> {
  process.stdout.write('started\n');
  if (task === 'race') await race(Number(given[0]), given[1]!, Number(given[2]));
  else await operations[given[0]!]!.act(given[1]!);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exitCode = 1;
});
