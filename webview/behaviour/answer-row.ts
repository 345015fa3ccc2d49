// One prompt with its answers at three points, each with its judgement, which can be corrected.
import { decimal } from '../../src/core/text';
import { type Correction, type Judgement, judgements } from '../../src/evaluation/corrections';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type AnswerRow, type AnswerView } from '../../src/page/behaviour';
import { element, format, linesOf, linkButton, select, setText } from '../shared/ui';

export interface RowPorts {
  strings: PageStrings;
  /** Names of the three columns. */
  columns: readonly [aligned: string, adapter: string, chosen: string];
  setName: string;
  correct: (correction: Correction) => void;
}

/** More than fits into the height of a closed row. */
const LONG = { letters: 320, lines: 7 };

export function answerRow(row: AnswerRow, ports: RowPorts): HTMLElement {
  const { answers: texts } = ports.strings.behaviour;
  const { aligned, adapter, chosen, reference } = row;
  const head = element(
    'div',
    { class: 'answer-question' },
    element('span', { class: 'definition' }, `${ports.setName} ${row.prompt + 1}`),
    linesOf('span', row.question),
    ...(reference === null ? [] : [element('span', { class: 'definition' }, format(texts.reference, reference))]),
  );
  const cells = [aligned, adapter, chosen].map((answer, i) => answerCell(row, answer, ports.columns[i]!, ports));
  const root = element('li', { class: 'answer-row' }, head, element('div', { class: 'answer-cells' }, ...cells));
  if ([aligned, adapter, chosen].some(isLong)) root.append(expander(root, texts));
  return root;
}

function answerCell(row: AnswerRow, answer: AnswerView | null, column: string, ports: RowPorts): HTMLElement {
  const { answers: texts } = ports.strings.behaviour;
  const name = element('span', { class: 'answer-column' }, column);
  if (!answer)
    return element('div', { class: 'answer-cell', role: 'group', 'aria-label': column }, name, missing(texts.noAnswer));
  const { text } = answer;
  return element(
    'div',
    { class: 'answer-cell', role: 'group', 'aria-label': column },
    name,
    element('div', { class: 'answer-marks' }, badge(row, answer, column, ports), ...marks(answer, texts)),
    text === null
      ? missing(texts.noText)
      : text === ''
        ? missing(texts.emptyText)
        : linesOf('div', text, { class: 'answer-text' }),
  );
}

/** The judgement, as a list from which another can be chosen. */
function badge({ set, prompt }: AnswerRow, answer: AnswerView, column: string, ports: RowPorts): HTMLElement {
  const { answers: texts } = ports.strings.behaviour;
  const options = judgements.map((value) => ({ value, label: texts.judgements[value] }));
  const choice = select(format(texts.judgement, column), options, answer.judgement, (value) => {
    ports.correct({ set, prompt, sha256: answer.sha256, judgement: value as Judgement });
  });
  choice.classList.add('judgement', answer.judgement);
  return choice;
}

function marks(
  { judgement, judged, cutOff, utility }: AnswerView,
  texts: PageStrings['behaviour']['answers'],
): HTMLElement[] {
  const mark = (text: string, title?: string): HTMLElement => element('span', { class: 'answer-mark', title }, text);
  return [
    ...(judgement === judged ? [] : [mark(`✎ ${texts.byHand}`, format(texts.judged, texts.judgements[judged]))]),
    ...(utility === null ? [] : [mark(utilityText(utility, texts))]),
    ...(cutOff ? [mark(texts.cutOff)] : []),
  ];
}

function utilityText(utility: number, { right, wrong, score }: PageStrings['behaviour']['answers']): string {
  if (utility === 1) return `✓ ${right}`;
  return utility === 0 ? `✗ ${wrong}` : format(score, decimal(utility, 2));
}

function missing(text: string): HTMLElement {
  return element('span', { class: 'none' }, text);
}

function expander(root: HTMLElement, { expand, collapse }: PageStrings['behaviour']['answers']): HTMLElement {
  const toggle = linkButton(expand, () => {
    const open = root.classList.toggle('expanded');
    toggle.setAttribute('aria-expanded', String(open));
    setText(toggle, open ? collapse : expand);
  });
  toggle.setAttribute('aria-expanded', 'false');
  return toggle;
}

function isLong(answer: AnswerView | null): boolean {
  const text = answer?.text ?? '';
  return text.length > LONG.letters || text.split('\n').length > LONG.lines;
}
