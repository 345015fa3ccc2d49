// Click handlers of controls.
/** A click's work: the host shows failures. */
export function asking(what: () => Promise<void>): () => void {
  return () => {
    what().catch(() => undefined);
  };
}
