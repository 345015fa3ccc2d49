// Signals that end a program, and the exit status that a shell expects for each.

/**
 * @param end must clean up and exit with the status
 * @returns a function that stops listening
 */
export function onEndingSignal(end: (status: number) => void): () => void {
  const listeners = (
    [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const
  ).map(([signal, status]) => {
    const listener = (): void => {
      end(status);
    };
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => {
    for (const stop of listeners) stop();
  };
}
