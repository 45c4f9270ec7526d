// The bytes of an export: which records of a run it takes, and how they are laid out in a file.
import { searchR1Parquet, toChatml, toSearchR1, toShareGpt } from '@masksearch/agent';
import {
  InputError,
  readAllJsonl,
  trajectorySchema,
  type Task,
  type Trajectory,
} from '@masksearch/core';
import { stageFile, type RunContext } from '../run/run-folder.ts';
import { readTasks } from './read-tasks.ts';
import type { Side } from './sides.ts';

export interface ExportChoice {
  readonly format: 'records' | 'chatml' | 'sharegpt' | 'search-r1' | 'verl';
  readonly side: Side;
  readonly rejected?: boolean;
}

/** @throws {InputError} the stage that is exported has not finished, or a kept trajectory cannot be taken apart. */
export async function exportRun(
  run: RunContext,
  choice: ExportChoice,
): Promise<{ bytes: string | Uint8Array; records: number }> {
  if (choice.format === 'search-r1' || choice.format === 'verl') {
    const { side: split } = choice;
    const tasks = await readTasks(run, split);
    const rows = tasks.map((task, index) => toSearchR1(task, { split, index }));
    const bytes = choice.format === 'verl' ? await searchR1Parquet(rows) : jsonLines(rows);
    return { bytes, records: rows.length };
  }
  const trajectories = await readTrajectories(run, choice.rejected ?? false);
  if (choice.format === 'records') {
    return { bytes: jsonLines(trajectories), records: trajectories.length };
  }
  // What was cut off has no answer to export.
  const finished = trajectories.filter(({ finishReason }) => finishReason === 'answer');
  if (choice.format === 'sharegpt') {
    const rows = finished.map(toShareGpt);
    return { bytes: `${JSON.stringify(rows, null, 1)}\n`, records: rows.length };
  }
  const tasks = new Map((await readTasks(run, 'train')).map((task) => [task.id, task]));
  const rows = finished.map((trajectory) => toChatml(trajectory, taskOf(trajectory, tasks)));
  return { bytes: jsonLines(rows), records: rows.length };
}

async function readTrajectories(run: RunContext, withRejected: boolean): Promise<Trajectory[]> {
  const read = (file: string): Promise<Trajectory[]> =>
    readAllJsonl(stageFile(run, 'trajectories', file), trajectorySchema);
  const kept = await read('trajectories.jsonl');
  return withRejected ? [...kept, ...(await read('rejected.jsonl'))] : kept;
}

function taskOf({ taskId }: Trajectory, tasks: ReadonlyMap<string, Task>): Task {
  const task = tasks.get(taskId);
  if (task !== undefined) return task;
  throw new InputError(
    `export: expected trajectories of this run's tasks, received one of ${taskId}; run \`masksearch trajectories --fresh\`.`,
  );
}

function jsonLines(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}
