// Known faults, by the oracle that must see each: who never fails proves nothing.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SafeLoraError } from '../../../src/core/errors';
import { f32, randomTensor, smallCase } from '../../fixtures/make';
import { pathsIn } from '../operations';
import { checkModule, WrongNumber } from './independent';
import { MOST_CPU_MS, MOST_MEMORY, type Oracle, refuseLeftovers, Survival, Violation } from './oracles';
import { type Case, sameTensors } from './walk';

export type Plant = Oracle;

const refusal =
  (message: (path: string) => string) =>
  async (c: Case): Promise<void> => {
    // After it was made, since making it mends the text.
    const error = Object.assign(new SafeLoraError('adapter-config', ''), { message: message(c.inside) });
    await c.attempt(() => Promise.reject(error));
  };

export const plants: Readonly<Record<Plant, (c: Case) => Promise<void>>> = {
  exception: () => Promise.reject(new TypeError('not a function')),
  hang: () => new Promise(() => setInterval(() => undefined, 1000)),
  slow: () => {
    const started = process.cpuUsage().user;
    while (process.cpuUsage().user - started < 1500 * MOST_CPU_MS);
    return Promise.resolve();
  },
  memory: () => {
    Buffer.alloc(1.2 * MOST_MEMORY, 1);
    return Promise.resolve();
  },
  'message-line': refusal((path) => `${path}: a\u2028b`),
  'message-length': refusal((path) => `${path}: ${'a'.repeat(3000)}`),
  'message-characters': refusal((path) => `${path}: \u001b[2J`),
  'message-file': refusal(() => 'something is wrong'),
  'lost-original': async ({ inside }) => {
    smallCase(inside);
    const { adapter, weights, originals } = pathsIn(inside);
    const survival = new Survival(adapter, originals, join(inside, 'scratch'));
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(weights, bytes);
    await survival.check();
  },
  outside: ({ around }) => {
    writeFileSync(join(around.inside, '..', 'outside', 'folder', 'new'), '');
    return Promise.resolve();
  },
  leftover: ({ inside }) => {
    writeFileSync(join(inside, '.adapter_model.safetensors.safe-lora-new-0b0b'), '');
    refuseLeftovers(new Set(), inside);
    return Promise.resolve();
  },
  'wrong-number': () => {
    const tensors = {
      base: randomTensor(1, [6, 4]),
      aligned: randomTensor(2, [6, 4]),
      a: f32([1, 4], [1, 2, 3, 4]),
      b: f32([6, 1], [1, 2, 3, 4, 5, 6]),
    };
    const named = (name: keyof typeof tensors) => ({ name }) as never;
    const measurement = { similarity: 0.5, direction: 0.5, gain: 0.5 } as never;
    const weights = { base: named('base'), aligned: named('aligned'), transposed: false };
    const module = {
      name: 'm',
      weights,
      a: named('a'),
      b: named('b'),
      rank: 1,
      scale: 1,
      measurement,
      projected: null,
    };
    try {
      checkModule(module as never, ({ name }) => tensors[name as keyof typeof tensors]);
    } catch (error) {
      if (error instanceof WrongNumber) throw new Violation('wrong-number', error.message);
      throw error;
    }
    return Promise.resolve();
  },
  'wrong-bytes': ({ inside }) => {
    smallCase(inside);
    mkdirSync(join(inside, 'x'));
    sameTensors(pathsIn(inside).weights, new Map([['other', Buffer.alloc(0)]]), false);
    return Promise.resolve();
  },
  secret: () => Promise.reject(new Violation('secret', 'planted')),
};
