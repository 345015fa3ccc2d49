// As much of the editor's interface as its readers of files need, for a process without an editor.
export const l10n = {
  t: (text: string, ...values: unknown[]): string =>
    text.replace(/\{(\d+)\}/g, (_, index: string) => String(values[Number(index)])),
};

export class Range {
  readonly values: unknown[];
  constructor(...values: unknown[]) {
    this.values = values;
  }
}

export class EventEmitter {
  readonly event = (): undefined => undefined;
  readonly dispose = (): undefined => undefined;
}

/** What surface.ts names and no reader of files uses. */
class Unused {
  readonly isUnused = true;
}
export {
  Unused as CancellationError,
  Unused as CodeLens,
  Unused as Diagnostic,
  Unused as FileDecoration,
  Unused as LanguageModelTextPart,
  Unused as LanguageModelToolResult,
  Unused as MarkdownString,
  Unused as ThemeColor,
};
export const [lm, ProgressLocation, StatusBarAlignment, ViewColumn, window] = [{}, {}, {}, {}, {}];

export const languages = { registerCodeLensProvider: () => ({ dispose: () => undefined }) };

export const Uri = { joinPath: (): object => ({}) };
