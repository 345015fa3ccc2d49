import * as vscode from 'vscode';

export function activate(context: vscode.ExtensionContext): void {
  context.subscriptions.push(
    vscode.window.registerCustomEditorProvider('safeLora.adapter', {
      openCustomDocument: (uri: vscode.Uri) => ({ uri, dispose: () => undefined }),
      resolveCustomEditor: (document: vscode.CustomDocument, panel: vscode.WebviewPanel) => {
        panel.webview.html = `<h1>${document.uri.path}</h1>`;
      },
    }),
  );
}
