// Which tasks belong to which round: every document and every question in one round only, so that tasks are fresh.
import { RandomStream, type Task } from '@masksearch/core';

/** The round of a task, 0…rounds; the same whatever other tasks there are. */
export function roundOf(task: Task, seed: number, rounds: number): number {
  const source = task.type === 'ramp' ? task.documentId : task.id;
  return new RandomStream(seed, 'evolve', task.type, source).below(rounds + 1);
}
