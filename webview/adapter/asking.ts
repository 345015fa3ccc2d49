// What a control does when it is clicked.
/** A click's work: the host shows what goes wrong. */
export function asking(what: () => Promise<void>): () => void {
  return () => {
    what().catch(() => undefined);
  };
}
