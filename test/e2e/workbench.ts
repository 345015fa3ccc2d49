// The editor's window as a person uses it: palette, explorer, tabs, dialogs, notifications, quick inputs, themes.
import { mkdirSync } from 'node:fs';
import { basename, dirname, join, parse } from 'node:path';
import type { FrameLocator, Locator, Page } from 'playwright-core';
import { root } from '../fixtures/make';
import { again, PATIENCE_MS } from './patience';

/** The themes a page must look right in, by the class that each gives to the workbench. */
const themeClasses = {
  'Dark Modern': 'vs-dark',
  'Light Modern': 'vs',
  'Dark High Contrast': 'hc-black',
  'Light High Contrast': 'hc-light',
};
export type Theme = keyof typeof themeClasses;
export const themes = Object.keys(themeClasses) as Theme[];

export class Workbench {
  constructor(readonly window: Page) {
    // The browser asks before a window with unsaved changes is left; the editor keeps them.
    window.on('dialog', (dialog) => void dialog.accept().catch(() => undefined));
  }

  /** Opens the editor and waits until its explorer shows the workspace. */
  async open(url: string): Promise<void> {
    await this.window.goto(url);
    await this.ready();
  }

  /** Opens the editor that is at this address with no folder. */
  async openEmpty(url: string): Promise<void> {
    await this.window.goto(new URL('?ew=true', url).href);
    await this.window.locator('.monaco-workbench').waitFor();
  }

  /** Reloads the window, as a person does it from the palette. */
  async reload(): Promise<void> {
    await Promise.all([this.window.waitForEvent('load'), this.command('Developer: Reload Window')]);
    await this.ready();
  }

  /** Runs a command by its full title in the palette, e.g. `Safe LoRA: Show Log`. */
  async command(title: string): Promise<void> {
    await this.choose('F1', `>${title}`, this.row(title));
  }

  /** Whether the palette offers a command now. */
  async offers(title: string): Promise<boolean> {
    await this.command('Show All Commands');
    await this.input.fill(`>${title}`);
    await this.quick.locator('.monaco-list-row').first().waitFor();
    const offered = await this.row(title).isVisible();
    await this.press('Escape');
    await this.quick.waitFor({ state: 'hidden' });
    return offered;
  }

  /** Opens a file by its path in the workspace, with its default editor, through quick open. */
  async openFile(path: string): Promise<void> {
    const folder = dirname(path) === '.' ? '' : ` ${dirname(path)}`;
    const { name } = parse(path);
    // A file whose tab has a label of its own is listed under that label.
    const labels = [`${basename(path)}${folder}`, `${basename(dirname(path))} (${name}) ${path}`];
    const rows = labels.map((label) => `.monaco-list-row[aria-label^="${label},"]`);
    // Until the search has come back, the list still shows what was opened before.
    const found = this.quick.locator(rows.join(', ')).first();
    await this.choose('Control+P', path, found);
    await this.group.locator(`.tab.active[data-resource-name="${basename(path)}"]`).waitFor();
  }

  /** The text editor of a file; a click into a line of it makes sure that what is typed reaches the file. */
  text(file: string): Locator {
    return this.window.locator(`.monaco-editor[data-uri$="/${file}"]:visible`);
  }

  /** The code lenses of the visible text editors, each row as its parts. */
  async lenses(): Promise<string[][]> {
    const rows = await this.window.locator('.codelens-decoration:visible').allInnerTexts();
    return rows.map((row) => row.split(/\s*\|\s*/).map((part) => part.trim()));
  }

  lens(text: string | RegExp): Locator {
    return this.window.locator('.codelens-decoration:visible > *').filter({ hasText: text });
  }

  /**
   * Clicks a lens until what it leads to is there: a click on one that is just being drawn anew is lost. What opens slowly may have
   * taken the lens away already.
   */
  async clickLens(text: string | RegExp, effect: Locator): Promise<void> {
    await this.lens(text).first().waitFor();
    await again(async (timeout) => {
      const lens = this.lens(text).first();
      if (await lens.isVisible()) await lens.click({ timeout });
      await effect.first().waitFor({ timeout });
    });
  }

