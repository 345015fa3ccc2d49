// The controls: wraps the webview-ui-toolkit, with a few helpers that build elements.
import {
  type Button,
  type Checkbox,
  type Dropdown,
  type Option,
  provideVSCodeDesignSystem,
  type Radio,
  type RadioGroup,
  type TextField,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeRadio,
  vsCodeRadioGroup,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { elided, visible, visibleLines } from '../../src/core/text';

provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeRadio(),
  vsCodeRadioGroup(),
  vsCodeTextField(),
);

export type { Button, TextField };
export { format } from '../../src/core/text';

/** Longer than any of our sentences with a path and some names. */
const MOST_LETTERS = 1500;
/** Fits the ticks of an axis or a legend: no kind of a known model is longer, and a longer one would cover its neighbours. */
const MOST_LABEL_LETTERS = 24;
const CUT_LABEL_LETTERS = 8;

/** Text from a file, made safe for the page: see `visible`. */
function shown(text: string): string {
  return visible(elided(text, MOST_LETTERS));
}

/** Longer than an answer of any usual length. */
const MOST_ANSWER_LETTERS = 40_000;

/** A name in a chart. */
export function chartLabel(text: string): string {
  const label = visible(text);
  return label.length <= MOST_LABEL_LETTERS ? label : elided(label, CUT_LABEL_LETTERS);
}

/** Sets an element's text. All text reaches the page through this file, which an ESLint rule checks. */
export function setText(target: Element, text: string): void {
  target.textContent = shown(text);
}

/** An element's tooltip. */
export function setTitle(target: Element, text: string): void {
  target.setAttribute('title', shown(text));
}

/** An element's name for screen readers. */
export function setLabel(target: Element, text: string): void {
  target.setAttribute('aria-label', shown(text));
}

export function paintText(paint: CanvasRenderingContext2D, text: string, x: number, y: number): void {
  paint.fillText(shown(text), x, y);
}

declare global {
  interface HTMLElementTagNameMap {
    'vscode-button': Button;
    'vscode-checkbox': Checkbox;
    'vscode-dropdown': Dropdown;
    'vscode-option': Option;
    'vscode-radio': Radio;
    'vscode-radio-group': RadioGroup;
    'vscode-text-field': TextField;
  }
}

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined>;
/** Attributes that users read or hear; others are for the code. */
const SPOKEN = new Set(['aria-label', 'placeholder', 'title']);

/** An element with attributes and children; `false` and `undefined` leave an attribute out, `true` gives it no value. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    const text = value === true ? '' : String(value);
    made.setAttribute(name, SPOKEN.has(name) ? shown(text) : text);
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false)
      made.append(typeof child === 'string' ? shown(child) : child);
  }
  return made;
}

/** An element with a text of several lines, such as an answer of a model. */
export function linesOf<K extends 'div' | 'span'>(
  tag: K,
  text: string,
  attributes: Attributes = {},
): HTMLElementTagNameMap[K] {
  const made = element(tag, attributes);
  made.textContent = visibleLines(elided(text, MOST_ANSWER_LETTERS));
  return made;
}

/** Shows or hides with as little movement of its surroundings as possible. */
export function show(target: HTMLElement, visible: boolean): void {
  target.hidden = !visible;
}

export function button(label: string, onClick: () => void, appearance: 'primary' | 'secondary' = 'secondary'): Button {
  const made = element('vscode-button', { appearance }, label);
  made.addEventListener('click', onClick);
  return made;
}

/** A button that reads like a word in its sentence. */
export function linkButton(label: string, onClick: () => void, description?: string): HTMLButtonElement {
  const made = element('button', { type: 'button', class: 'link', 'aria-label': description }, label);
  made.addEventListener('click', onClick);
  return made;
}

export function checkbox(label: string, onChange: (checked: boolean) => void): Checkbox {
  const made = element('vscode-checkbox', {}, label);
  made.addEventListener('change', () => {
    onChange(made.checked);
  });
  return made;
}

