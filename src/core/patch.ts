// From projected updates to an adapter's file: only the projected lora_B tensors change, every other byte stays.
import { stat } from 'node:fs/promises';
import { type Adapter } from './adapter';
import { type Plan } from './plan';
import { type Provenance, PROVENANCE_KEY, PROVENANCE_SCHEMA } from './provenance';
import { DEFAULT_REPLACEMENT } from './replacement';
import { type MeasuredModule, refuseOverflow, selectable } from './report';
import { hashBytes, hashRange, readHead, readTensor } from './safetensors';
import { encodeHeader, writeParts } from './safetensors-writer';
import { select, type Selection } from './rules';

/** The difference between a projected adapter and its original: the replaced tensors, and their sources. */
export interface Projection {
  /** The projected lora_B's bytes, by module. */
  tensors: ReadonlyMap<string, Uint8Array>;
  provenance: Provenance;
}

/**
 * The projection of the selected modules. Modules without originals stay unchanged and named.
 * @param modules every module of the plan, in its order
 * @throws SafeLoraError where a projected B does not fit its dtype
 */
export async function makeProjection(
  plan: Plan,
  modules: readonly MeasuredModule[],
  selection: Selection,
  version: string,
): Promise<Projection> {
  const names = select(modules.map(selectable), selection);
  refuseOverflow(
    plan,
    modules.filter((module) => names.has(module.name)),
  );
  const tensors = new Map<string, Uint8Array>();
  const sha256 = new Map<string, string>();
  for (const { name, projected, alreadyProjected, b } of modules) {
    if (names.has(name)) {
      if (!projected?.bytes) throw new Error(`the projection of ${name} is not at hand`);
      tensors.set(name, projected.bytes);
      sha256.set(name, hashBytes(projected.bytes));
    } else if (alreadyProjected) {
      sha256.set(name, await hashRange(b));
    }
  }
  const { adapter, base, aligned } = plan;
  const provenance: Provenance = {
    schema: PROVENANCE_SCHEMA,
    tool: { version },
    adapter: { name: adapter.name },
    base: { name: base.name, headers: base.headersHash },
    aligned: { name: aligned.name, headers: aligned.headersHash },
    selection,
    replacement: DEFAULT_REPLACEMENT,
    modules: [...sha256.keys()],
    sha256: Object.fromEntries(sha256),
  };
  return { tensors, provenance };
}

/** The projection in an adapter's file; null if the file is an original, or its originals are gone. */
export async function readProjection({ originals, provenance, modules, file }: Adapter): Promise<Projection | null> {
  if (!originals || !provenance) return null;
  const tensors = new Map<string, Uint8Array>();
  const names = new Set(provenance.modules);
  for (const { name, b, alreadyProjected } of modules) {
    if (names.has(name) && !alreadyProjected) {
      tensors.set(name, await readTensor(file.tensors.get(b.name)!));
    }
  }
  return { tensors, provenance };
}

/**
 * Rewrites the adapter's file: tensors, their order and the metadata stay the original's, with the provenance added.
 * @param projection null writes the original file, bit for bit
 */
export async function writeAdapterFile(path: string, adapter: Adapter, projection: Projection | null): Promise<void> {
  const { file, originals } = adapter;
  const modules = new Map(adapter.modules.map((module) => [module.b.name, module]));
  const tensors = [...file.tensors.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
  const bodies = tensors.map((tensor) => {
    const module = modules.get(tensor.name);
    const projected = module && projection?.tensors.get(module.name);
    if (projected && projected.length !== tensor.length) {
      throw new Error(`the projection of ${module.name} was made for another adapter`);
    }
    return projected ?? module?.b ?? tensor;
  });
  const head = projection
    ? encodeHeader(
        file.tensors.values(),
        new Map(file.metadata).set(PROVENANCE_KEY, JSON.stringify(projection.provenance)),
        file.dataStart,
      )
    : (originals?.head ?? (await readHead(file)));
  await writeParts(path, [head, ...bodies], (await stat(file.path)).mode & 0o777);
}
