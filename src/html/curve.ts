// Behaviour by the number of projected modules: shares with their intervals, and below them the score at every number.
import { decimal, signed } from '../core/text';
import { type EvaluatedPoint } from '../evaluation/report';
import { figureNames } from '../evaluation/texts';
import { html, type Markup } from './markup';

const SIZE = { width: 720, left: 46, inset: 14, right: 16, top: 14, height: 220, gap: 26, scoreHeight: 90, bottom: 36 };

const series = [
  { key: 'asr', shape: 'circle', dashes: '' },
  { key: 'overRefusal', shape: 'square', dashes: '6 3' },
  { key: 'utility', shape: 'triangle', dashes: '2 3' },
] as const;
type Series = (typeof series)[number];

/** @returns null if no answers were generated and nothing was scored */
export function curve(points: readonly EvaluatedPoint[]): Markup | null {
  const counted = points.filter((point): point is EvaluatedPoint & { count: number } => point.count !== null);
  const most = Math.max(1, ...counted.map(({ count }) => count));
  const answered = counted.filter(({ degenerate }) => degenerate !== null);
  const scored = counted.filter(({ refusalScore }) => refusalScore !== null);
  if (answered.length === 0 && scored.length === 0) return null;
  const first = SIZE.left + SIZE.inset;
  const x = (count: number): number => first + (count / most) * (SIZE.width - first - SIZE.right);
  const sharesHeight = answered.length > 0 ? SIZE.height : 0;
  const scoreTop = SIZE.top + sharesHeight + (answered.length > 0 ? SIZE.gap : 0);
  const scoreHeight = scored.length > 1 ? SIZE.scoreHeight : 0;
  const bottom = scoreTop + scoreHeight - (scoreHeight === 0 && answered.length > 0 ? SIZE.gap : 0);
  const shown = series.filter(({ key }) => answered.some((point) => isShown(point[key])));
  return html`<figure>
    <svg
      viewBox="0 0 ${SIZE.width} ${bottom + SIZE.bottom}"
      style="max-width:${SIZE.width}px"
      role="img"
      aria-label="Behaviour by the number of projected modules; the table has the same numbers"
    >
      ${answered.length > 0 ? shares(answered, shown, x) : null} ${scoreHeight > 0 ? scores(scored, x, scoreTop) : null}
      ${ticks(most).map((count) => html`<text class="label" x="${x(count)}" y="${bottom + 18}" text-anchor="middle">${count}</text>`)}
      <text class="label" x="${SIZE.left}" y="${bottom + 33}">projected modules, lowest similarity first</text>
    </svg>
    <figcaption>
      ${shown.length > 0 ? html`${shown.map(legend)}Bars are 95 % intervals. ` : null}${scoreHeight > 0 ? 'Below: refusal score, the log-odds that an answer to a harmful prompt begins as a refusal; it is no attack success.' : null}
    </figcaption>
  </figure>`;
}

/** A likelihood is not a share. */
function isShown(value: { value: number } | null): value is { value: number; low: number; high: number } {
  return value !== null && value.value >= 0 && value.value <= 1;
}

function shares(
  answered: readonly (EvaluatedPoint & { count: number })[],
  shown: readonly Series[],
  x: (count: number) => number,
): Markup {
  const y = (value: number): number => SIZE.top + (1 - value) * SIZE.height;
  const right = SIZE.width;
  return html` ${[0, 0.25, 0.5, 0.75, 1].map((value) => html`<line class="grid" x1="${SIZE.left}" x2="${right}" y1="${y(value)}" y2="${y(value)}" /><text class="label" x="${SIZE.left - 8}" y="${y(value) + 4}" text-anchor="end">${decimal(value, 2)}</text>`)}
  ${shown.map((one, index) => {
    const found = answered.flatMap((point) => {
      const value = point[one.key];
      // Side by side, so that equal ones are all visible.
      return isShown(value) ? [{ ...value, at: x(point.count) + (index - 1) * 5, count: point.count }] : [];
    });
    return html`<g class="${one.key}">
      <polyline
        points="${found.map(({ at, value }) => `${at},${y(value)}`).join(' ')}"
        stroke-dasharray="${one.dashes}"
      />
      ${found.map(({ at, value, low, high, count }) => html`<g><title>${figureNames[one.key]}, ${count} projected: ${decimal(value)} (${decimal(low)} to ${decimal(high)})</title><line x1="${at}" x2="${at}" y1="${y(low)}" y2="${y(high)}" /><line x1="${at - 3}" x2="${at + 3}" y1="${y(low)}" y2="${y(low)}" /><line x1="${at - 3}" x2="${at + 3}" y1="${y(high)}" y2="${y(high)}" />${marker(one, at, y(value))}</g>`)}
    </g>`;
  })}`;
}

function scores(
  scored: readonly (EvaluatedPoint & { count: number })[],
  x: (count: number) => number,
  top: number,
): Markup {
  const values = scored.map(({ refusalScore }) => refusalScore!);
  const [low, high] = [Math.min(...values, 0), Math.max(...values, 0)];
  const y = (value: number): number => top + ((high - value) / (high - low || 1)) * SIZE.scoreHeight;
  const edges = [...new Set([low, 0, high])];
  return html`<g class="score">
    ${edges.map((value) => html`<line class="grid" x1="${SIZE.left}" x2="${SIZE.width}" y1="${y(value)}" y2="${y(value)}" /><text class="label" x="${SIZE.left - 8}" y="${y(value) + 4}" text-anchor="end">${signed(value, 1)}</text>`)}
    <polyline points="${scored.map(({ count, refusalScore }) => `${x(count)},${y(refusalScore!)}`).join(' ')}" />
  </g>`;
}

function marker({ shape }: Series, x: number, y: number): Markup {
  if (shape === 'circle') return html`<circle cx="${x}" cy="${y}" r="4.5" />`;
  if (shape === 'square') return html`<rect x="${x - 4}" y="${y - 4}" width="8" height="8" />`;
  return html`<path d="M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}Z" />`;
}

function legend(one: Series): Markup {
  return html`<span class="key"
    ><svg viewBox="0 0 34 12" width="34" height="12" aria-hidden="true">
      <g class="${one.key}">
        <polyline points="0,6 34,6" stroke-dasharray="${one.dashes}" />
        ${marker(one, 17, 6)}
      </g></svg
    >${figureNames[one.key]}</span
  > `;
}

/** Round numbers, from 0 to the most. */
function ticks(most: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((candidate) => most / candidate <= 12) ?? most;
  const found: number[] = [];
  for (let count = 0; count < most - step / 2; count += step) found.push(count);
  return [...found, most];
}
