import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAllJsonl, trajectorySchema, type Trajectory } from '@masksearch/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TrajectoryFiles } from './trajectory-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trajectories-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function trajectory(taskId: string, verdict: Trajectory['verdict']): Trajectory {
  return {
    version: 1,
    taskId,
    group: 'k1',
    messages: [{ author: 'user', text: 'x' }],
    searches: [],
    answer: ['a'],
    finishReason: 'answer',
    verdict,
    teacher: 'test',
    cost: { policyTokens: 1, searches: 0 },
  };
}

test('keeps accepted and rejected apart, counted by group and reason, whatever was left half written', async () => {
  writeFileSync(join(folder, 'trajectories.jsonl'), '{"half');
  const good = [1, 2].map((n) => trajectory(`t${n}`, { accepted: true, reason: 'accepted' }));
  const bad = trajectory('t3', { accepted: false, reason: 'wrong answer' });
  const files = new TrajectoryFiles(folder);
  for (const each of [good[0], bad, good[1]]) if (each !== undefined) files.write(each);
  files.close();
  expect(files.counts).toEqual({ 'kept/k1': 2, 'rejected/wrong answer': 1 });
  const read = (name: string): Promise<Trajectory[]> =>
    readAllJsonl(join(folder, name), trajectorySchema);
  expect(await read('trajectories.jsonl')).toEqual(good);
  expect(await read('rejected.jsonl')).toEqual([bad]);
});

test('has both files when all is of one kind', async () => {
  new TrajectoryFiles(folder).close();
  expect(await readAllJsonl(join(folder, 'rejected.jsonl'), trajectorySchema)).toEqual([]);
});
