// Counts of what the task maker made and of what it rejected, by reason.
import type { MaskTask } from '@masksearch/core';
import type { RejectionReason, TaskOutcome } from './make-tasks.ts';

export class TaskTally {
  /** Tasks made, by group (k1, k2, …). */
  readonly made: Record<string, number> = {};
  readonly rejected: Partial<Record<RejectionReason, number>> = {};

  add(outcome: TaskOutcome): void {
    if ('task' in outcome) {
      const { group } = outcome.task;
      this.made[group] = (this.made[group] ?? 0) + 1;
    } else {
      this.rejected[outcome.reason] = (this.rejected[outcome.reason] ?? 0) + 1;
    }
  }
}

/** Only the tasks of `outcomes`; all of them are counted in `tally`. */
export async function* tasksOf(
  outcomes: AsyncIterable<TaskOutcome>,
  tally: TaskTally,
): AsyncGenerator<MaskTask> {
  for await (const outcome of outcomes) {
    tally.add(outcome);
    if ('task' in outcome) yield outcome.task;
  }
}
