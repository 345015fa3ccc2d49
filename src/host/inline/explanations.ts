// Where the README explains a problem's code: the link that the code is.
import * as vscode from 'vscode';
import { PROBLEMS_ANCHOR } from '../common/contributions';

export class Explanations {
  private lines: Promise<string[]> | undefined;

  /** @param readme the extension's own */
  constructor(private readonly readme: vscode.Uri) {}

  async of(code: string): Promise<vscode.Uri> {
    this.lines ??= this.read();
    const lines = await this.lines;
    const row = lines.findIndex((line) => line.startsWith(`| \`${code}\` |`));
    const line = row < 0 ? lines.indexOf(PROBLEMS_ANCHOR) : row;
    // The editor opens a file at the line that its address names so.
    return this.readme.with({ fragment: `L${line + 1}` });
  }

  private async read(): Promise<string[]> {
    const bytes = await vscode.workspace.fs.readFile(this.readme);
    return Buffer.from(bytes).toString('utf8').split('\n');
  }
}
