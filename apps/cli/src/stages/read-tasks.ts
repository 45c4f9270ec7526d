// Reads the tasks of one side.
import { readAllJsonl, taskSchema, type Task } from '@masksearch/core';
import { stageFile, type RunContext } from '../run/run-folder.ts';
import type { Side } from './sides.ts';

export function readTasks(run: Pick<RunContext, 'folder'>, side: Side): Promise<Task[]> {
  return readAllJsonl(stageFile(run, 'tasks', `${side}.jsonl`), taskSchema);
}
