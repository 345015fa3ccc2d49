// What axe-core finds wrong with a page for those who cannot see it, or only with a keyboard.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Locator } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  violations: { id: string; impact: string | null; nodes: { html: string }[] }[];
}

/** What is serious or critical: the rule, and where. */
export async function violations(body: Locator): Promise<string[]> {
  await body.evaluate(`(() => { ${axe} })()`);
  return body.evaluate(async () => {
    const { violations: found } = await (window as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run();
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  });
}