export function dropdown(
  label: string,
  options: readonly { value: string; label: string }[],
  onChange: (value: string) => void,
): Dropdown {
  const made = element(
    'vscode-dropdown',
    { 'aria-label': label },
    ...options.map((option) => element('vscode-option', { value: option.value }, option.label)),
  );
  made.addEventListener('change', () => {
    onChange(made.value);
  });
  return made;
}

/** A small list, light enough for hundreds on one page. */
export function select(
  label: string,
  options: readonly { value: string; label: string }[],
  value: string,
  onChange: (value: string) => void,
): HTMLSelectElement {
  const made = element(
    'select',
    { 'aria-label': label },
    ...options.map((option) =>
      element('option', { value: option.value, selected: option.value === value }, option.label),
    ),
  );
  made.addEventListener('change', () => {
    onChange(made.value);
  });
  return made;
}

export function radioGroup(
  label: string,
  options: readonly { value: string; label: string }[],
  onChange: (value: string) => void,
): RadioGroup {
  const made = element(
    'vscode-radio-group',
    { 'aria-label': label },
    ...options.map((option) => element('vscode-radio', { value: option.value }, option.label)),
  );
  made.addEventListener('change', () => {
    onChange(made.value);
  });
  return made;
}

/** A field that reports each keystroke. */
export function textField(
  label: string,
  onInput: (value: string) => void,
  { placeholder, size }: { placeholder?: string; size?: number } = {},
): TextField {
  const made = element('vscode-text-field', { placeholder, size });
  // The toolkit names a field without text "Text field" as soon as it is on the page.
  setTimeout(() => {
    setLabel(made, label);
  });
  made.addEventListener('input', () => {
    onInput(made.value);
  });
  return made;
}

/** A menu of actions behind one button, closed by Escape, a choice, or a click elsewhere. */
export function menuButton(label: string, items: readonly { label: string; run: () => void }[]): HTMLElement {
  const list = element('div', { class: 'menu', role: 'menu', hidden: true });
  const opener = button(`${label} ▾`, () => {
    toggle(list.hasAttribute('hidden'));
  });
  opener.setAttribute('aria-haspopup', 'menu');
  const toggle = (open: boolean): void => {
    show(list, open);
    opener.setAttribute('aria-expanded', String(open));
    if (open) (list.firstElementChild as HTMLElement).focus();
  };
  toggle(false);
  for (const item of items) {
    const entry = element('button', { type: 'button', role: 'menuitem', tabindex: -1 }, item.label);
    entry.addEventListener('click', () => {
      toggle(false);
      opener.focus();
      item.run();
    });
    list.append(entry);
  }
  const frame = element('div', { class: 'menu-frame' }, opener, list);
  frame.addEventListener('keydown', (event) => {
    const entries = [...list.children] as HTMLElement[];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (event.key === 'Escape' && !list.hidden) {
      toggle(false);
      opener.focus();
    } else if (step !== 0 && !list.hidden) {
      entries[(at + step + entries.length) % entries.length]!.focus();
    } else {
      return;
    }
    event.preventDefault();
  });
  frame.addEventListener('focusout', (event) => {
    if (!frame.contains(event.relatedTarget as Node | null)) toggle(false);
  });
  return frame;
}

/**
 * A status line with its actions.
 * @param quiet not announced to screen readers, for text that changes often
 */
export function banner(
  severity: 'information' | 'warning' | 'error',
  text: string,
  actions: [string, () => void][],
  quiet = false,
): HTMLElement {
  const buttons = actions.map(([label, run]) => button(label, run));
  const sign = { information: 'ℹ', warning: '⚠', error: '!' }[severity];
  const role = quiet ? undefined : severity === 'error' ? 'alert' : 'status';
  return element(
    'div',
    { class: `banner ${severity}`, role, 'data-key': [severity, text, ...actions.map(([label]) => label)].join('\n') },
    element('span', { class: 'sign', 'aria-hidden': 'true' }, sign),
    element('span', { class: 'banner-text' }, text),
    ...buttons,
  );
}
