// Where are my two models? What the pickers propose of a Hugging Face cache and of the user's folders, and what choosing it does.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sample, temporaryFolder } from '../fixtures/make';
import { cacheRevision, readme } from '../models/cache';
import { AdapterTab } from './adapter-tab';
import { copyAdapter } from './many-adapters';
import { until } from './patience';
import { Session } from './session';
import { inspect } from './tool-calls';

const CHAT = 'meta-llama/Llama-2-7b-chat-hf';
const BASE = 'meta-llama/Llama-2-7b-hf';
const MAIN = 'in the Hugging Face cache (revision main, 5f0b02c)';

/** What each adapter of the workspace says that it was trained on. */
const trainedOn = {
  harmful: CHAT,
  benign: 'unsloth/mistral-7b-instruct-v0.3-bnb-4bit',
  mixed: BASE,
  'mixed-all': 'own/toy-chat',
};

function filesOf(folder: string): Record<string, Buffer> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

function fill(workspace: string, folders: string): void {
  // Settings of the machine would have to stand in a file of its own.
  mkdirSync(join(workspace, '.vscode'));
  writeFileSync(join(workspace, '.vscode', 'settings.json'), JSON.stringify({ 'safeLora.modelFolders': [folders] }));
  for (const [name, id] of Object.entries(trainedOn)) copyAdapter(name, join(workspace, 'adapters', name), id);
}

describe('an adapter whose models lie in the cache', () => {
  const home = temporaryFolder();
  const folders = join(home, 'models');
  let session: Session;
  let aligned: string;
  let base: string;
  before(async () => {
    const hub = join(home, 'hub');
    aligned = cacheRevision(hub, CHAT, { files: filesOf(join(sample, 'aligned')) });
    base = cacheRevision(hub, BASE, { files: filesOf(join(sample, 'base')) });
    const { 'model-00002-of-00002.safetensors': _, ...half } = filesOf(join(sample, 'aligned'));
    cacheRevision(hub, 'mistralai/Mistral-7B-Instruct-v0.3', { files: half });
    mkdirSync(join(folders, 'own'), { recursive: true });
    cpSync(join(sample, 'aligned'), join(folders, 'own', 'toy-chat'), { recursive: true });
    cpSync(join(sample, 'base'), join(folders, 'toy'), { recursive: true });
    cacheRevision(hub, 'own/toy-chat', { files: { 'README.md': readme('base_model: own/toy') } });
    session = await Session.start({ fill: (workspace) => fill(workspace, folders), env: { HF_HOME: home } });
  });
  after(() => session.stop());

  /** What the picker lists, a line each. */
  async function asked(title: string): Promise<string> {
    await session.workbench.asked(title);
    return (await session.workbench.quickInputText()).replace(/\s*\n\s*/g, '\n');
  }

  it('is asked for once, after all others, and nothing that was found is taken without an answer', async () => {
    const { workbench } = session;
    await workbench.command('Safe LoRA: Measure All Adapters');
    const names = Object.keys(trainedOn).sort();
    const text = `4 adapters need their models before they can be measured: ${names.slice(0, 3).join(', ')} and 1 more.`;
    await workbench.notification(text).waitFor();
    await workbench.clickNotification('Choose Models…');
    await workbench.asked(`Base model of ${names[0]!}`);
    await workbench.press('Escape');
    const { error } = await inspect(session, { adapter: 'adapters/harmful' });
    const found = `found: base ${base} (Llama 2 family: the base of Llama-2-7b-chat-hf, ${MAIN}), aligned ${aligned} (named by the adapter, ${MAIN})`;
    assert.ok(error!.includes(found), error);
  });

  it('is asked with the pair first, both reasons beside it, and measured once it is chosen', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/harmful', 'Project Adapter');
    const text = await asked('Base model of harmful');
    const why = 'Llama 2 family: the base of Llama-2-7b-chat-hf';
    const listed = [
      'Both: Llama-2-7b-hf and Llama-2-7b-chat-hf',
      `Aligned: named by the adapter. Base: ${why}.`,
      `${BASE}found, ${MAIN}`,
      why,
    ];
    assert.ok(text.includes(listed.join('\n')), text);
    await workbench.screenshot('models proposed');
    await workbench.pick('Both: Llama-2-7b-hf and Llama-2-7b-chat-hf');
    const tab = new AdapterTab(workbench);
    await tab.measured();
    await tab.findingIs('3 of 12 modules at or below τ = 0.35, in layers 1, 2, 4');
    const settings = readFileSync(session.path('.vscode', 'settings.json'), 'utf8');
    assert.deepEqual((JSON.parse(settings) as Record<string, unknown>)['safeLora.pairs'], {
      [CHAT]: { base, aligned },
    });
  });

  it('is told what is absent or incomplete, with the command that brings it', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/benign', 'Project Adapter');
    const text = await asked('Base model of benign');
    assert.doesNotMatch(text, /Both:/);
    assert.match(text, /mistralai\/Mistral-7B-v0\.3\n?not on this machine/);
    await workbench.pick('mistralai/Mistral-7B-v0.3');
    const command = 'hf download mistralai/Mistral-7B-v0.3 --include "*.[js]*"';
    const dialog = await workbench.dialog();
    assert.ok(dialog.includes('mistralai/Mistral-7B-v0.3: not on this machine.') && dialog.includes(command), dialog);
    await workbench.screenshot('model absent');
    await workbench.clickDialog('Choose Another');
    await workbench.asked('Base model of benign');
    await workbench.pick('mistralai/Mistral-7B-v0.3');
    await workbench.dialog();
    await workbench.clickDialog('Copy Command');
    await until(
      async () => (await workbench.window.evaluate(() => navigator.clipboard.readText())) === command,
      'the command',
    );
    await workbench.command('Safe LoRA: Choose Models…');
    await workbench.asked('Base model of benign');
    await workbench.pick('Browse…');
    await workbench.fileDialog('Base model of benign: the pretrained one, before alignment', base);
    const incomplete = await asked('Aligned model of benign');
    assert.match(incomplete, /mistralai\/Mistral-7B-Instruct-v0\.3\n?incomplete: 1 of 2 shards are there/);
    assert.ok(incomplete.includes(`the adapter names ${trainedOn.benign}, a quantised copy of it`), incomplete);
    await workbench.press('Escape');
  });

  it('is told that it was trained on a base model', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/mixed', 'Project Adapter');
    assert.ok((await asked('Base model of mixed')).includes(`The adapter was trained on ${BASE}, a base model`));
    await workbench.screenshot('trained on a base model');
    await workbench.pick('mixed was trained on a base model');
    assert.match(await workbench.dialog(), /a projection does not align it/);
    await workbench.clickDialog('OK');
    await workbench.asked('Base model of mixed');
    await workbench.pick(BASE);
    const text = await asked('Aligned model of mixed');
    assert.ok(text.includes(`Llama 2 family: an aligned model made from Llama-2-7b-hf`), text);
    await workbench.pick(CHAT);
    await new AdapterTab(workbench).measured();
  });

  it('finds models in the user’s folders, by the card that names the base', async () => {
    const { workbench } = session;
    await workbench.explorerContextMenu('adapters/mixed-all', 'Project Adapter');
    const text = await asked('Base model of mixed-all');
    assert.ok(text.includes(`base_model in the model card of own/toy-chat, in the model folder ${folders}`), text);
    await workbench.pick('Both: toy and toy-chat');
    await new AdapterTab(workbench).measured();
  });
});
