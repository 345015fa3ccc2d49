// From what an adapter names to proposals: on machines made for the test, with the reasons that a user reads.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ReadCard } from '../../src/models/card';
import { type Proposal, propose } from '../../src/models/propose';
import { downloadCommand, englishTexts, explanation, reasonText, stateText } from '../../src/models/proposal-texts';
import { f32, temporaryFolder, writeModel } from '../fixtures/make';
import { beginDownload, cacheRevision, COMMIT, index, readme, shardNames, wholeModel } from './cache';

const CHAT = 'meta-llama/Llama-2-7b-chat-hf';
const BASE = 'meta-llama/Llama-2-7b-hf';

interface Setup {
  root: string;
  cache: string;
  adapter: string;
  propose: (
    trainedOn: string | null,
    more?: { modelFolders?: string[]; readCard?: ReadCard },
  ) => ReturnType<typeof propose>;
}

function machine(): Setup {
  const root = temporaryFolder();
  const home = join(root, 'home');
  const adapter = join(root, 'work', 'project', 'adapters', 'one');
  mkdirSync(adapter, { recursive: true });
  return {
    root,
    cache: join(home, '.cache', 'huggingface', 'hub'),
    adapter,
    propose: (trainedOn, { modelFolders = [], readCard } = {}) =>
      propose({ path: adapter, trainedOn }, { env: {}, home, modelFolders }, readCard),
  };
}

