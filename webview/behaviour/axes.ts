// Axes of charts by the number of projected modules.
import { decimal } from '../../src/core/text';

/** Width of a count and the gap beside it, in CSS pixels. */
const COUNT_WIDTH = 56;

/** Half a step more than the counts, so that the outer points do not touch the frame. */
export function countRange(most: number): { min: number; max: number } {
  const inset = 0.03 * most;
  return { min: -inset, max: most + inset };
}

/** Round numbers from 0 to the most, with room for each. */
export function countTicks(most: number, width: number): number[] {
  const fit = width / COUNT_WIDTH;
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((candidate) => most / candidate <= fit) ?? most;
  const round = Array.from({ length: Math.ceil(most / step) }, (_, i) => i * step);
  // The last round number gives way to the most, if they are close.
  return [...round.filter((count) => most - count >= 0.6 * step), most];
}

export function hundredths(value: number | string): string {
  return decimal(Number(value), 2);
}
