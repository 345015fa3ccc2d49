// Links a problem's code to its row in docs/codes.md.
import * as vscode from 'vscode';
import { PROBLEMS_ANCHOR } from '../common/contributions';

export class Explanations {
  private lines: Promise<string[]> | undefined;

  /** @param page docs/codes.md in the installed extension */
  constructor(private readonly page: vscode.Uri) {}

  async of(code: string): Promise<vscode.Uri> {
    this.lines ??= this.read();
    const lines = await this.lines;
    const row = lines.findIndex((line) => line.startsWith(`| \`${code}\` |`));
    const line = row < 0 ? lines.indexOf(PROBLEMS_ANCHOR) : row;
    // The editor opens a file at the line in the URL's fragment.
    return this.page.with({ fragment: `L${line + 1}` });
  }

  private async read(): Promise<string[]> {
    const bytes = await vscode.workspace.fs.readFile(this.page);
    return Buffer.from(bytes).toString('utf8').split('\n');
  }
}
