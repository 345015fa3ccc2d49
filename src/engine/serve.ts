// A forked program's side: it answers its host until that exits.
import { beat } from './beats';

/** @param answer receives the host's messages, of the agreed types */
export function serve(answer: (question: never) => void): void {
  beat(Number(process.argv[2]));
  process.on('message', (question) => {
    answer(question as never);
  });
  // The host ends its children; an interrupt at the terminal reaches the whole process group.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
}

export function send(message: object): void {
  process.send?.(message);
}
