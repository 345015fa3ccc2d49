// A page in a webview: only its own bundle and styles from dist/, no external resources.
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** @param name of the page's script and styles in dist/ */
export function servePage(webview: vscode.Webview, extensionUri: vscode.Uri, name: 'page' | 'comparison'): void {
  const dist = vscode.Uri.joinPath(extensionUri, 'dist');
  webview.options = { enableScripts: true, localResourceRoots: [dist] };
  const nonce = randomBytes(16).toString('base64');
  const file = (ending: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(dist, `${name}.${ending}`)).toString();
  const policy = [
    "default-src 'none'",
    `style-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data:`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  webview.html = `<!doctype html>
<html lang="${vscode.env.language}">
  <head>
    <meta charset="utf-8" />
    <meta http-equiv="Content-Security-Policy" content="${policy}" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <link rel="stylesheet" href="${file('css')}" />
    <title>Safe LoRA</title>
  </head>
  <body>
    <script nonce="${nonce}" src="${file('js')}"></script>
  </body>
</html>`;
}
