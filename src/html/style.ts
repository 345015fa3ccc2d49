// The page's styles: light, dark and print.
import { Markup } from './markup';

export const STYLE = new Markup(`
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --paper: #fff; --accent: #0969da;
  --asr: #b3261e; --overRefusal: #8250df; --utility: #1a7f37; --frame: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --paper: #0d1117; --accent: #4493f8;
  --asr: #ff7b72; --overRefusal: #d2a8ff; --utility: #56d364; --frame: #ff7b72; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --accent: #000;
  --asr: #b3261e; --overRefusal: #8250df; --utility: #1a7f37; --frame: #cf222e; }
  article + article { break-before: page; } figure, tr { break-inside: avoid; } .wide { overflow: visible !important; }
  details::details-content { content-visibility: visible; display: block; } summary { display: none; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 32px 24px 64px; }
article + article { margin-top: 64px; border-top: 1px solid var(--line); padding-top: 32px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 8px; border-bottom: 1px solid var(--line); padding-bottom: 4px; }
.finding { font-size: 17px; font-weight: 600; margin: 4px 0 12px; }
.note, figcaption, .of { color: var(--soft); }
.of { font-size: 0.88em; white-space: nowrap; } td .of { display: block; font-size: 12px; line-height: 1.3; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 8px 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: 0.9em ui-monospace, SFMono-Regular, Consolas, monospace; }
figure { margin: 16px 0; } figcaption { font-size: 14px; margin-top: 6px; }
svg { display: block; width: 100%; height: auto; } .key { white-space: nowrap; margin-right: 12px; }
.key svg { display: inline-block; width: 34px; vertical-align: middle; margin-right: 6px; }
svg text { font: 11px system-ui, sans-serif; } svg .label { fill: var(--soft); font-size: 12px; }
.cell { stroke: var(--line); } .selected { fill: none; stroke: var(--frame); stroke-width: 3; }
.grid { stroke: var(--line); stroke-width: 1; }
polyline { fill: none; stroke-width: 2; }
.asr { stroke: var(--asr); fill: var(--asr); } .overRefusal { stroke: var(--overRefusal); fill: var(--overRefusal); }
.utility { stroke: var(--utility); fill: var(--utility); } .score polyline { stroke: var(--accent); }
.asr polyline, .overRefusal polyline, .utility polyline { fill: none; opacity: 0.5; } g > line { stroke-width: 1.5; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; vertical-align: top; padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } tbody th { font-weight: 500; } thead th { color: var(--soft); font-weight: 500; }
summary { cursor: pointer; color: var(--accent); margin: 12px 0; }
`);
