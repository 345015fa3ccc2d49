// Mutations of JSON as text that JSON.stringify could not write: keys twice, numbers without end, any order.
import { isObject, parseObject } from '../../../src/core/objects';
import { type Random } from './random';

/** A value as its text, a list, or an object whose keys are texts, too, and may come twice. */
type Json = string | Json[] | { members: [key: string, value: Json][] };

const deep = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);

/** Texts of values, of which some are not even JSON. */
const VALUES: readonly string[] = [
  ...['null', 'true', 'false', '0', '-1', '-0', '0.5', '1e3', '2', '1e308', '1e999', '-1e999', '5e-324'],
  ...['NaN', 'Infinity', '-Infinity', '9007199254740993', '18446744073709551616', '4294967296', '01', '.5'],
  ...['""', '"\\u0000"', '"\\n\\r"', '"\\u001b[2J\\u001b]0;x\\u0007"', '"\\u009b31m"', '"\\ud800"', '"\\u202e"', '"\\u2028"'],
  ...['"__proto__"', '"constructor"', '"toString"', '"../../outside/secret.txt"', '"/etc/passwd"', '"C:\\\\x"', '"."'],
  ...['"(a+)+$"', '"["', '"(?<a>"', '".*"', '"^$"', '"all-linear"', '"hf://a/b@../../x"', '"[x](command:foo)"', '"=cmd()"'],
  ...['[]', '{}', '[[]]', '[null]', '[1]', '[{}]', '["__proto__"]', '[""]', '{"__proto__":{"x":1}}', '{"":1}', '{"constructor":null}'],
  ...[deep(60, '[', ']'), deep(5000, '[', ']'), `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`, '"', '{', ']'],
]; // prettier-ignore
/** Too long for most draws. */
const LONG: readonly (() => string)[] = [
  () => JSON.stringify('a'.repeat(5000)),
  () => JSON.stringify('lora_B.'.repeat(20_000)),
  () => deep(100_000, '[', ']'),
  () => `[${'1,'.repeat(20_000)}1]`,
];
const KEYS: readonly string[] = ['"__proto__"', '"constructor"', '"toString"', '"hasOwnProperty"', '""', '"\\u001b[31m"', '"\\u0000"', '"1"', '"a\\u0062"', '"__metadata__"', '"dtype"']; // prettier-ignore

/** Where a value is, and what holds it. */
interface Slot {
  get: () => Json;
  set: (value: Json) => void;
  /** What holds it, and its key there; none for the whole. */
  within?: { json: Exclude<Json, string>; at: number };
}

/** @returns the mutated text */
export function mutateJson(text: string, random: Random): string {
  try {
    const mutated = mutateTree(JSON.parse(text), random);
    return random.chance(0.03) ? mutateText(mutated, random) : mutated;
  } catch {
    // It is none, or deeper than this process's stack.
    return mutateText(text, random);
  }
}

function mutateTree(value: unknown, random: Random): string {
  let root = jsonOf(value);
  const slots: Slot[] = [];
  collect({ get: () => root, set: (json) => (root = json) }, slots);
  mutateSlot(random.pick(slots), slots, random);
  return textOf(root);
}

function mutateText(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  return random.pick([
    `\ufeff${text}`,
    `${text}${text}`,
    `${text}\0`,
    text.slice(0, at),
    text.slice(0, at) + random.pick(VALUES) + text.slice(at),
    `// a comment\n${text}`,
    '',
  ]);
}

function mutateSlot(slot: Slot, slots: readonly Slot[], random: Random): void {
  const value = slot.get();
  const { within } = slot;
  const list = within && ('members' in within.json ? within.json.members : within.json);
  switch (random.below(10)) {
    case 0:
      list?.splice(within!.at, 1);
      break;
    case 1: // twice
      list?.splice(within!.at, 0, list[within!.at] as never);
      break;
    case 2:
      if (within && 'members' in within.json) within.json.members[within.at]![0] = random.pick(KEYS);
      break;
    case 3:
      list?.reverse();
      break;
    case 4:
      if (typeof value === 'object' && 'members' in value) value.members.push([random.pick(KEYS), newValue(random)]);
      else slot.set([value, newValue(random)]);
      break;
    case 5:
      slot.set(random.chance(0.5) ? [value] : { members: [[random.pick(KEYS), value]] });
      break;
    case 6: // another's
      slot.set(structuredClone(random.pick(slots).get()));
      break;
    case 7:
    case 8:
      slot.set(typeof value === 'string' ? tweak(value, random) : newValue(random));
      break;
    default:
      slot.set(newValue(random));
  }
}

function newValue(random: Random): string {
  return random.chance(0.02) ? random.pick(LONG)() : random.pick(VALUES);
}

/** A little beside what it was. */
function tweak(literal: string, random: Random): string {
  const number = Number(literal);
  if (Number.isFinite(number)) return String(random.pick([number + 1, number - 1, -number, 2 * number, number / 2, number * 1e9, 0, 2 ** 53])); // prettier-ignore
  if (!literal.startsWith('"')) return newValue(random);
  const text = JSON.parse(literal) as string;
  // An entry of a header's metadata is itself the text of an object.
  if (parseObject(text)) return JSON.stringify(mutateJson(text, random));
  const at = random.below(text.length + 1);
  const piece = random.pick([
    '\0',
    '.',
    '/',
    '"',
    '\\',
    '\n',
    '%',
    'A',
    'lora_B',
    '..',
    '\u001b[31m',
    '\u202e',
    'é',
    '',
  ]);
  return JSON.stringify(text.slice(0, at) + piece + text.slice(at + random.below(3)));
}

function collect(slot: Slot, slots: Slot[]): void {
  slots.push(slot);
  const json = slot.get();
  if (typeof json === 'string') return;
  const list = 'members' in json ? json.members : json;
  list.forEach((entry, at) => {
    const inside: Slot =
      'members' in json
        ? { get: () => json.members[at]![1], set: (value) => (json.members[at]![1] = value), within: { json, at } }
        : { get: () => entry, set: (value) => (json[at] = value), within: { json, at } };
    collect(inside, slots);
  });
}

function jsonOf(value: unknown): Json {
  if (Array.isArray(value)) return value.map(jsonOf);
  if (!isObject(value)) return JSON.stringify(value);
  return { members: Object.entries(value).map(([key, item]) => [JSON.stringify(key), jsonOf(item)]) };
}

function textOf(json: Json): string {
  if (typeof json === 'string') return json;
  if (Array.isArray(json)) return `[${json.map(textOf).join(',')}]`;
  return `{${json.members.map(([key, value]) => `${key}:${textOf(value)}`).join(',')}}`;
}
