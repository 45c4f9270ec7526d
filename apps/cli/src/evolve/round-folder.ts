// The folder of a round: a run of its own that shares corpus and index with the run it belongs to.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { writeJsonl, type Task } from '@masksearch/core';
import { stageFolder, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome } from '../run/run-stage.ts';
import { readTasks } from '../stages/read-tasks.ts';
import { roundOf } from './divide-tasks.ts';

/** The tasks that only this round plays. */
export const FRESH_FILE = 'fresh.jsonl';

/** The run of a round; made where it is not there yet. */
export function roundRun(run: RunContext, round: number): RunContext {
  const folder = join(run.folder, 'evolve', `round-${round}`);
  mkdirSync(folder, { recursive: true });
  for (const shared of ['corpus', 'index'] as const) {
    const link = join(folder, shared);
    if (!existsSync(link)) symlinkSync(relative(folder, stageFolder(run, shared)), link);
  }
  return { ...run, folder };
}

/** Stage tasks of a round: the training tasks up to this round, those of the round apart, and the held-out tasks. */
export async function roundTasks(
  run: RunContext,
  round: number,
  rounds: number,
): Promise<StageOutcome> {
  const target = roundRun(run, round);
  return runStage(target, {
    name: 'tasks',
    config: { round, rounds },
    inputs: stageOutputs(run, 'tasks'),
    resumable: false,
    execute: async (work) => {
      const all = await readTasks(run, 'train');
      const due = (wanted: (part: number) => boolean): Task[] =>
        all.filter((task) => wanted(roundOf(task, run.seed, rounds)));
      const train = due((part) => part <= round);
      const fresh = due((part) => part === round);
      writeJsonl(join(work.folder, 'train.jsonl'), train);
      writeJsonl(join(work.folder, FRESH_FILE), fresh);
      writeJsonl(join(work.folder, 'heldout.jsonl'), await readTasks(run, 'heldout'));
      return { counts: { train: train.length, fresh: fresh.length }, device: 'cpu' };
    },
  });
}
