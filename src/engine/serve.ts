// The side of a forked program: it answers its host for as long as that is there.
import { beat } from './beats';

/** @param answer takes what the host sends, of the types that the two have agreed on */
export function serve(answer: (question: never) => void): void {
  beat(Number(process.argv[2]));
  process.on('message', (question) => {
    answer(question as never);
  });
  // The host decides when a child ends; an interrupt at the terminal reaches the whole process group.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
}

export function send(message: object): void {
  process.send?.(message);
}
