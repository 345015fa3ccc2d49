// Selects modules: by a threshold with the histogram behind it, or by a count, plus manual changes.
import { Chart } from 'chart.js';
import { findingSum, fitsRule, levelOf, ruleNumber, ruleOf, type SelectionRule } from '../../src/core/rules';
import { localised } from '../../src/core/text';
import { type PageStrings } from '../../src/page/adapter-strings';
import { type PageState } from './state';
import { readTheme } from '../shared/theme';
import { element, format, linkButton, radioGroup, setLabel, setText, show, textField } from '../shared/ui';

const BINS = 50;
/** The slider's step; the field accepts any number. */
const STEP = 0.005;

export class SelectionPanel {
  readonly root: HTMLElement;
  private readonly slider = element('input', { type: 'range', min: 0, max: 1, step: STEP });
  private readonly canvas = element('canvas', { role: 'img' });
  private readonly finding = element('p', { class: 'finding', 'aria-live': 'polite' });
  private readonly byHand = element('p', { class: 'by-hand' });
  private readonly byHandText = element('span');
  private readonly thresholdPart = element('div', { class: 'rule' });
  private readonly countPart = element('div', { class: 'rule' });
  private readonly mode;
  private readonly thresholdField;
  private readonly countField;
  private chart: Chart<'bar', number[], string> | undefined;
  /** The last state of both rules; null for a count that was never given. */
  private threshold = ruleNumber('threshold').usual;
  private count: number | null = null;

  constructor(
    private readonly state: PageState,
    private readonly strings: PageStrings,
    apply: HTMLElement,
  ) {
    const options = [
      { value: 'threshold', label: strings.byThreshold },
      { value: 'count', label: strings.byCount },
    ];
    this.mode = radioGroup(strings.selection, options, (mode) => {
      if (mode !== this.state.draft.mode)
        this.setRule(
          mode === 'count' ? ruleOf('count', this.count ?? this.asMany()) : ruleOf('threshold', this.threshold),
        );
    });
    this.thresholdField = this.numberField(strings.thresholdField, (value) => {
      if (!fitsRule('threshold', value)) return false;
      this.setRule(ruleOf('threshold', value));
      return true;
    });
    this.countField = this.numberField(strings.countField, (value) => {
      if (!fitsRule('count', value)) return false;
      this.setRule(ruleOf('count', value));
      return true;
    });
    setLabel(this.slider, strings.thresholdSlider);
    this.slider.addEventListener('input', () => {
      this.setRule(ruleOf('threshold', Number(this.slider.value)));
    });
    setLabel(this.canvas, strings.histogram);
    const track = element('div', { class: 'track' }, element('div', { class: 'histogram' }, this.canvas), this.slider);
    this.thresholdPart.append(track, this.thresholdField);
    this.countPart.append(this.countField);
    const reset = linkButton(strings.actions.reset, () => {
      this.state.setDraft({ ...this.state.draft, overrides: { added: [], removed: [] } });
    });
    this.byHand.append(this.byHandText, ' ', reset);
    this.root = element(
      'section',
      { class: 'selection', 'aria-label': strings.selection },
      element('h2', {}, strings.selection),
      this.mode,
      this.thresholdPart,
      this.countPart,
      this.finding,
      this.byHand,
      apply,
    );
  }

  /** The selection changed. */
  update(): void {
    const { draft } = this.state;
    if (draft.mode === 'threshold') this.threshold = draft.threshold;
    else this.count = draft.count;
    this.mode.value = draft.mode;
    show(this.thresholdPart, draft.mode === 'threshold');
    show(this.countPart, draft.mode === 'count');
    this.slider.value = String(this.threshold);
    setUnlessTyping(this.thresholdField, localised(Number(this.threshold.toFixed(6))), this.threshold);
    if (this.count !== null) setUnlessTyping(this.countField, String(this.count), this.count);
    setText(this.finding, findingText(this.state, this.strings));
    show(this.finding, this.state.hasNumbers);
    const { added, removed } = draft.overrides;
    setText(this.byHandText, format(this.strings.byHand, added.length, removed.length));
    show(this.byHand, this.state.overrideCount > 0);
    this.colourBars();
  }

  /** The values or the theme changed. */
  redraw(): void {
    const counts = new Array<number>(BINS).fill(0);
    this.state.document?.modules.forEach((_, module) => {
      const similarity = this.state.value(module, 'similarity');
      if (!Number.isNaN(similarity)) counts[Math.min(BINS - 1, Math.floor(similarity * BINS))]!++;
    });
    this.chart ??= new Chart(this.canvas, {
      type: 'bar',
      data: {
        labels: counts.map((_, bin) => localised((bin / BINS).toFixed(2))),
        datasets: [{ data: [], barPercentage: 0.9, categoryPercentage: 1 }],
      },
      options: {
        events: [],
        layout: { padding: 0 },
        plugins: { legend: { display: false }, tooltip: { enabled: false } },
        scales: { x: { display: false }, y: { display: false, beginAtZero: true } },
      },
    });
    this.chart.data.datasets[0]!.data = counts;
    this.update();
  }

  /** @param take tells whether the number is valid; an invalid one is marked, and removed on blur */
  private numberField(label: string, take: (value: number) => boolean): ReturnType<typeof textField> {
    const field = textField(
      label,
      (text) => {
        const usable = text.trim() !== '' && take(Number(text.replace(',', '.')));
        field.setAttribute('aria-invalid', String(!usable));
      },
      { size: 6 },
    );
    field.addEventListener('focusout', () => {
      field.setAttribute('aria-invalid', 'false');
      this.update();
    });
    return field;
  }

  private colourBars(): void {
    if (!this.chart) return;
    const theme = readTheme();
    const reach = (levelOf(this.state.draft) ?? -1) * BINS;
    this.chart.data.datasets[0]!.backgroundColor = Array.from({ length: BINS }, (_, bin) =>
      bin + 0.5 <= reach ? theme.accent : theme.muted,
    );
    this.chart.update('none');
  }

  /** As many as the threshold selects: changing the rule alone changes no selection. */
  private asMany(): number {
    const selected = this.state.selected.size;
    return fitsRule('count', selected) ? selected : ruleNumber('count').usual;
  }

  private setRule(rule: SelectionRule): void {
    this.state.setDraft({ ...rule, overrides: this.state.draft.overrides });
  }
}

/** A field keeps the text being typed, such as "0." on the way to "0.4". */
function setUnlessTyping(field: HTMLElement & { value: string }, text: string, value: number): void {
  if (document.activeElement === field && Number(field.value.replace(',', '.')) === value) return;
  field.value = text;
}

/** "3 of 12 modules at or below τ = 0.35, in layers 1, 2, 4" */
export function findingText(state: PageState, strings: PageStrings): string {
  const { draft, selected } = state;
  const modules = state.document?.modules ?? [];
  const { found } = strings;
  const sum = findingSum(draft, selected.size, modules.length, found);
  const layers = [
    ...new Set([...selected].map((module) => modules[module]!.layer).filter((layer) => layer !== null)),
  ].sort((a, b) => a - b);
  if (layers.length === 0) return sum;
  return sum + format(layers.length === 1 ? found.oneLayer : found.where, ranges(layers));
}

/** 1, 2, 3, 7 as "1–3, 7". */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs
    .map(([from, to]) => (from === to ? String(from) : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`))
    .join(', ');
}
