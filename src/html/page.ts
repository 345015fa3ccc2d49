// A report as a self-contained page: no script, no external resources, so that it can be sent to a reviewer and printed.
import { noticeText, type Report } from '../core/report';
import { englishFindingTexts, findingSum } from '../core/rules';
import { decimal, interval, percent, signed, UNDEFINED } from '../core/text';
import { type Mean, type Share } from '../evaluation/figures';
import { type EvaluationReport } from '../evaluation/report';
import { answeredPoints, choiceText, figureNames, namesBeside, pointName, setUtility } from '../evaluation/texts';
import { curve } from './curve';
import { heatmaps } from './heatmap';
import { html, type Markup } from './markup';
import { STYLE } from './style';

export interface PageContent {
  report: Report;
  /** If behaviour was measured, too. */
  evaluation: EvaluationReport | null;
}

/** How this tool's pages begin; only such a file may be replaced. */
export const PAGE_START = '<!doctype html><!-- safe-lora -->';

export function htmlPage(contents: readonly PageContent[]): string {
  const names = contents.map(({ report }) => report.adapter.name).join(', ');
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
      <title>Safe LoRA: ${names}</title>
      <style>
        ${STYLE}
      </style>
    </head>
    <body>
      <main>${contents.map(section)}</main>
    </body>
  </html> `;
  return PAGE_START + page.text;
}

function section({ report, evaluation }: PageContent): Markup {
  const { adapter, base, aligned, device, selection, totals, notices } = report;
  const finding = findingSum(selection, totals.selected, totals.modules, englishFindingTexts);
  return html`<article>
    <header>
      <h1>${adapter.name}</h1>
      <p class="finding">${finding}. Agreement of all modules ${signed(totals.direction)}.</p>
      <dl>
        <dt>Adapter</dt>
        <dd>
          rank ${adapter.rank}, alpha
          ${adapter.alpha}${adapter.targetModules.length > 0 ? `, on ${adapter.targetModules.join(', ')}` : ''}
        </dd>
        <dt>Base</dt>
        <dd>${base.name}</dd>
        <dt>Aligned</dt>
        <dd>${aligned.name}</dd>
        <dt>Computed on</dt>
        <dd>${device.provider}</dd>
      </dl>
    </header>
    ${evaluation ? behaviour(evaluation) : html`<p class="note">A selection is not a verdict: similarity does not say how the model behaves. <code>safe-lora evaluate</code> measures that.</p>`}
    <section>
      <h2>Modules</h2>
      ${heatmaps(report.modules)} ${moduleTable(report)}
    </section>
    <section>
      <h2>Not covered, or to be read with care</h2>
      ${noticeList([...notices, ...(evaluation?.notices.filter(({ message }) => notices.every((notice) => notice.message !== message)) ?? [])])}
    </section>
    <section>
      <h2>Provenance</h2>
      ${provenance(report, evaluation)}
    </section>
  </article>`;
}

function behaviour(evaluation: EvaluationReport): Markup {
  const { sets, engine, judge, corrected } = evaluation;
  const shown = { ...evaluation, ...corrected };
  const { points, choice } = shown;
  return html`<section>
    <h2>Behaviour</h2>
    <p>
      Attack success is the share of harmful prompts whose answer contains none of the refusal phrases of
      <b>${judge.name}</b>, version ${judge.version}: on these prompts and by these phrases only.
      ${sets.map(({ name, role, n }) => `${n} ${role} prompts (${name})`).join(', ')}. Greedy answers of at most
      ${engine.maxTokens} tokens.
      ${corrected ? html`<b>${corrected.answers} judgements were corrected by hand.</b>` : null}
    </p>
    ${curve(points)} ${pointTable(shown)} ${choice ? chosen(choice) : null} ${differences(shown)}
  </section>`;
}

function pointTable(evaluation: EvaluationReport): Markup {
  const beside = namesBeside(evaluation);
  const shown = answeredPoints(evaluation);
  if (shown.length === 0) return html`<p class="note">No answers were generated: only the score was asked for.</p>`;
  return html`<div class="wide">
      <table>
        <thead>
          <tr>
            <th>Projected</th>
            <th>τ</th>
            <th>Attack success</th>
            <th>Over-refusal</th>
            <th>Utility</th>
            ${beside.map((name) => html`<th>${name}, right</th>`)}
            <th>Degenerate</th>
            <th>Cut off</th>
            <th>Refusal score</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (point) =>
              html`<tr>
                <th scope="row">${pointName(point)}</th>
                <td>${decimal(point.threshold)}</td>
                <td>${figure(point.asr)}</td>
                <td>${figure(point.overRefusal)}</td>
                <td>${figure(point.utility)}</td>
                ${beside.map((name) => html`<td>${figure(setUtility(point, name))}</td>`)}
                <td>${figure(point.degenerate)}</td>
                <td>${figure(point.cutOff)}</td>
                <td>${signed(point.refusalScore, 1)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="note">
      In brackets 95 % intervals. Degenerate answers are empty, repeat themselves or are the same to most prompts; where
      there are many, attack success says little.
    </p>`;
}

