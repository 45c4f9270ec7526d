// Paired comparison of two evaluations of the same tasks.
import { InputError } from '@masksearch/core';
import { pairedBootstrap, type BootstrapOptions, type PairedDifference } from './bootstrap.ts';
import type { EvaluatedTask } from './evaluate.ts';

/** A number of an evaluated task. */
export type TaskValue = (row: EvaluatedTask) => number;

export interface CompareOptions extends BootstrapOptions {
  /** Compare these groups only. */
  readonly groups?: readonly string[];
  /** What to compare; the outcome unless told otherwise. */
  readonly value?: TaskValue;
}

/**
 * How much better `after` is than `before`, task by task.
 * @throws {InputError} the two are not about the same tasks.
 */
export function compareEvaluations(
  before: readonly EvaluatedTask[],
  after: readonly EvaluatedTask[],
  options: CompareOptions,
): PairedDifference {
  const { groups, value = (row) => row.outcome } = options;
  const chosen = (rows: readonly EvaluatedTask[]): EvaluatedTask[] =>
    groups ? rows.filter((row) => groups.includes(row.group)) : [...rows];
  const [left, byTask] = [chosen(before), new Map(chosen(after).map((row) => [row.taskId, row]))];
  const right = left.map((row) => {
    const match = byTask.get(row.taskId);
    if (!match || byTask.size !== left.length) {
      throw new InputError(
        `compareEvaluations: expected both evaluations to hold the same ${left.length} tasks, received ${byTask.size}${match ? '' : ` without ${row.taskId}`}.`,
      );
    }
    return match;
  });
  return pairedBootstrap(left.map(value), right.map(value), options);
}
