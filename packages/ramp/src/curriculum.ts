// The order of training: equal numbers of tasks per k, from easy to hard, hard to easy, or mixed.
import { InputError, RandomStream } from '@masksearch/core';
import type { MaskTask } from '@masksearch/core';

export interface CurriculumOptions {
  readonly order: 'ascending' | 'descending' | 'mixed';
  /** The ks to train on. */
  readonly ks: readonly number[];
  /** Of the shuffle in `mixed`. Default 0. */
  readonly seed?: number;
}

/** Tasks by k, each list in the given order. */
export function tasksByK(tasks: Iterable<MaskTask>): Map<number, MaskTask[]> {
  const byK = new Map<number, MaskTask[]>();
  for (const task of tasks) {
    const same = byK.get(task.k);
    if (same) same.push(task);
    else byK.set(task.k, [task]);
  }
  return byK;
}

/**
 * The same number of tasks for every k, taken first from passages that have a task for all ks, then in the
 * given order. Ascending: by k, then difficulty, then id.
 * @throws {InputError} there is no task for one of the ks.
 */
export function curriculum(tasks: Iterable<MaskTask>, options: CurriculumOptions): MaskTask[] {
  const { order, ks, seed = 0 } = options;
  const byK = tasksByK(tasks);
  const missing = ks.find((k) => !byK.has(k));
  if (missing !== undefined || ks.length === 0) {
    throw new InputError(
      `curriculum: expected tasks for every k of ${ks.join(', ') || 'one or more ks'}, received none for ${missing ?? 'any'}.`,
    );
  }
  const perK = ks.map((k) => byK.get(k) ?? []);
  const count = Math.min(...perK.map((list) => list.length));
  const shared = sharedPassages(perK);
  const chosen = perK.flatMap((list) => preferShared(list, shared).slice(0, count));
  chosen.sort((a, b) => a.k - b.k || a.difficulty - b.difficulty || (a.id < b.id ? -1 : 1));
  switch (order) {
    case 'ascending':
      return chosen;
    case 'descending':
      return chosen.reverse();
    case 'mixed':
      return new RandomStream(seed, 'curriculum').shuffled(chosen);
    default:
      return order satisfies never;
  }
}

function sharedPassages(perK: readonly (readonly MaskTask[])[]): Set<string> {
  const [first = [], ...others] = perK;
  const rest = others.map((list) => new Set(list.map(({ passageId }) => passageId)));
  const ids = first.map(({ passageId }) => passageId);
  return new Set(ids.filter((id) => rest.every((has) => has.has(id))));
}

function preferShared(list: readonly MaskTask[], shared: ReadonlySet<string>): MaskTask[] {
  const isShared = (task: MaskTask) => shared.has(task.passageId);
  return [...list.filter(isShared), ...list.filter((task) => !isShared(task))];
}
