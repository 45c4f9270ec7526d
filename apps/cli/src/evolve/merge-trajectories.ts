// One pool from the trajectories of all rounds: what two samples of a task have in common counts once.
import type { Trajectory } from '@masksearch/core';

/**
 * The trajectories of `earlier`, then those of `fresh` that say something new: of the same task with the same turns and
 * results only the first stays.
 * @returns the pool, and how many were left out.
 */
export function mergeTrajectories(
  earlier: readonly Trajectory[],
  fresh: readonly Trajectory[],
): { pool: Trajectory[]; duplicates: number } {
  const seen = new Set<string>();
  const pool = [...earlier, ...fresh].filter(({ taskId, messages }) => {
    const key = JSON.stringify([taskId, messages]);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
  return { pool, duplicates: earlier.length + fresh.length - pool.length };
}
