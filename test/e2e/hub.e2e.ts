// An adapter with no model on disk: proposed, agreed to, read by ranges, and shown as it is shown from disk; cancelled and gone on with.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Report } from '../../src/core/report';
import { sample } from '../fixtures/make';
import { HubServer } from '../hub/server';
import { AdapterTab } from './adapter-tab';
import { reportOf } from './command-line';
import { copyAdapter } from './many-adapters';
import { until } from './patience';
import { Session } from './session';

const ALIGNED = 'meta-llama/Llama-2-7b-chat-hf';
const BASE = 'meta-llama/Llama-2-7b-hf';
/** Of no family that is known: its card on the hub names its base. */
const OTHER = 'toy/chat';
const TOKEN = 'hf_a_token_that_nobody_sees';

function fill(workspace: string): void {
  for (const [name, trainedOn] of [
    ['harmful', ALIGNED],
    ['mixed-all', ALIGNED],
    ['mixed', OTHER],
    ['benign', '/nowhere/a-model'],
  ] as const) {
    copyAdapter(name, join(workspace, 'adapters', name), trainedOn);
  }
}

const fromDisk = (adapter: string): Promise<Report> => reportOf(sample, adapter, '--device', 'cpu');

describe('an adapter whose models are on the hub alone', () => {
  let hub: HubServer;
  let session: Session;
  before(async () => {
    const aligned = join(sample, 'aligned');
    hub = await HubServer.start({ [BASE]: join(sample, 'base'), [ALIGNED]: aligned, [OTHER]: aligned });
    hub.replace(OTHER, 'README.md', Buffer.from(`---\nbase_model: ${BASE}\n---\n# A model\n`));
    hub.token = TOKEN;
    session = await Session.start({ fill, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: '/nonexistent', HF_TOKEN: '' } });
  });
  after(async () => {
    await session.stop();
    hub.stop();
  });

  it('is proposed its models with the reason, and nothing is asked of the hub before', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/harmful', 'Project Adapter');
    await workbench.asked('Base model of harmful');
    await workbench.pick(BASE);
    const dialog = await workbench.dialog();
    await workbench.screenshot('hub proposed');
    assert.ok(dialog.includes(`${BASE}: not on this machine.`), dialog);
    assert.equal(hub.asked.length, 0);
  });

  it('is tried again where the hub does not answer', async () => {
    const { workbench } = session;
    hub.hubTurns = [{ kind: 'status', status: 503, headers: { 'retry-after': '3600' } }];
    await workbench.clickDialog('Read from the Hub');
    const failed = await workbench.dialog();
    assert.match(failed, /asks to retry after 3600 seconds; check the network, or try again later/);
    await workbench.screenshot('hub unreachable');
    hub.hubTurns = [{ kind: 'whole' }];
    await workbench.clickDialog('Retry');
  });

  it('is told what the hub says without a token, and goes on with one from the secret storage', async () => {
    const { workbench } = session;
    const refused = await workbench.dialog();
    assert.match(refused, /HF_TOKEN|token/);
    await workbench.screenshot('hub refused');
    await workbench.clickDialog('Set Token…');
    await workbench.asked('Safe LoRA: Set Hugging Face Token');
    await workbench.quickInput(TOKEN);
    // The model that was chosen is tried again.
    await workbench.asked('Aligned model of harmful');
    await workbench.pick('A Model on the Hub…');
    await workbench.asked('Aligned model of harmful');
    await workbench.quickInput(ALIGNED);
    const dialog = await workbench.dialog();
    await workbench.screenshot('hub agreed');
    assert.match(dialog, new RegExp(`${BASE}: \\d+\\.\\d kB of \\d\\.\\d MB to fetch; 0 bytes cached`));
    assert.match(dialog, new RegExp(`${ALIGNED}: \\d+\\.\\d kB of \\d\\.\\d MB to fetch; 0 bytes cached`));
    assert.ok(hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0) < 65_536, 'headers alone have come');
  });

  it('asks again where that was declined, shows how much has come, is cancelled, and goes on with the rest', async () => {
    const { workbench } = session;
    hub.turns = [{ kind: 'slow', piece: 1024, pause: 200 }];
    const tab = new AdapterTab(workbench);
    await workbench.clickDialog('Cancel');
    await tab.banner('Cancelled before a module was measured.').waitFor();
    await tab.button('Measure').click();
    await workbench.dialog();
    await workbench.clickDialog('Fetch');
    await tab.banner(/[1-9][\d.]* kB of \d+\.\d kB fetched from the hub/).waitFor();
    await workbench.screenshot('hub fetching');
    await tab.button('Cancel').click();
    await tab.banner('Cancelled').waitFor();
    hub.turns = [{ kind: 'whole' }];
    await tab.button(/Resume|Measure/).click();
    await tab.measured();
    await tab.findingIs('3 of 12 modules at or below τ = 0.35, in layers 1, 2, 4');
    const { modules } = await fromDisk('harmful');
    const shown = await tab.chartValues();
    for (const { name, similarity } of modules) assert.equal(shown.get(name), similarity, name);
  });

  it('sent little more than what was needed, and the token to nobody but the hub', async () => {
    const { totals } = await fromDisk('harmful');
    const weights = hub.weightRequests.reduce((sum, { sent }) => sum + sent, 0);
    assert.ok(weights <= 1.02 * totals.bytesRead + 65_536, `${weights} for ${totals.bytesRead}`);
    assert.ok(hub.weightRequests.every(({ authorization }) => authorization === undefined));
    const log = session.editor.log(/./);
    assert.ok(!log.includes(TOKEN));
  });

  it('asks again only for what is new, and sends nothing for what is there', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    const before = hub.weightRequests.length;
    const tab = await session.projectAdapter('harmful');
    await tab.measured();
    assert.equal(hub.weightRequests.length, before);
    await workbench.command('View: Close All Editors');
    await workbench.explorerContextMenu('adapters/mixed-all', 'Project Adapter');
    const dialog = await workbench.dialog();
    assert.match(dialog, /to fetch/);
    await workbench.clickDialog('Fetch');
    const other = new AdapterTab(workbench);
    await other.measured();
    await other.findingIs('27 of 42 modules at or below τ = 0.35');
    await until(() => hub.weightRequests.length > before, 'the other weights');
  });

  it('can be given models on the hub where nothing is known or found', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.explorerContextMenu('adapters/benign', 'Project Adapter');
    await workbench.asked('Base model of benign');
    await workbench.pick('A Model on the Hub…');
    await workbench.asked('Base model of benign');
    await workbench.quickInput(BASE);
    await workbench.asked('Aligned model of benign');
    await workbench.press('Escape');
  });

  it('is told the base that a model card on the hub names, once that is asked for', async () => {
    const { workbench } = session;
    await workbench.command('View: Close All Editors');
    await workbench.explorerContextMenu('adapters/mixed', 'Project Adapter');
    await workbench.asked('Base model of mixed');
    const before = hub.asked.length;
    assert.ok(!(await workbench.lists(BASE)));
    await workbench.pick(`Ask the hub for the base of ${OTHER}`);
    await until(() => hub.asked.some(({ path }) => path.endsWith('/README.md')), 'the card');
    await workbench.asked('Base model of mixed');
    assert.ok(await workbench.lists(BASE));
    await workbench.screenshot('hub card');
    assert.ok(hub.asked.slice(before).every(({ path }) => !path.includes('safetensors')));
    await workbench.press('Escape');
  });
});
