// Files of the workspace that look like prompts, with what is in them.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { ADAPTER_FILES } from '../../core/adapter';
import { stampOf } from '../../core/files';
import { type Metric } from '../../evaluation/judge';
import { type PromptFile, type PromptSet, readPrompts, type Role } from '../../evaluation/prompts';

const FILES = '**/*.{jsonl,ndjson,json,csv,tsv,yaml,yml,txt}';
const LEFT_OUT = '**/{node_modules,.git,.vscode,.venv,venv,dist,build}/**';

/** Larger files, and more of them, are not looked into. */
const MOST_BYTES = 20_000_000;
const MOST_FILES = 200;

/** Files of models, adapters and tools. */
const OTHERS = new RegExp(
  `^(${[...ADAPTER_FILES.map((name) => name.replaceAll('.', '\\.')), '.*config.*', 'tokenizer.*', 'package.*', 'tsconfig.*', '.*index\\.json', 'special_tokens.*', 'vocab.*', 'merges.*', 'added_tokens.*', 'trainer_state.*', 'safe_lora_.*', 'requirements.*', 'readme.*', 'licen[cs]e.*', 'chat_template.*', 'reference.*', 'behaviour.*'].join('|')})$`,
  'i',
); // prettier-ignore

/** Every line of a text is a prompt, so that only the name can tell. */
const TEXT_OF_PROMPTS = /prompt|harm|refus|advbench|bench|question|instruct|attack/i;

export interface FoundPrompts {
  file: PromptFile;
  sets: readonly Pick<PromptSet, 'role' | 'prompts'>[];
  /** What the file does not say. */
  lacks: 'role' | 'metric' | null;
}

export async function findPrompts(): Promise<FoundPrompts[]> {
  const files = await vscode.workspace.findFiles(FILES, LEFT_OUT, MOST_FILES * 5);
  const likely = files
    .filter(({ scheme, path }) => scheme === 'file' && !OTHERS.test(basename(path)))
    .filter(({ path }) => !path.endsWith('.txt') || TEXT_OF_PROMPTS.test(basename(path)))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .slice(0, MOST_FILES);
  const found = await Promise.all(likely.map(({ fsPath }) => look(fsPath)));
  return found.filter((prompts) => prompts !== null);
}

/** Null for a file without prompts. */
async function look(path: string): Promise<FoundPrompts | null> {
  const { size } = await stampOf(path).catch(() => ({ size: Infinity }));
  return size > MOST_BYTES ? null : lookInto(path);
}

/** @returns null for a file without prompts, whatever their role */
export async function lookInto(path: string): Promise<FoundPrompts | null> {
  const guesses: [role: Role | null, metric: Metric | null, lacks: FoundPrompts['lacks']][] = [
    [null, null, null],
    ['utility', 'contains', 'metric'],
    ['harmful', null, 'role'],
  ];
  for (const [role, metric, lacks] of guesses) {
    const sets = await readPrompts({ path, role, metric }).catch(() => null);
    if (sets) return { file: { path, role: null, metric: null }, sets, lacks };
  }
  return null;
}
