// The page of a comparison: receives the host's messages and shows them.
import '../shared/page.css';
import './comparison.css';
import { writeFiguresIn } from '../../src/core/text';
import { Chart } from 'chart.js';
import { type FromComparison, type ToComparison } from '../../src/page/comparison';
import { setUpCharts } from '../shared/charts';
import { ComparisonPage } from './page';
import { ComparisonState } from './state';
import { type MeasureId } from '../shared/measures';

setUpCharts();

declare global {
  interface Window {
    /** For the developer tools and the tests. */
    safeLoraComparison: ComparisonPage | undefined;
  }
}

const host = acquireVsCodeApi<{ measure: MeasureId }>();
const state = new ComparisonState(host.getState()?.measure ?? 'similarity');
let page: ComparisonPage | undefined;

function send(message: FromComparison): void {
  host.postMessage(message);
}

addEventListener('message', ({ data: message }: MessageEvent<ToComparison>) => {
  switch (message.type) {
    case 'strings':
      writeFiguresIn(message.language);
      Chart.defaults.locale = message.language;
      page = new ComparisonPage(state, message.strings, send, (measure) => host.setState({ measure }));
      window.safeLoraComparison = page;
      document.body.replaceChildren(page.root);
      break;
    case 'comparison':
      state.setComparison(message.comparison);
      page?.update();
      break;
  }
});
send({ type: 'ready' });
