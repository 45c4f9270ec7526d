// Example episodes for the report: the teacher's, and those that each checkpoint played in the evaluation.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  messageSchema,
  readAllJsonl,
  taskSchema,
  trajectorySchema,
  type Trajectory,
} from '@masksearch/core';
import type { ReportTrajectory } from '@masksearch/evaluation';
import { z } from 'zod';
import { isFinished, stageFolder, type RunContext } from '../run/run-folder.ts';
import { firstOfEachGroup } from './first-of-each-group.ts';
import { readTasks } from './read-tasks.ts';

const exampleSchema = z.strictObject({
  stage: z.string(),
  task: taskSchema,
  messages: z.array(messageSchema),
  answer: z.array(z.string()).nullable(),
  verdict: z.strictObject({ accepted: z.boolean(), reason: z.string() }),
});

/** @param perGroup Episodes per checkpoint and group at most. */
export async function readExamples(
  run: Pick<RunContext, 'folder'>,
  checkpoints: readonly string[],
  perGroup: number,
): Promise<ReportTrajectory[]> {
  const examples = await teacherExamples(run, perGroup);
  for (const name of checkpoints) {
    const path = join(stageFolder(run, 'evaluation'), `${name}-episodes.jsonl`);
    if (existsSync(path)) examples.push(...(await readAllJsonl(path, exampleSchema)));
  }
  return examples;
}

async function teacherExamples(
  run: Pick<RunContext, 'folder'>,
  perGroup: number,
): Promise<ReportTrajectory[]> {
  if (!isFinished(run, 'trajectories') || perGroup === 0) return [];
  const tasks = new Map((await readTasks(run, 'train')).map((task) => [task.id, task]));
  const folder = stageFolder(run, 'trajectories');
  const readFirst = async (file: string): Promise<Trajectory[]> =>
    firstOfEachGroup(await readAllJsonl(join(folder, file), trajectorySchema), 1);
  const shown = [
    ...(await readFirst('trajectories.jsonl')),
    ...(await readFirst('rejected.jsonl')),
  ];
  return shown.flatMap(({ taskId, messages, answer, verdict }) => {
    const task = tasks.get(taskId);
    return task === undefined ? [] : [{ stage: 'teacher', task, messages, answer, verdict }];
  });
}
