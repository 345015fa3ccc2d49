export interface EditorTools {
  node: string;
  codeServer: string;
  chromium: string;
}
export function editorTools(): EditorTools;
export function install(): void;
