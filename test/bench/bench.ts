// npm run bench: how fast the engine is against reading the weights and against the reference's way. docs/performance.md explains it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onEndingSignal } from '../../src/cli/signals';
import { SafeLoraError } from '../../src/core/errors';
import { type Device, devices } from '../../src/engine/providers';
import { openDevices } from '../fixtures/devices';
import { root } from '../fixtures/make';
import { BEHAVIOUR_CASE, runBehaviourCase } from './behaviour';
import { cases, type CaseSpec, tinyCases } from './cases';
import { endWorkers } from './crew';
import { type EngineSetup } from './measure';
import { runCases } from './run';
import { measureScaling, scalingPlot } from './scaling';
import { legend, tableLines } from './table';
import { Workspace } from './workspace';

const USAGE = `npm run bench -- [--case NAME]… [--device NAME] [--workers N] [--rounds N] [--no-reference] [--tiny] [--json FILE] [--keep]
npm run bench -- --layers [--device NAME] [--json FILE] [--keep]   draws docs/scaling.svg`;
const LAYER_COUNTS = [1, 2, 4, 8, 16, 32];

interface Options {
  /** Asked for by its name alone: it needs the interop test's Python. */
  behaviour: boolean;
  chosen: CaseSpec[];
  device: Device;
  layers: boolean;
  /** Engine children on the device; undefined for as many as the engine takes by itself. */
  workers: number | undefined;
  json: string | undefined;
  keep: boolean;
}

function parse(): Options {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', multiple: true },
      device: { type: 'string', default: 'auto' },
      layers: { type: 'boolean', default: false },
      workers: { type: 'string' },
      rounds: { type: 'string' },
      'no-reference': { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  const specs = values.tiny ? tinyCases : cases;
  const known = specs.map(({ name }) => name);
  const unknown = values.case?.find((name) => !known.includes(name) && name !== BEHAVIOUR_CASE);
  if (unknown !== undefined) throw new Error(`--case ${unknown}: there are ${known.join(', ')}, ${BEHAVIOUR_CASE}`);
  const device = devices.find((name) => name === values.device);
  if (device === undefined) throw new Error(`--device ${values.device}: there are ${devices.join(', ')}`);
  const rounds = count('--rounds', values.rounds) ?? Infinity;
  const chosen = specs
    .filter(({ name }) => values.case?.includes(name) ?? true)
    .map((spec) => ({
      ...spec,
      rounds: Math.min(spec.rounds, rounds),
      referenceRounds: values['no-reference'] ? 0 : Math.min(spec.referenceRounds, rounds),
    }));
  const workers = count('--workers', values.workers);
  const behaviour = values.case?.includes(BEHAVIOUR_CASE) ?? false;
  return { behaviour, chosen, device, layers: values.layers, workers, json: values.json, keep: values.keep };
}

function count(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1)) throw new Error(`${option}: a number from 1`);
  return value;
}

async function main(
  { behaviour, chosen, device, layers, workers, json, keep }: Options,
  workspace: Workspace,
): Promise<void> {
  const known = openDevices();
  const { provider, fallbackReason } = await known.choose(device);
  const setup: EngineSetup = { ...(await known.process(provider)), ...(workers === undefined ? {} : { workers }) };
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ` +
      `node ${process.versions.node}, computing on: ${provider}${fallbackReason === null ? '' : ` (${fallbackReason})`}`,
  );
  let record: object;
  if (layers) {
    const spec = cases[0]!;
    const points = await measureScaling(await workspace.tasks(spec), spec.kinds.length, LAYER_COUNTS, setup);
    for (const point of points) {
      console.log(`${point.layers} layers: ${point.engineMs.toFixed(0)} ms, ${point.peakMiB?.toFixed(0) ?? '-'} MiB`);
    }
    mkdirSync(join(root, 'docs'), { recursive: true });
    writeFileSync(join(root, 'docs/scaling.svg'), scalingPlot(points));
    record = { scaling: points };
  } else if (behaviour) {
    record = { [BEHAVIOUR_CASE]: await runBehaviourCase(workspace.folder, console.log) };
  } else {
    const results = await runCases(chosen, workspace, { keep, log: console.log, setup });
    console.log(`\n${tableLines(results).join('\n')}\n\n${legend}`);
    record = { cases: results.map(({ figures }) => figures) };
  }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(record, undefined, 2)}\n`);
}

function parseOrExplain(): Options {
  try {
    return parse();
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const options = parseOrExplain();
const workspace = new Workspace();
function tidy(): void {
  endWorkers();
  if (options.keep) console.log(`kept: ${workspace.folder}`);
  else workspace.remove();
}
onEndingSignal((status) => {
  tidy();
  process.exit(status);
});
main(options, workspace)
  .catch((error: unknown) => {
    console.error(error instanceof SafeLoraError ? `bench: ${error.message}` : error);
    process.exitCode = 1;
  })
  .finally(tidy);
