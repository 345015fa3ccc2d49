// Prefills prompts in pieces: computing a token's scores for the later ones would waste time and memory.
import { type KeyValueCache } from './cache';
import { type Forward, padded } from './forward';

/** Positions of one piece. */
export const PIECE = 128;

export interface Prompts {
  rows: readonly (readonly number[])[];
  /** The gates of each row. */
  variants: readonly Uint8Array[];
}

/** A question about the token after a position of a row. */
export interface Asked {
  row: number;
  position: number;
  /** Tokens whose log-probability is requested. */
  picks: readonly number[];
}

export interface Next {
  /** The most likely token. */
  token: number;
  /** Natural logarithms, one for each pick. */
  picked: number[];
}

/** Destination of keys and values: the rows from this one on. */
export interface Slots {
  cache: KeyValueCache;
  begin: number;
}

/**
 * @param slots null keeps nothing; the prompts then run in one piece
 * @returns the answers in the order of the questions
 * @throws NotFinite
 */
export async function prefill(
  forward: Forward,
  { rows, variants }: Prompts,
  questions: readonly Asked[],
  slots: Slots | null,
): Promise<Next[]> {
  const longest = Math.max(...rows.map(({ length }) => length));
  const step = slots ? PIECE : longest;
  const answers = new Array<Next>(questions.length);
  for (let from = 0; from < longest; from += step) {
    const to = Math.min(from + step, longest);
    const width = to - from;
    const [before, after] = [from, to].map((end) => rows.map(({ length }) => Math.min(end, length))) as [
      number[],
      number[],
    ];
    const here = [...questions.entries()].filter(([, { position }]) => position >= from && position < to);
    const input = {
      ...padded(
        rows.map((row) => row.slice(from, to)),
        width,
      ),
      before,
      variants,
      // Some devices refuse empty tensors.
      asked: here.length === 0 ? [0] : here.map(([, { row, position }]) => row * width + position - from),
      picks: here.length === 0 ? [[0]] : here.map(([, { picks }]) => picks),
    };
    const past = from === 0 ? null : slots!.cache.copy(slots!.begin, rows.length, from);
    const { next, picked, fresh } = await forward.run(input, past, slots !== null);
    slots?.cache.append(fresh, slots.begin, before, after);
    const most = picked.length / input.asked.length;
    here.forEach(([question, { picks }], i) => {
      const logProbabilities = [...picked.subarray(i * most, i * most + picks.length)];
      answers[question] = { token: Number(next[i]), picked: logProbabilities };
    });
  }
  return answers;
}