function figure(value: Share | Mean | null): Markup | string {
  if (value === null) return UNDEFINED;
  const of = value.k === undefined ? null : html`<span class="of">${value.k} of ${value.n}</span>`;
  return html`${decimal(value.value)} <span class="of">${interval(value)}</span> ${of}`;
}

function chosen(choice: NonNullable<EvaluationReport['choice']>): Markup {
  const { figures, chosenOn, reportedOn } = choice;
  const found = choiceText(choice);
  const result = `${found[0]!.toUpperCase()}${found.slice(1)}.`;
  return html`<p class="finding">${result}</p>
    <p>
      Chosen on ${chosenOn} prompts. On the other ${reportedOn}: attack success ${figure(figures.asr)}, over-refusal
      ${figure(figures.overRefusal)}, utility ${figure(figures.utility)}.
    </p>`;
}

function differences({ paired }: EvaluationReport): Markup | null {
  if (paired.length === 0) return null;
  return html`<details>
    <summary>What changed between points, prompt by prompt</summary>
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>From</th>
            <th>To</th>
            <th>Figure</th>
            <th>Difference</th>
            <th>Only before</th>
            <th>Only after</th>
            <th>p</th>
          </tr>
        </thead>
        <tbody>
          ${paired.map(
            ({ from, to, metric, difference, low, high, b, c, p }) =>
              html`<tr>
                <th scope="row">${pointName({ count: from })}</th>
                <td>${pointName({ count: to })}</td>
                <td>${figureNames[metric]}</td>
                <td>${signed(difference)} <span class="of">${interval({ low, high }, signed)}</span></td>
                <td>${b}</td>
                <td>${c}</td>
                <td>${p === null ? UNDEFINED : p < 0.0001 ? '< 0.0001' : decimal(p, 4)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="note">Newcombe's interval of a paired difference, McNemar's exact test; of means the bootstrap.</p>
  </details>`;
}

function moduleTable({ modules }: Report): Markup {
  return html`<details>
    <summary>All ${modules.length} modules</summary>
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>Module</th>
            <th>Similarity</th>
            <th>Chance level</th>
            <th>Agreement</th>
            <th>Update kept</th>
            <th>Selected</th>
          </tr>
        </thead>
        <tbody>
          ${modules.map(
            (module) =>
              html`<tr>
                <th scope="row"><code>${module.name}</code></th>
                <td>${decimal(module.similarity)}</td>
                <td>${decimal(module.nullSimilarity)} ±${decimal(module.nullSpread)}</td>
                <td>${signed(module.direction)}</td>
                <td>${percent(module.gain)}</td>
                <td>${module.selected ? 'yes' : noticeText(module)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}

function noticeList(notices: readonly { message: string }[]): Markup {
  if (notices.length === 0) return html`<p>Nothing was left out.</p>`;
  return html`<ul>
    ${notices.map(({ message }) => html`<li>${message}</li>`)}
  </ul>`;
}

function provenance(
  { tool, selection, replacement, schema, safeLora }: Report,
  evaluation: EvaluationReport | null,
): Markup {
  const facts: [name: string, value: string | null][] = [
    ['Safe LoRA', tool.version],
    ['Report', schema],
    ['Selection', JSON.stringify(selection)],
    ['Replacement', replacement],
    ['Projected before', safeLora ? JSON.stringify(safeLora.modules) : null],
    ...(evaluation ? evaluationFacts(evaluation) : []),
  ];
  return html`<dl>
    ${facts.map(([name, value]) =>
      value === null
        ? ''
        : html`<dt>${name}</dt>
            <dd><code>${value}</code></dd>`,
    )}
  </dl>`;
}

function evaluationFacts({
  schema,
  adapter,
  base,
  aligned,
  engine,
  chat,
  judge,
  sets,
}: EvaluationReport): [string, string][] {
  return [
    ['Evaluation', schema],
    ['Adapter, SHA-256', adapter.sha256],
    ['Base, headers', base.headers],
    ['Aligned, headers', aligned.headers],
    ['Precision', `${engine.precision}: ${engine.precisionReason}`],
    ['Run on', `${engine.device.provider}, onnxruntime ${engine.onnxruntime}`],
    ['Workspace', `${engine.workspace} bytes`],
    ['Chat template', `${chat.template}, SHA-256 ${chat.sha256}`],
    ['Refusal phrases', `${judge.name}, version ${judge.version}, SHA-256 ${judge.sha256}`],
    ...sets.map(({ name, n, groups, sha256 }): [string, string] => [
      `Prompts ${name}`,
      `${n} in ${groups} groups, SHA-256 ${sha256}`,
    ]),
  ];
}
