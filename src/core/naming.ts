// Names of an adapter's modules: where in the model each sits, their order, and which of them a target means.
import { firstFitting, PatternError, wholePattern } from './patterns';
import { isIndex } from './weight-names';

/** Where a module sits, read from its name. */
export interface Position {
  /** `encoder`, `decoder`, a tower's name, or null in a model of one stack. */
  stack: string | null;
  /** The first number in the name. */
  layer: number | null;
  /** The shortest dotted tail that tells it from the other modules of its layer, e.g. `q_proj` or `SelfAttention.q`. */
  kind: string;
  expert: number | null;
}

/**
 * The modules that PEFT adapts for an entry of `target_modules`: in a list an entry is a name or its end, alone it is a pattern of
 * whole names (`check_target_module_exists` in peft/tuners/tuners_utils.py). None where the pattern cannot be used.
 */
export function targeted(modules: readonly string[], entry: string, inList: boolean): Set<string> {
  if (inList) return new Set(modules.filter((name) => name === entry || name.endsWith(`.${entry}`)));
  if (entry === 'all-linear') return new Set(modules);
  const fitting = fittingPattern(entry, modules);
  return new Set(modules.filter((_, i) => fitting?.[i] === 0));
}

function fittingPattern(entry: string, modules: readonly string[]): number[] | null {
  try {
    return firstFitting([wholePattern(entry)], modules);
  } catch (error) {
    if (error instanceof PatternError) return null;
    throw error;
  }
}

const STACKS = ['encoder', 'decoder', 'vision_tower', 'vision_model', 'visual', 'audio_tower', 'language_model'];

/** Reads the positions of all of an adapter's modules, since how long a kind's name must be depends on its neighbours. */
export function positions(names: readonly string[]): Map<string, Position> {
  const drafts = names.map((name) => {
    const parts = name.split('.');
    const layerAt = parts.findIndex(isIndex);
    const expertAt = parts.findIndex(
      (part, index) => index > layerAt && isIndex(part) && /experts?$/.test(parts[index - 1]!),
    );
    const head = layerAt < 0 ? parts : parts.slice(0, layerAt);
    return {
      name,
      stack: head.find((part) => STACKS.includes(part)) ?? null,
      layer: layerAt < 0 ? null : Number(parts[layerAt]),
      expert: expertAt < 0 ? null : Number(parts[expertAt]),
      tail: parts.filter((_, index) => index > layerAt && index !== expertAt),
    };
  });
  const lengths = new Map(drafts.map(({ name }) => [name, 1]));
  const kindOf = (draft: (typeof drafts)[number]): string => draft.tail.slice(-lengths.get(draft.name)!).join('.');
  // A kind that means two weights of any layer is lengthened in every layer, so that a kind is one column throughout.
  for (let lengthened = true; lengthened;) {
    lengthened = false;
    const seen = new Map<string, string>();
    const unclear = new Set<string>();
    for (const draft of drafts) {
      const cell = JSON.stringify([draft.stack, draft.layer, kindOf(draft)]);
      const whole = draft.tail.join('.');
      if ((seen.get(cell) ?? whole) !== whole) unclear.add(kindOf(draft));
      seen.set(cell, whole);
    }
    for (const draft of drafts.filter((candidate) => unclear.has(kindOf(candidate)))) {
      const length = lengths.get(draft.name)!;
      if (length === draft.tail.length) continue;
      lengths.set(draft.name, length + 1);
      lengthened = true;
    }
  }
  return new Map(
    drafts.map((draft) => [
      draft.name,
      { stack: draft.stack, layer: draft.layer, kind: kindOf(draft), expert: draft.expert },
    ]),
  );
}

const KIND_ORDER = [
  /^(?:q|q_proj|query)$/,
  /^(?:k|k_proj|key)$/,
  /^(?:v|v_proj|value)$/,
  /^(?:o|o_proj|out_proj)$/,
  /^gate_proj$/,
  /^up_proj$/,
  /^down_proj$/,
];

function kindRank(kind: string): number {
  const last = kind.slice(kind.lastIndexOf('.') + 1);
  const index = KIND_ORDER.findIndex((pattern) => pattern.test(last));
  return index < 0 ? KIND_ORDER.length : index;
}

function stackRank(stack: string | null): number {
  return stack === null ? -1 : STACKS.indexOf(stack);
}

/** The order of every list: stack, layer, kind, expert, name. Modules outside all layers come last in their stack. */
export function comparePositions(a: Position & { name: string }, b: Position & { name: string }): number {
  return (
    stackRank(a.stack) - stackRank(b.stack) ||
    (a.layer ?? Infinity) - (b.layer ?? Infinity) ||
    kindRank(a.kind) - kindRank(b.kind) ||
    compareText(a.kind, b.kind) ||
    (a.expert ?? -1) - (b.expert ?? -1) ||
    compareText(a.name, b.name)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
