// Which tasks share text or title with what is evaluated on: the held-out tasks of the run and any file named.
import { readAllJsonl, taskSchema, type Task } from '@masksearch/core';
import { createDecontaminator } from '@masksearch/ramp';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { readTasks } from '../stages/read-tasks.ts';

/** Questions of one kind share turns of phrase; only a long run of words is no accident (GPT-3, arXiv:2005.14165 §C). */
const QUESTION_NGRAM_WORDS = 13;

/** Masked paragraphs are compared by their text and title, questions by their words. */
export async function contaminationTest(
  run: RunContext,
  { synthesis }: RunConfig,
): Promise<(task: Task) => boolean> {
  const evaluated = await readTasks(run, 'heldout');
  for (const file of synthesis.evaluationFiles) {
    evaluated.push(...(await readAllJsonl(file, taskSchema)));
  }
  const paragraphs = createDecontaminator(
    evaluated.flatMap((task) =>
      task.type === 'ramp' ? [{ title: task.title, text: task.text }] : [],
    ),
  );
  const questions = createDecontaminator(
    evaluated.flatMap((task) => (task.type === 'qa' ? [{ text: task.question }] : [])),
    { ngramWords: QUESTION_NGRAM_WORDS },
  );
  return (task) =>
    task.type === 'ramp'
      ? paragraphs({ title: task.title, text: task.text })
      : questions({ title: '', text: task.question });
}
