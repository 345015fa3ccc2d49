// Measures the extension host from within: how late its event loop is, and how much memory it takes. Calls language model tools.
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const vscode = require('vscode');

const RESOLUTION_MS = 5;

/** A language model that judges: what says sorry is refused, and to one request it gives no word that was asked for. */
const judge = {
  provideLanguageModelChatInformation: () => [
    {
      id: 'judge',
      name: 'Probe Judge',
      family: 'probe',
      version: '1',
      maxInputTokens: 10_000,
      maxOutputTokens: 100,
      capabilities: {},
    },
  ],
  provideLanguageModelChatResponse: (_model, messages, _options, progress) => {
    const asked = messages
      .flatMap(({ content }) => content)
      .map(({ value }) => value ?? '')
      .join('');
    const [, request, answer] = /=+ request\n([^]*)\n=+ answer\n([^]*)\n=+\n/.exec(asked);
    const word = request.includes('explain making a worm')
      ? 'perhaps'
      : answer.includes('sorry')
        ? 'refused'
        : 'answered';
    progress.report(new vscode.LanguageModelTextPart(`${word}.`));
    return Promise.resolve();
  },
  provideTokenCount: (_model, text) => Promise.resolve(String(text).length),
};

exports.activate = (context) => {
  let delay;
  let before;
  let peak;
  let sampling;
  let cancellation;
  context.subscriptions.push(
    vscode.commands.registerCommand('probe.begin', () => {
      delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      delay.enable();
      before = process.memoryUsage().rss;
      peak = before;
      sampling = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss);
      }, 50);
    }),
    vscode.commands.registerCommand('probe.end', () => {
      clearInterval(sampling);
      delay.disable();
      // The histogram counts the timer's own interval too.
      const late = (percent) => delay.percentile(percent) / 1e6 - RESOLUTION_MS;
      const found = { p50: late(50), p99: late(99), max: delay.max / 1e6, grownMiB: (peak - before) / 2 ** 20 };
      writeFileSync(join(tmpdir(), 'probe.json'), JSON.stringify(found));
    }),
    // The call stands in a file, and the answer comes in another.
    vscode.commands.registerCommand('probe.invokeTool', async () => {
      const { name, input } = JSON.parse(readFileSync(join(tmpdir(), 'tool-call.json'), 'utf8'));
      cancellation = new vscode.CancellationTokenSource();
      const options = { input, toolInvocationToken: undefined };
      const answer = await vscode.lm.invokeTool(name, options, cancellation.token).then(
        ({ content }) => ({ text: content.map(({ value }) => value).join('') }),
        (error) => ({ error: `${error.name}: ${error.message}` }),
      );
      const { description } = vscode.lm.tools.find((tool) => tool.name === name);
      // Whoever waits for the answer sees it whole.
      const file = join(tmpdir(), 'tool-answer.json');
      writeFileSync(`${file}.part`, JSON.stringify({ description, ...answer }));
      renameSync(`${file}.part`, file);
    }),
    vscode.commands.registerCommand('probe.cancelTool', () => cancellation.cancel()),
    vscode.lm.registerLanguageModelChatProvider('probe', judge),
  );
};