function folderOf(path: string, files: Record<string, string> = wholeModel): string {
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** Name, state and reason, as a list shows them. */
const shown = (proposals: Proposal[]): string[][] =>
  proposals.map((proposal) => [proposal.name, stateText(proposal, englishTexts), reasonText(proposal, englishTexts)]);

describe('an adapter that names its model on the hub', () => {
  it('finds both in the cache, with the reasons', async () => {
    const { cache, propose } = machine();
    const aligned = cacheRevision(cache, CHAT, { files: wholeModel });
    const base = cacheRevision(cache, BASE, { files: wholeModel });
    const found = await propose(CHAT);
    assert.deepEqual(shown(found.aligned), [
      [CHAT, 'found', 'named by the adapter, in the Hugging Face cache (revision main, 5f0b02c)'],
    ]);
    assert.deepEqual(shown(found.base), [
      [
        BASE,
        'found',
        'Llama 2 family: the base of Llama-2-7b-chat-hf, in the Hugging Face cache (revision main, 5f0b02c)',
      ],
    ]);
    assert.deepEqual([found.aligned[0]!.folder, found.base[0]!.folder], [aligned, base]);
    assert.equal(explanation(found, englishTexts), null);
  });

  it('says what is absent, half there, just begun, or of no use', async () => {
    const { cache, propose } = machine();
    assert.deepEqual(shown((await propose(CHAT)).base), [
      [BASE, 'not on this machine', 'Llama 2 family: the base of Llama-2-7b-chat-hf'],
    ]);
    beginDownload(cache, BASE);
    assert.deepEqual(shown((await propose(CHAT)).base), [
      [
        BASE,
        'incomplete: its download is not done',
        'Llama 2 family: the base of Llama-2-7b-chat-hf, in the Hugging Face cache',
      ],
    ]);
    const [first] = shardNames(3);
    cacheRevision(cache, BASE, {
      files: { 'config.json': '{}', 'model.safetensors.index.json': index(3), [first!]: '1' },
    });
    assert.equal(shown((await propose(CHAT)).base)[0]![1], 'incomplete: 1 of 3 shards are there');
    cacheRevision(cache, CHAT, { files: { 'config.json': '{}', 'pytorch_model.bin': 'p' } });
    assert.deepEqual(
      (await propose(CHAT)).aligned.map(({ state }) => state.kind),
      ['absent', 'pickle'],
    );
  });

  it('prefers a whole revision to main’s that is not', async () => {
    const { cache, propose } = machine();
    cacheRevision(cache, CHAT, { files: { 'config.json': '{}' } });
    const whole = cacheRevision(cache, CHAT, { files: wholeModel, commit: 'e'.repeat(40), refs: [] });
    const [first, second] = (await propose(CHAT)).aligned;
    assert.equal(first!.folder, whole);
    assert.equal(reasonText(first!, englishTexts), 'named by the adapter, in the Hugging Face cache (eeeeeee)');
    assert.equal(second!.state.kind, 'incomplete');
  });

  it('takes the card’s word for the base before the table’s, and says both where they differ', async () => {
    const { cache, propose } = machine();
    cacheRevision(cache, CHAT, { files: { ...wholeModel, 'README.md': readme('base_model: someone/base') } });
    assert.deepEqual(
      shown((await propose(CHAT)).base).map(([name, , why]) => [name, why]),
      [
        ['someone/base', `base_model in the model card of ${CHAT}`],
        [BASE, 'Llama 2 family: the base of Llama-2-7b-chat-hf'],
      ],
    );
    const other = machine();
    cacheRevision(other.cache, CHAT, { files: { ...wholeModel, 'README.md': readme(`base_model: ${BASE}`) } });
    assert.deepEqual(
      (await other.propose(CHAT)).base.map(({ name, why }) => [name, why.kind]),
      [[BASE, 'card']],
    );
  });

  it('asks the hub for a card only through what it was given, and only where none is here', async () => {
    const { cache, propose } = machine();
    const asked: string[] = [];
    const readCard: ReadCard = (id) => {
      asked.push(id);
      return Promise.resolve(id === 'org/own-chat' ? readme('base_model: org/own') : null);
    };
    const { base } = await propose('org/own-chat', { readCard });
    assert.deepEqual(shown(base), [['org/own', 'not on this machine', 'base_model in the model card of org/own-chat']]);
    assert.deepEqual(asked, ['org/own-chat']);
    cacheRevision(cache, 'org/own-chat', { files: { ...wholeModel, 'README.md': readme('base_model: org/cached') } });
    assert.equal((await propose('org/own-chat', { readCard })).base[0]!.name, 'org/cached');
    assert.deepEqual(asked, ['org/own-chat']);
  });

  it('leads from a quantised copy to the original, and finds other owners’ copies of it', async () => {
    const { cache, propose } = machine();
    cacheRevision(cache, 'unsloth/llama-2-7b-chat-bnb-4bit', {
      files: { ...wholeModel, 'config.json': '{"quantization_config":{}}' },
    });
    cacheRevision(cache, 'NousResearch/Llama-2-7b-chat-hf', { files: wholeModel });
    const { aligned, base } = await propose('unsloth/llama-2-7b-chat-bnb-4bit');
    assert.deepEqual(shown(aligned), [
      [
        'NousResearch/Llama-2-7b-chat-hf',
        'found',
        `the adapter names unsloth/llama-2-7b-chat-bnb-4bit, a quantised copy of it, a copy of ${CHAT}, in the Hugging Face cache (revision main, 5f0b02c)`,
      ],
    ]);
    assert.equal(base[0]!.id, BASE);
    // The copy that the adapter names is what it names.
    assert.equal(
      shown((await propose('NousResearch/Llama-2-7b-chat-hf')).aligned)[0]![2],
      'named by the adapter, in the Hugging Face cache (revision main, 5f0b02c)',
    );
  });

  it('leads from a quantised copy that the table does not know by its card', async () => {
    const cards: Record<string, string> = {
      'someone/thing-bnb-4bit': readme('base_model: org/thing-chat', 'base_model_relation: quantized'),
      'org/thing-chat': readme('base_model: org/thing'),
    };
    const readCard: ReadCard = (id) => Promise.resolve(cards[id] ?? null);
    const { aligned, base } = await machine().propose('someone/thing-bnb-4bit', { readCard });
    assert.deepEqual([aligned[0]!.id, base[0]!.id], ['org/thing-chat', 'org/thing']);
    assert.deepEqual(aligned[0]!.why, { kind: 'original', of: 'someone/thing-bnb-4bit', how: 'quantised' });
  });

  it('says where no base was published', async () => {
    const found = await machine().propose('microsoft/phi-4');
    assert.deepEqual(found.base, []);
    assert.match(explanation(found, englishTexts)!, /No base of microsoft\/phi-4 was published \(https:/);
  });

  it('has nothing to propose where the adapter names nothing', async () => {
    const found = await machine().propose(null);
    assert.deepEqual([found.base, found.aligned], [[], []]);
  });
});

describe('an adapter that was trained on a base', () => {
  it('is recognised, and the aligned models of the family are proposed with that reason', async () => {
    const { cache, propose } = machine();
    cacheRevision(cache, CHAT, { files: wholeModel });
    const found = await propose(BASE);
    assert.deepEqual(found.trainedOnBase, { base: BASE, family: 'Llama 2', aligned: [CHAT] });
    assert.deepEqual(shown(found.base), [[BASE, 'not on this machine', 'named by the adapter']]);
    assert.deepEqual(shown(found.aligned), [
      [
        CHAT,
        'found',
        'Llama 2 family: an aligned model made from Llama-2-7b-hf, in the Hugging Face cache (revision main, 5f0b02c)',
      ],
    ]);
    assert.match(
      explanation(found, englishTexts)!,
      /was trained on meta-llama\/Llama-2-7b-hf, a base model, not on an/,
    );
  });

  it('also under the name of a quantised copy', async () => {
    const { trainedOnBase, base } = await machine().propose('unsloth/llama-3-8b-bnb-4bit');
    assert.equal(trainedOnBase?.base, 'meta-llama/Meta-Llama-3-8B');
    assert.deepEqual(base[0]!.why, { kind: 'original', of: 'unsloth/llama-3-8b-bnb-4bit', how: 'quantised' });
  });

  it('but not where it is an instruct model, or was itself made from another, and others are tuned from it', async () => {
    const { cache, propose } = machine();
    for (const [id, own] of [
      ['org/eight-instruct', 'license: mit'],
      ['org/nine', 'base_model: org/eight'],
    ] as const) {
      cacheRevision(cache, id, { files: { ...wholeModel, 'README.md': readme(own) } });
      cacheRevision(cache, `${id}-poems-chat`, { files: { ...wholeModel, 'README.md': readme(`base_model: ${id}`) } });
      assert.equal((await propose(id)).trainedOnBase, null, id);
    }
  });

  it('also by the card of an instruct model on this machine, not by that of any tuned one', async () => {
    const { cache, propose } = machine();
    const card = readme('base_model: org/seven');
    cacheRevision(cache, 'org/seven-poems', { files: { ...wholeModel, 'README.md': card } });
    assert.equal((await propose('org/seven')).trainedOnBase, null);
    cacheRevision(cache, 'org/seven-instruct', { files: { ...wholeModel, 'README.md': card } });
    const { trainedOnBase, aligned } = await propose('org/seven');
    assert.deepEqual(trainedOnBase, { base: 'org/seven', family: null, aligned: ['org/seven-instruct'] });
    assert.match(reasonText(aligned[0]!, englishTexts), /^its model card says base_model org\/seven, in the/);
  });
});

describe('models in folders', () => {
  it('are found near the adapter, in any case, by their own name or their configuration', async () => {
    const { root, propose } = machine();
    const named = folderOf(join(root, 'work', 'llama-2-7b-CHAT-hf'));
    const stated = folderOf(join(root, 'work', 'project', 'pretrained'), {
      ...wholeModel,
      'config.json': JSON.stringify({ _name_or_path: BASE }),
    });
    // Tuned from the base, and named so that it cannot be taken for it.
    folderOf(join(root, 'work', 'Llama-2-13b-hf'), {
      ...wholeModel,
      'config.json': JSON.stringify({ _name_or_path: BASE }),
    });
    folderOf(join(root, 'Llama-2-7b-hf'));
    const { aligned, base } = await propose(CHAT);
    assert.deepEqual(
      aligned.map(({ folder }) => folder),
      [named],
    );
    assert.deepEqual(
      base.map(({ folder }) => folder),
      [stated],
    );
    assert.equal(reasonText(aligned[0]!, englishTexts), 'named by the adapter, near the adapter');
    assert.equal(
      reasonText(base[0]!, englishTexts),
      `Llama 2 family: the base of Llama-2-7b-chat-hf, its config.json says ${BASE}, near the adapter`,
    );
  });

  it('are found in the user’s folders, themselves and two levels below, a cache among them too', async () => {
    const { root, propose } = machine();
    const models = join(root, 'disk');
    const deep = folderOf(join(models, 'meta-llama', 'Llama-2-7b-hf'));
    folderOf(join(models, 'too', 'deep', 'Llama-2-7b-hf'));
    const cached = cacheRevision(join(root, 'other', 'hub'), BASE, { files: wholeModel });
    const single = folderOf(join(root, 'Llama-2-7b-hf'));
    const modelFolders = [models, join(root, 'other'), single];
    const { base } = await propose(CHAT, { modelFolders });
    assert.deepEqual(base.map(({ folder }) => folder).sort(), [deep, cached, single].sort());
    assert.match(
      reasonText(
        base.find(({ folder }) => folder === deep)!,
        englishTexts,
      ),
      new RegExp(`, in the model folder ${models}$`),
    );
  });

  for (const trainedOn of ['/work/models/chat', '../models/chat', 'models/chat', './models/chat/']) {
    it(`are taken where ${trainedOn} is one`, async () => {
      const { root, propose } = machine();
      const inside = trainedOn.startsWith('/')
        ? 'work'
        : trainedOn.startsWith('..')
          ? 'work/project/adapters'
          : 'work/project';
      const config = JSON.stringify({ _name_or_path: CHAT });
      const folder = folderOf(join(root, inside, 'models', 'chat'), { ...wholeModel, 'config.json': config });
      const { aligned, base } = await propose(trainedOn.startsWith('/') ? join(root, trainedOn) : trainedOn);
      assert.deepEqual(
        aligned.map((proposal) => proposal.folder),
        [folder],
      );
      assert.equal(reasonText(aligned[0]!, englishTexts), 'named by the adapter, at the path that the adapter names');
      assert.equal(base[0]!.id, BASE);
    });
  }

  it('that bear the name come before those whose configuration says it', async () => {
    const { root, propose } = machine();
    const stated = folderOf(join(root, 'work', 'a'), { ...wholeModel, 'config.json': `{"_name_or_path":"${BASE}"}` });
    const named = folderOf(join(root, 'disk', 'Llama-2-7b-hf'));
    const { base } = await propose(CHAT, { modelFolders: [join(root, 'disk')] });
    assert.deepEqual(
      base.map(({ folder }) => folder),
      [named, stated],
    );
  });

  it('that are quantised lead to the original, and are not proposed themselves', async () => {
    const { root, cache, propose } = machine();
    const quantised = { ...wholeModel, 'config.json': '{"quantization_config":{}}' };
    const folder = folderOf(join(root, 'work', 'Llama-2-7b-chat-hf-bnb-4bit'), quantised);
    cacheRevision(cache, 'TheBloke/Llama-2-7B-Chat-GGUF', { files: { 'config.json': '{}' } });
    assert.deepEqual(shown((await propose(folder)).aligned), [
      [CHAT, 'not on this machine', 'the adapter names Llama-2-7b-chat-hf-bnb-4bit, a quantised copy of it'],
    ]);
  });

  it('on a share of the network are not asked for on the adapter’s word', async () => {
    const { root, propose } = machine();
    const folder = folderOf(join(root, 'far', 'Llama-2-7b-chat-hf'));
    const [first] = (await propose(`/${folder}`)).aligned;
    assert.deepEqual([first!.id, first!.state.kind], [CHAT, 'absent']);
  });

  it('of another machine lead on by their name, or by a path into its cache', async () => {
    const { cache, propose } = machine();
    const aligned = cacheRevision(cache, CHAT, { files: wholeModel });
    for (const path of [
      '/data/models/Llama-2-7b-chat-hf',
      'C:\\models\\Llama-2-7b-chat-hf',
      `/home/other/.cache/huggingface/hub/models--meta-llama--Llama-2-7b-chat-hf/snapshots/${COMMIT}`,
    ]) {
      const found = await propose(path);
      assert.deepEqual(
        found.aligned.map(({ folder }) => folder),
        [aligned],
        path,
      );
      assert.equal(found.base[0]!.id, BASE);
    }
  });

  it('with the card beside the weights say their base', async () => {
    const { root, propose } = machine();
    const folder = folderOf(join(root, 'work', 'own'), { ...wholeModel, 'README.md': readme('base_model: org/first') });
    assert.equal((await propose(folder)).base[0]!.id, 'org/first');
  });
});

describe('the command for a download', () => {
  it('is for a model of the hub only: a name from a file is no part of a command', () => {
    for (const id of [
      null,
      'name',
      'org/name; reboot',
      'org/$(reboot)',
      '-x/name',
      'org/name\nreboot',
      'org/name/more',
    ])
      assert.equal(downloadCommand(id), null);
  });

  it('has one pattern, which fits configurations and weights alone', () => {
    assert.equal(downloadCommand(BASE), `hf download ${BASE} --include "*.[js]*"`);
    const fits = (name: string): boolean => /^.*\.[js].*$/.test(name);
    for (const name of ['config.json', 'model-00001-of-00002.safetensors', 'model.safetensors.index.json'])
      assert.ok(fits(name), name);
    for (const name of ['pytorch_model.bin', 'original/consolidated.00.pth', 'model.gguf', 'flax_model.msgpack'])
      assert.ok(!fits(name), name);
  });
});

describe('a base that nothing names', () => {
  const tensors = (tokens: number, width = 4) => ({
    'model.embed_tokens.weight': f32([tokens, width], new Float32Array(tokens * width)),
    'model.layers.0.self_attn.q_proj.weight': f32([width, width], new Float32Array(width * width)),
  });
  const project = () => {
    const { adapter, propose } = machine();
    const near = (name: string): string => join(adapter, '..', '..', name);
    writeModel(near('own-chat'), tensors(10), { vocab_size: 10 });
    return { near, propose: () => propose('own-chat') };
  };

  it('is the only other model near the adapter with the tensors of the aligned one, whatever the number of tokens', async () => {
    const { near, propose } = project();
    const base = writeModel(near('start'), tensors(8), { vocab_size: 8 });
    writeModel(near('smaller'), tensors(10, 2), { vocab_size: 10 });
    const found = await propose();
    assert.deepEqual(
      found.base.map(({ folder }) => folder),
      [base],
    );
    assert.deepEqual(shown(found.base), [
      ['start', 'found', 'the only other model here with the tensors of own-chat, near the adapter'],
    ]);
  });

  it('is not guessed among two, and not where there is none', async () => {
    const { near, propose } = project();
    assert.deepEqual((await propose()).base, []);
    writeModel(near('start'), tensors(10), { vocab_size: 10 });
    writeModel(near('middle'), tensors(10), { vocab_size: 10 });
    assert.deepEqual((await propose()).base, []);
  });
});
