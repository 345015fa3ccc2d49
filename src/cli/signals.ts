// What ends a program from outside, and the exit status that its shell then expects.

/**
 * @param end is to tidy up and to end the process with the status
 * @returns what ends the listening
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
