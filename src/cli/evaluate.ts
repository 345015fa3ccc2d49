// safe-lora evaluate: measures what projecting does to the model's behaviour; handles its files and progress.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdapter } from '../core/adapter';
import { replaceFile } from '../core/atomic';
import { answerRecord, ANSWERS_SCHEMA, answersText } from '../evaluation/answers';
import { type Evaluated, evaluate } from '../work/evaluate';
import { type Ports } from '../work/services';
import { TimeLeft } from '../work/time-left';
import { type EvaluateArguments } from './arguments';
import { evaluationLines } from './evaluation-table';
import { checkHtmlTarget, checkJsonTarget, checkTarget, writeHtml, writeJson } from './targets';
import { type RunServices, travelLine } from './services';
import { storageFolder } from './storage';
import { StatusLine, type Terminal } from './terminal';

export interface EvaluateCall {
  args: EvaluateArguments;
  services: RunServices;
  ports: Ports;
  terminal: Terminal;
}

/** @throws SafeLoraError; the signal's reason; results so far are kept */
export async function evaluateCommand({ args, services, ports, terminal }: EvaluateCall): Promise<void> {
  const { answers, json, html, quiet } = args;
  await checkJsonTarget(json);
  await checkHtmlTarget(html);
  await checkTarget(answers, '--answers', new RegExp(`^\\{"schema":"${ANSWERS_SCHEMA}"`));
  const line = new StatusLine(terminal);
  const time = new TimeLeft();
  try {
    const evaluated = await evaluate(
      {
        ...args,
        adapter: await openAdapter(args.adapter),
        keepsAnswers: answers !== undefined,
        journalPath: (key) =>
          answers === undefined ? join(storageFolder(), 'evaluations', `${key}.jsonl`) : `${answers}.part`,
      },
      services,
      quiet
        ? ports
        : {
            ...ports,
            onModel: (name, travel) => {
              terminal.tell(travelLine(`${name}, to run it`, travel));
            },
            onLoad: ({ precision, reason }) => {
              line.show(`loading the model, ${precision}: ${reason}`);
            },
            onStage: (stage, done, total) => {
              const seconds = time.seconds(stage, done, total);
              line.show(`${done} of ${total} ${stage}${seconds === null ? '' : `, ${seconds} s left`}`);
            },
          },
    );
    line.clear();
    await writeAnswers(answers, evaluated);
    if (!quiet && json !== '-') terminal.print(evaluationLines(evaluated.report));
    await writeJson(json, evaluated.report, terminal);
    await writeHtml(html, [{ report: evaluated.inspection, evaluation: evaluated.report }]);
    await evaluated.done();
  } finally {
    line.clear();
  }
}

/** One line per answer, by points, sets and prompts. */
async function writeAnswers(path: string | undefined, { report, key, sets, lines }: Evaluated): Promise<void> {
  if (path === undefined) return;
  const records = lines.map((line) => answerRecord(line.count, sets[line.set]!, line.prompt, line, line.answer));
  const text = answersText(key, report, records);
  // Readable only by the user: the text is hazardous.
  await replaceFile(path, (temporary) => writeFile(temporary, text, { mode: 0o600 }));
}
