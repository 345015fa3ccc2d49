// A failure in one sentence, for a row of the view and a notification.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { reasonOf } from '../../src/host/status/reason';

it('is what is wrong, without the file before it and the advice after it', () => {
  const cases: Record<string, string> = {
    '/adapters/dora/adapter_config.json: use_dora is set; merge it first.': 'use_dora is set',
    'C:\\models\\base: no such folder; check the path.': 'no such folder',
    'hf://org/name@main: cannot be reached; try again later.': 'cannot be reached',
    'its models are not known; choose them.': 'its models are not known',
    'Nothing is left. Try again.': 'Nothing is left',
    '/m: w.0 holds NaN or infinity.': 'w.0 holds NaN or infinity',
  };
  for (const [message, reason] of Object.entries(cases)) assert.equal(reasonOf(message), reason);
});
