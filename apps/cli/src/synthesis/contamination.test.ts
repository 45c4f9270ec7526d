// What is evaluated on is kept out: the run's held-out tasks and the files that are named.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeJsonl } from '@masksearch/core';
import { maskTask, questionTask } from '@masksearch/core/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseConfig } from '../config/load.ts';
import { runConfigSchema } from '../config/run-config.ts';
import { contaminationTest } from './contamination.ts';

const FIRST = 'In which of the towns by the river was the founder of the oldest mill born?';
const SECOND = 'Which of the two lakes near the old capital has been frozen for more winters?';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-contamination-'));
  mkdirSync(join(folder, 'tasks'));
  const heldout = [maskTask(), questionTask({ question: FIRST })];
  writeJsonl(join(folder, 'tasks/heldout.jsonl'), heldout);
  writeFileSync(join(folder, 'tasks/manifest.json'), '{}'); // the stage is finished
});
afterEach(() => rmSync(folder, { recursive: true }));

async function isContaminated(evaluationFiles: readonly string[] = []) {
  const values = { name: 'test', synthesis: { evaluationFiles } };
  const { signal } = new AbortController();
  const run = { folder, seed: 1, fresh: false, signal, say: () => undefined };
  return contaminationTest(run, parseConfig(runConfigSchema, values, 'test'));
}

it('finds paragraphs by title and by words, and questions by a long run of words', async () => {
  const test = await isContaminated();
  const other = { title: 'Mila Toro', text: 'Mila Toro founded a mill in Ganu.' };
  expect(test(maskTask(other))).toBe(false);
  expect(test(maskTask({ ...other, title: 'karo belin (poet)' }))).toBe(true);
  expect(
    test(maskTask({ ...other, text: 'Karo Belin was born in Tusade in 1874, they say.' })),
  ).toBe(true);
  expect(test(questionTask({ question: `Well: ${FIRST.toUpperCase()}` }))).toBe(true);
  expect(test(questionTask({ question: FIRST.replace('founder', 'owner') }))).toBe(false);
});

it('reads the files that are named beside them', async () => {
  const file = join(folder, 'evaluation.jsonl');
  writeJsonl(file, [questionTask({ question: SECOND })]);
  expect((await isContaminated())(questionTask({ question: SECOND }))).toBe(false);
  expect((await isContaminated([file]))(questionTask({ question: SECOND }))).toBe(true);
});
