import { describe, expect, test } from 'vitest';
import { divideTasks } from './teacher-share.ts';

const tasks = ['k1', 'k1', 'k2', 'k1', 'k2', 'k1', 'hop1'].map((group, id) => ({ group, id }));
const idsOf = (list: readonly { id: number }[]) => list.map(({ id }) => id);

describe('divideTasks', () => {
  test('gives the teacher the first tasks of each group and leaves the rest', () => {
    const { played, unseen } = divideTasks(tasks, 0.5);
    expect(idsOf(played)).toEqual([0, 1, 2, 6]);
    expect(idsOf(unseen)).toEqual([3, 5, 4]);
  });

  test('gives the teacher everything at a share of 1, and something at any share', () => {
    expect(divideTasks(tasks, 1).unseen).toEqual([]);
    expect(idsOf(divideTasks(tasks, 0.01).played)).toEqual([0, 2, 6]);
  });
});
