// A run with a notification where it takes a while; its Cancel is the run's own.
import type * as vscode from 'vscode';
import { type Progress, withProgress } from './surface';

/** A shorter run shows no notification; the page shows it anyway. */
const NOTIFY_AFTER_MS = 800;

export interface VisibleRun {
  title: string;
  onDidChange: vscode.Event<void>;
  /** The progress in percent, and in words; null where there is nothing to tell. */
  look: () => { share: number; message?: string | undefined } | null;
  stop: () => Promise<void>;
}

export async function runVisibly({ title, onDidChange, look, stop }: VisibleRun, run: Promise<void>): Promise<void> {
  const quick = new Promise<false>((resolve) => setTimeout(resolve, NOTIFY_AFTER_MS, false));
  if (await Promise.race([run.then(() => true), quick])) return;
  const show = async (progress: Progress, token: vscode.CancellationToken): Promise<void> => {
    let shown = 0;
    const tell = (): void => {
      const found = look();
      if (!found) return;
      const { share, message } = found;
      progress.report({ ...(message === undefined ? {} : { message }), increment: Math.max(0, share - shown) });
      shown = share;
    };
    const listening = onDidChange(tell);
    token.onCancellationRequested(() => void stop());
    await run.finally(() => {
      listening.dispose();
    });
  };
  await withProgress(title, show, true);
}
