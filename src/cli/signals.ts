// What ends a program from outside, and the exit status that its shell then expects.

/** @param end is to tidy up and to end the process with the status */
export function onEndingSignal(end: (status: number) => void): void {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      end(status);
    });
  }
}