  /** A line of the visible text editor that holds this text, with what is shown in it beside its own text. */
  line(text: string): Locator {
    return this.window.locator('.view-line:visible').filter({ hasText: text });
  }

  /** A word of the visible text editor. */
  word(text: string): Locator {
    return this.line(text)
      .locator('span')
      .filter({ hasText: wholly(text) })
      .last();
  }

  /** What pops up over a word of the text, once our table is in it: a problem of the same word may be there before. */
  async hover(word: string): Promise<Locator> {
    const table = this.window.locator('tbody');
    const hover = this.window.locator('.monaco-hover:visible .monaco-hover-content').filter({ has: table });
    await again(async (timeout) => {
      await this.window.mouse.move(0, 0);
      await this.word(word).hover({ timeout });
      await hover.first().waitFor({ timeout });
    });
    return hover;
  }

  /** A row of a tree view by its label. */
  treeRow(label: string | RegExp): Locator {
    const name = this.window
      .locator('.label-name')
      .filter({ hasText: typeof label === 'string' ? wholly(label) : label });
    return this.window.locator('.tree-explorer-viewlet-tree-view .monaco-list-row').filter({ has: name }).first();
  }

  /** The rows of the Problems view, which is closed again. */
  async problems(): Promise<string[]> {
    const panel = this.window.locator('.markers-panel:visible');
    await again(async (timeout) => {
      if (!(await panel.isVisible())) await this.press('Control+Shift+M');
      await panel.waitFor({ timeout });
    });
    const texts = await panel.locator('.monaco-list-row').allInnerTexts();
    // Where the panel has not the focus, the keys only give it that.
    await again(async (timeout) => {
      if (await panel.isVisible()) await this.press('Control+Shift+M');
      await panel.waitFor({ state: 'hidden', timeout });
    });
    return texts.map((text) => text.replace(/\s+/g, ' ').trim());
  }

