// Which training tasks the teacher plays, and which are left for reinforcement learning.
import type { Task } from '@masksearch/core';

export interface TaskShares<T> {
  /** The first tasks of each group; at least one of each. */
  readonly played: readonly T[];
  readonly unseen: readonly T[];
}

/**
 * Divides the tasks of each group at `share`, in their order. RAMP tasks of all k are in document order, so the two parts are
 * made from different documents.
 */
export function divideTasks<T extends Pick<Task, 'group'>>(
  tasks: readonly T[],
  share: number,
): TaskShares<T> {
  const [played, unseen]: [T[], T[]] = [[], []];
  for (const group of Map.groupBy(tasks, (task) => task.group).values()) {
    const border = Math.ceil(group.length * share);
    played.push(...group.slice(0, border));
    unseen.push(...group.slice(border));
  }
  return { played, unseen };
}
