// The page of one adapter: receives the host's messages, shows them, and sends the user's requests.
import '../shared/page.css';
import '../behaviour/behaviour.css';
import { BarController, BarElement, Chart, ScatterController } from 'chart.js';
import { writeFiguresIn } from '../../src/core/text';
import { type Call, type FromPage, type ToPage } from '../../src/page/adapter';
import { setUpCharts } from '../shared/charts';
import { Page } from './page';
import { type Kept, PageState } from './state';

Chart.register(BarController, BarElement, ScatterController);
setUpCharts();

const host = acquireVsCodeApi<Partial<Kept>>();
const state = new PageState();
const pending = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
let page: Page | undefined;
let calls = 0;

declare global {
  interface Window {
    /** For the developer tools and the tests. */
    safeLoraPage: Page | undefined;
  }
}

function send(message: FromPage): void {
  host.postMessage(message);
}

/** If it rejects, the host has told the user. */
const call: Call = (name, ...values) =>
  new Promise((resolve, reject) => {
    pending.set(++calls, { resolve, reject });
    send({ type: 'call', id: calls, name, values });
  });

function receive(message: ToPage): void {
  switch (message.type) {
    case 'strings':
      state.onChange((change) => {
        if (change === 'selection' || change === 'document') send({ type: 'selection', selection: state.draft });
      });
      writeFiguresIn(message.language);
      Chart.defaults.locale = message.language;
      page = new Page(state, message.strings, call, (kept) => host.setState(kept));
      window.safeLoraPage = page;
      document.body.replaceChildren(page.root);
      break;
    case 'document': {
      const kept = host.getState();
      const mine = kept?.path === message.document.adapter.path ? kept : undefined;
      if (!state.document && mine) {
        state.takeUp(mine);
      }
      state.setDocument(message.document, message.document.draft ?? mine?.draft);
      break;
    }
    case 'failure':
      state.failure = message.failure;
      state.emit('document');
      break;
    case 'run':
      state.run = message.run;
      state.emit('run');
      break;
    case 'measured':
      state.setMeasured(message.fresh, message.indices, message.values);
      break;
    case 'after':
      state.setAfter(message);
      break;
    case 'applied':
      state.setApplied(message.applied);
      if (message.followSelection && message.applied.selection) state.setDraft(message.applied.selection);
      break;
    case 'behaviour':
      state.setBehaviour(message.behaviour);
      break;
    case 'answers':
      state.setAnswers(message.answers);
      break;
    case 'select':
      state.setDraft(message.selection);
      break;
    case 'showBehaviour':
      state.setView('behaviour');
      break;
    case 'tensors':
      page?.showTensors(message.tensors);
      break;
    case 'offer':
      page?.offerProjection();
      break;
    case 'reveal':
      page?.revealModule(message.module);
      break;
    case 'reply': {
      const waiting = pending.get(message.id);
      pending.delete(message.id);
      if (message.ok) waiting?.resolve();
      else waiting?.reject(new Error(message.error.message));
      break;
    }
  }
}

addEventListener('message', (event: MessageEvent<ToPage>) => {
  receive(event.data);
});
send({ type: 'ready' });
