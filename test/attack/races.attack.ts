// Two processes that write one adapter, or to one destination, at once: nothing is lost, and one of them is told.
// RACES=1000 tries a thousand.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { openAdapter } from '../../src/core/adapter';
import { openSafetensors, readTensor } from '../../src/core/safetensors';
import { temporaryFolder } from '../fixtures/make';
import { pathsIn, restore, WEIGHTS } from './operations';
import { bundleProgram, makeAdapter } from './setting';

const RACES = Number(process.env.RACES ?? 200);
const folder = temporaryFolder();

it(`${RACES} races`, async () => {
  const program = await bundleProgram(folder);
  for (let round = 0; round < RACES; round++) {
    mkdirSync(join(folder, String(round)));
    makeAdapter(join(folder, String(round)));
  }
  const first = readFileSync(pathsIn(join(folder, '0')).weights);
  const originals = await tensorsOf(pathsIn(join(folder, '0')).weights);
  const racers = [0, 1].map((who) =>
    spawn(process.execPath, [program, 'race', String(who), folder, String(RACES)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  const statuses = await Promise.all(racers.map(async (racer) => (await once(racer, 'close')) as [number | null]));
  assert.deepEqual(
    statuses.map(([status]) => status),
    [0, 0],
  );

  const seen: Record<string, number> = {};
  for (let round = 0; round < RACES; round++) {
    const trial = join(folder, String(round));
    const at = `race ${round}`;
    const ended = [0, 1].map((who) => readFileSync(join(trial, `ended-${who}`), 'utf8'));
    const key = ended.toSorted().join(' and ');
    seen[key] = (seen[key] ?? 0) + 1;
    assert.ok(ended.includes('done'), `${at}: ${key}`);
    for (const end of ended) assert.match(end, /^(?:done|changed-on-disk|output-exists)$/, at);
    const { adapter, weights, originals: kept, copy, out } = pathsIn(trial);
    for (const path of [adapter, copy, out]) assert.deepEqual(asidesIn(path), [], at);
    const keeps = await tensorsOf(kept).catch(() => new Map<string, string>());
    for (const [name, bytes] of await tensorsOf(weights))
      assert.ok(bytes === originals.get(name) || keeps.get(name) === originals.get(name), `${at}: ${name} is lost`);
    await restore(trial);
    assert.deepEqual(readFileSync(weights), first, `${at}: restored`);
    for (const path of [copy, out]) {
      if (!readdirSync(trial).includes(path.slice(trial.length + 1))) continue;
      const written = await openAdapter(path);
      assert.equal(written.provenance?.modules.length, 2, at);
      assert.ok(readdirSync(path).includes(WEIGHTS), at);
    }
  }
  process.stdout.write(`# ${JSON.stringify(seen)}\n`);
});

function asidesIn(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => name.includes('.safe-lora-'));
  } catch {
    return [];
  }
}

async function tensorsOf(path: string): Promise<Map<string, string>> {
  const { tensors } = await openSafetensors(path);
  return new Map(
    await Promise.all(
      [...tensors.values()].map(
        async (tensor) => [tensor.name, Buffer.from(await readTensor(tensor)).toString('hex')] as const,
      ),
    ),
  );
}
