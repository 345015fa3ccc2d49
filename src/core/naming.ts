// Names of an adapter's modules: their positions in the model, their order, and the modules that a target matches.
import { NameMatcher } from './name-matcher';
import { appendTo } from './objects';
import { firstFitting, PatternError, wholePattern } from './patterns';
import { isIndex } from './weight-names';

/** Where a module sits, read from its name. */
export interface Position {
  /** `encoder`, `decoder`, a tower's name, or null in a model of one stack. */
  stack: string | null;
  /** The first number in the name. */
  layer: number | null;
  /** The shortest dotted suffix that distinguishes it from its layer's other modules, e.g. `q_proj` or `SelfAttention.q`. */
  kind: string;
  expert: number | null;
}

/**
 * The modules that PEFT adapts, by the entries of `target_modules`: in a list an entry is a name or its end, alone it is a pattern for
 * whole names (`check_target_module_exists` in peft/tuners/tuners_utils.py). Entries without modules and unusable patterns are omitted.
 */
export function targeted(
  modules: readonly string[],
  entries: readonly string[],
  inList: boolean,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  if (inList) {
    const ends = new NameMatcher(entries);
    for (const name of modules) for (const entry of ends.endsOf(name)) appendTo(found, entry, name);
    return found;
  }
  for (const entry of entries) {
    const fitting = entry === 'all-linear' ? modules.map(() => 0) : fittingPattern(entry, modules);
    const names = modules.filter((_, i) => fitting?.[i] === 0);
    if (names.length > 0) found.set(entry, names);
  }
  return found;
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

/** A parsed module name. */
interface Draft {
  name: string;
  stack: string | null;
  layer: number | null;
  expert: number | null;
  /** The parts after the layer's number, without the expert's. */
  tail: string[];
  /** The same, joined. */
  whole: string;
  /** Equal for modules of the same layer. */
  cell: string;
}

/** Parses all of an adapter's module names together, since the length of a kind's name depends on its neighbours. */
export function positions(names: readonly string[]): Map<string, Position> {
  const drafts = names.map(draftOf);
  const kinds = kindsOf(drafts);
  return new Map(
    drafts.map(({ name, stack, layer, expert }) => [name, { stack, layer, kind: kinds.get(name)!, expert }]),
  );
}

function draftOf(name: string): Draft {
  const parts = name.split('.');
  const layerAt = parts.findIndex(isIndex);
  const expertAt = parts.findIndex(
    (part, index) => index > layerAt && isIndex(part) && /experts?$/.test(parts[index - 1]!),
  );
  const head = layerAt < 0 ? parts : parts.slice(0, layerAt);
  const tail = parts.filter((_, index) => index > layerAt && index !== expertAt);
  const stack = head.find((part) => STACKS.includes(part)) ?? null;
  const layer = layerAt < 0 ? null : Number(parts[layerAt]);
  const expert = expertAt < 0 ? null : Number(parts[expertAt]);
  return { name, stack, layer, expert, tail, whole: tail.join('.'), cell: JSON.stringify([stack, layer]) };
}

/**
 * The kinds by module name. A kind that matches two weights of any layer is lengthened in every layer, so that each kind is one column.
 * Each part of a name is examined once.
 */
function kindsOf(drafts: readonly Draft[]): Map<string, string> {
  const kinds = new Map<string, string>();
  /** Modules whose names share their last `length` parts. */
  const waiting = sortedOut(drafts, 1);
  for (let group = waiting.pop(); group; group = waiting.pop()) {
    const { members, length } = group;
    if (isClear(members)) {
      for (const { name, tail } of members) kinds.set(name, tail.slice(-length).join('.'));
      continue;
    }
    for (const { name, tail, whole } of members) if (tail.length <= length) kinds.set(name, whole);
    const longer = members.filter(({ tail }) => tail.length > length);
    for (const next of sortedOut(longer, length + 1)) waiting.push(next);
  }
  return kinds;
}

/** @param length of the ends; all but the first part of them are equal already */
function sortedOut(drafts: readonly Draft[], length: number): { members: Draft[]; length: number }[] {
  const groups = new Map<string, Draft[]>();
  for (const draft of drafts) appendTo(groups, draft.tail.at(-length) ?? '', draft);
  return [...groups.values()].map((members) => ({ members, length }));
}

/** True if no layer has two weights. */
function isClear(members: readonly Draft[]): boolean {
  const seen = new Map<string, string>();
  return members.every(({ cell, whole }) => {
    const other = seen.get(cell);
    seen.set(cell, whole);
    return other === undefined || other === whole;
  });
}

/** By the last part of a kind. */
const KIND_ORDER: ReadonlyMap<string, number> = new Map(
  [
    ['q', 'q_proj', 'query'],
    ['k', 'k_proj', 'key'],
    ['v', 'v_proj', 'value'],
    ['o', 'o_proj', 'out_proj'],
    ['gate_proj'],
    ['up_proj'],
    ['down_proj'],
  ].flatMap((names, order) => names.map((name) => [name, order] as const)),
);

function kindOrder(kind: string): number {
  return KIND_ORDER.get(kind.slice(kind.lastIndexOf('.') + 1)) ?? KIND_ORDER.size;
}

function stackOrder(stack: string | null): number {
  return stack === null ? -1 : STACKS.indexOf(stack);
}

/** The order of every list: stack, layer, kind, expert, name. Modules outside all layers come last in their stack. */
export function comparePositions(a: Position & { name: string }, b: Position & { name: string }): number {
  return (
    stackOrder(a.stack) - stackOrder(b.stack) ||
    (a.layer ?? Infinity) - (b.layer ?? Infinity) ||
    kindOrder(a.kind) - kindOrder(b.kind) ||
    compareText(a.kind, b.kind) ||
    (a.expert ?? -1) - (b.expert ?? -1) ||
    compareText(a.name, b.name)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