  /** A file's or folder's row in the explorer; the folders above it are opened. */
  async explorerRow(path: string): Promise<Locator> {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = this.explorerEntry(parts.slice(0, depth).join('/'));
      if ((await folder.getAttribute('aria-expanded')) === 'false') await folder.click();
    }
    return this.explorerEntry(path);
  }

  /** The entries of the context menu of a file or folder in the explorer, which stays open. */
  async explorerMenu(path: string): Promise<string[]> {
    await (await this.explorerRow(path)).click({ button: 'right' });
    await this.menu.waitFor();
    return this.menu.locator('.action-label:not(.separator)').allInnerTexts();
  }

  /** The entries of Safe LoRA in the context menu of a file or folder in the explorer, which stay open. */
  async adapterMenu(path: string): Promise<string[]> {
    // An extension that has just started adds its menu late.
    await again(async (timeout) => {
      await this.closeMenu();
      await this.explorerMenu(path);
      await this.menu.getByText('Safe LoRA', { exact: true }).click({ timeout });
      await this.submenu.waitFor({ timeout });
    });
    return this.submenu.locator('.action-label:not(.separator)').allInnerTexts();
  }

  /** A submenu closes before its menu. */
  async closeMenu(): Promise<void> {
    await again(async (timeout) => {
      if (await this.menu.isVisible()) await this.press('Escape');
      await this.menu.waitFor({ state: 'hidden', timeout });
    });
  }

  /** Chooses an entry of Safe LoRA in the context menu of a file or folder in the explorer. */
  async explorerContextMenu(path: string, item: string): Promise<void> {
    await this.adapterMenu(path);
    const entry = this.submenu.getByText(item, { exact: true });
    // A menu hears no click in its first tenth of a second.
    await again(async (timeout) => {
      if (await this.menu.isVisible()) await entry.click({ timeout });
      await this.menu.waitFor({ state: 'hidden', timeout });
    });
  }

  /** What a custom editor shows; where several are side by side, the oldest first. */
  page(index = 0): FrameLocator {
    // A hidden tab keeps its frame, invisible.
    return this.window.locator('iframe.webview.ready:visible').nth(index).contentFrame().frameLocator('#active-frame');
  }

  /** A tab by its name or, where several files have that name, by the end of its path. */
  tab(file: string): Locator {
    const label = this.window.locator(`.tab-label[aria-label$="/${file}"], .tab-label[aria-label^="${file}"]`);
    return this.window.locator('.tabs-container .tab').filter({ has: label });
  }

  /** The path that the active tab shows. */
  async activeTab(): Promise<string> {
    return (await this.group.locator('.tab.active .tab-label').getAttribute('aria-label')) ?? '';
  }

  async isDirty(file: string): Promise<boolean> {
    return (await this.dirtyTab(file).count()) > 0;
  }

  /** Waits until a tab is marked as changed, or as saved. */
  async untilDirty(file: string, dirty = true): Promise<void> {
    await this.dirtyTab(file).waitFor({ state: dirty ? 'attached' : 'detached' });
  }

  /** A notification that holds this text, to be waited for. */
  notification(text: string | RegExp): Locator {
    return this.window.locator('.notifications-toasts .notification-list-item').filter({ hasText: text });
  }

  notifications(): Promise<string[]> {
    return this.window.locator('.notifications-toasts .notification-list-item-message').allInnerTexts();
  }

  /** All notifications so far, also those that have left the screen; their center stays open. */
  async notificationCenter(): Promise<Locator> {
    const center = this.window.locator('.notifications-center:visible');
    if (!(await center.isVisible())) await this.command('Notifications: Show Notifications');
    await center.waitFor();
    return center.locator('.notification-list-item');
  }

  async clickNotification(button: string): Promise<void> {
    const toasts = this.window.locator('.notifications-toasts');
    await toasts.getByRole('button', { name: button, exact: true }).first().click();
  }

  /** The text of the modal dialog, which is waited for. */
  async dialog(): Promise<string> {
    await this.dialogBox.waitFor();
    return this.dialogBox.locator('.dialog-message-container').innerText();
  }

  /** Answers the dialog and waits until it is gone; another may be there by then. */
  async clickDialog(button: string): Promise<void> {
    const box = await this.dialogBox.elementHandle();
    await this.dialogBox.getByRole('button', { name: button, exact: true }).click();
    await box.waitForElementState('hidden', { timeout: PATIENCE_MS });
  }

  /** Types into the input box that opens, and accepts. */
  async quickInput(text: string): Promise<void> {
    // A list of the same title, from which the box was chosen, may still be closing.
    await this.quick.locator('.quick-input-list').waitFor({ state: 'hidden' });
    await this.input.fill(text);
    await this.press('Enter');
  }

  /** Gives the dialog of this title, for opening or saving a file or a folder, an absolute path and accepts. */
  async fileDialog(title: string, path: string): Promise<void> {
    const titled = this.window.locator('.quick-input-title').filter({ hasText: wholly(title) });
    const dialog = this.quick.filter({ has: titled });
    await dialog.locator('.monaco-list-row').first().waitFor();
    await again(async (timeout) => {
      await this.input.fill(path, { timeout });
      // The dialog may still write its own proposal over the path, or complete it from the folder's names; nothing shows when it is done.
      await this.window.waitForTimeout(200);
      await this.press('Delete');
      const taken = await this.input.inputValue({ timeout });
      if (taken !== path && taken !== `${path}/`) throw new Error(`The file dialog holds ${taken} instead of ${path}`);
      await dialog.locator('.quick-input-action .monaco-button').first().click({ timeout });
      await dialog.waitFor({ state: 'hidden', timeout });
    });
  }

  /** The title and the prompt of the open quick input, and its entries. */
  async quickInputText(): Promise<string> {
    await this.input.waitFor();
    return this.quick.innerText();
  }

  /** Waits for a quick input with this title. */
  async asked(title: string): Promise<void> {
    await this.quick.locator('.quick-input-title').filter({ hasText: title }).waitFor();
  }

  /** Waits for a quick input with this prompt. */
  async chooses(prompt: string): Promise<void> {
    await this.quick.getByPlaceholder(prompt).waitFor();
  }

  /** Chooses an entry of the open quick pick by its whole label. */
  async pick(label: string): Promise<void> {
    // The list renders only the rows in view.
    await this.input.fill(label);
    await this.row(label).click();
  }

  /** Whether the open quick pick lists an entry of this whole label. */
  async lists(label: string): Promise<boolean> {
    await this.input.fill(label);
    const nothing = this.quick.locator('.quick-input-list:not(:has(.monaco-list-row))');
    await this.row(label).or(nothing).first().waitFor({ state: 'attached' });
    return this.row(label).isVisible();
  }

  /** How long an extension took to load and to activate, in ms, as the editor tells its user. */
  async activationTime(extension: string): Promise<number> {
    await this.command('Developer: Show Running Extensions');
    const row = this.window.locator(`.runtime-extensions-editor .monaco-list-row[aria-label="${extension}"]`);
    const [, time] = /(\d+) ?ms/.exec(await row.locator('.activation-time').innerText())!;
    // It lies over the window.
    await this.press('Escape');
    await row.waitFor({ state: 'hidden' });
    return Number(time);
  }

  async setTheme(theme: Theme): Promise<void> {
    await this.command('Preferences: Color Theme');
    await this.pick(theme);
    await this.quick.waitFor({ state: 'hidden' });
    await this.window.locator(`.monaco-workbench.${themeClasses[theme]}`).waitFor();
  }

  /** Saves what the window shows as test-results/<name>.png. */
  async screenshot(name: string): Promise<void> {
    const folder = join(root, 'test-results');
    mkdirSync(folder, { recursive: true });
    await this.window.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
  }

  press(keys: string): Promise<void> {
    return this.window.keyboard.press(keys);
  }

  type(text: string): Promise<void> {
    return this.window.keyboard.type(text);
  }

  private get quick(): Locator {
    return this.window.locator('.quick-input-widget:visible');
  }

  private get input(): Locator {
    return this.quick.locator('.quick-input-box input');
  }

  private get menu(): Locator {
    return this.window.locator('.monaco-menu').first();
  }

  private get submenu(): Locator {
    return this.menu.locator('.monaco-submenu');
  }

  dirtyTab(file: string): Locator {
    return this.tab(file).and(this.window.locator('.dirty'));
  }

  private get group(): Locator {
    return this.window.locator('.editor-group-container.active');
  }

  private get dialogBox(): Locator {
    return this.window.locator('.monaco-dialog-box');
  }

  private async ready(): Promise<void> {
    await this.window.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
  }

  /**
   * Opens a quick input with a key, types, and chooses a row. A young window misses the key, and a quick input that is
   * just closing swallows the text, so the whole is tried again.
   */
  private async choose(keys: string, text: string, row: Locator): Promise<void> {
    await again(async (timeout) => {
      // The list of a palette that is open already would stay without the commands of an extension that comes late.
      if (await this.quick.isVisible()) await this.press('Escape');
      await this.press(keys);
      await this.input.fill(text, { timeout });
      await row.click({ timeout });
    });
  }

  private row(label: string): Locator {
    // Not getByText: what matched is a span of its own inside the name.
    const name = this.window.locator('.label-name').filter({ hasText: wholly(label) });
    return this.quick.locator('.monaco-list-row').filter({ has: name }).first();
  }

  private explorerEntry(path: string): Locator {
    // What a decoration says follows the path.
    const entry = this.window.locator(
      `.explorer-item[aria-label$="/${path}"], .explorer-item[aria-label*="/${path} •"]`,
    );
    return this.window.locator('.explorer-folders-view .monaco-list-row').filter({ has: entry });
  }
}

function wholly(text: string): RegExp {
  return new RegExp(`^\\s*${text.replace(/[^\w\s]/g, '\\$&')}\\s*$`);
}
