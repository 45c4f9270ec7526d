import { CancelledError, ConfigError } from '@masksearch/core';
import { maskTask, questionTask } from '@masksearch/core/testing';
import { describe, expect, test } from 'vitest';
import { evaluate, scoreTask, type EpisodeOutcome } from './evaluate.ts';

function answered(...answer: string[]): EpisodeOutcome {
  return { answer, finishReason: 'answer', searches: 2, policyTokens: 30 };
}

describe('scoreTask', () => {
  test('averages over slots', () => {
    expect(scoreTask(maskTask({ id: 'm' }), answered('Tusade', 'in 1874'))).toEqual({
      taskId: 'm',
      type: 'ramp',
      group: 'k2',
      exact: 0.5,
      recall: 1,
      f1: (1 + 2 / 3) / 2,
      outcome: 0,
      searches: 2,
      policyTokens: 30,
      finishReason: 'answer',
    });
  });

  test('lets the order of lists be free', () => {
    const task = questionTask({
      id: 'q',
      group: 'list',
      golds: [
        { text: 'A1', aliases: [] },
        { text: 'B2', aliases: [] },
      ],
    });
    expect(scoreTask(task, answered('B2', 'A1'))).toMatchObject({ exact: 1, outcome: 1 });
  });

  test('counts an answer only if it ended the episode', () => {
    const cut: EpisodeOutcome = { ...answered('Tusade', '1874'), finishReason: 'turn-length' };
    const score = scoreTask(maskTask({ id: 'm' }), cut);
    expect(score).toMatchObject({ exact: 0, recall: 0, f1: 0, outcome: 0, searches: 2 });
  });
});

describe('evaluate', () => {
  const tasks = Array.from({ length: 20 }, (_, t) =>
    questionTask({ id: `q${t}`, group: 'hop1', golds: [{ text: `A${t}`, aliases: [] }] }),
  );

  test('gives the same rows in the order of tasks for any concurrency', async () => {
    const runs = [1, 3, 64].map(async (concurrency) => {
      let active = 0;
      let most = 0;
      const rows = await evaluate({
        tasks,
        concurrency,
        runEpisode: async (_, index) => {
          most = Math.max(most, ++active);
          for (let turn = 0; turn < (index * 7) % 5; turn++) await Promise.resolve();
          active--;
          return answered(index % 2 === 0 ? `A${index}` : 'x');
        },
      });
      expect(most).toBeLessThanOrEqual(concurrency);
      return rows;
    });
    const [one, ...others] = await Promise.all(runs);
    expect(one?.map((row) => row.taskId)).toEqual(tasks.map((task) => task.id));
    expect(one?.map((row) => row.outcome)).toEqual(tasks.map((_, t) => (t + 1) % 2));
    for (const other of others) expect(other).toEqual(one);
  });

  test('reports progress after each episode', async () => {
    const seen: number[] = [];
    await evaluate({
      tasks,
      concurrency: 4,
      runEpisode: () => Promise.resolve(answered('x')),
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    expect(seen).toEqual(tasks.map((_, t) => (t + 1) / tasks.length));
  });

  test('stops when the signal fires', async () => {
    const controller = new AbortController();
    let started = 0;
    const run = evaluate({
      tasks,
      concurrency: 2,
      signal: controller.signal,
      runEpisode: () => {
        if (++started === 5) controller.abort();
        return Promise.resolve(answered('x'));
      },
    });
    await expect(run).rejects.toThrow(CancelledError);
    expect(started).toBeLessThanOrEqual(6);
  });

  test('passes on the first failure and starts no more episodes', async () => {
    let started = 0;
    const run = evaluate({
      tasks,
      concurrency: 2,
      runEpisode: (task) => {
        started++;
        return task.id === 'q3'
          ? Promise.reject(new Error('no model'))
          : Promise.resolve(answered('x'));
      },
    });
    await expect(run).rejects.toThrow('no model');
    expect(started).toBeLessThan(8);
  });

  test('needs a concurrency of at least one; no tasks give no rows', async () => {
    const runEpisode = () => Promise.resolve(answered('x'));
    await expect(evaluate({ tasks, concurrency: 0, runEpisode })).rejects.toThrow(ConfigError);
    expect(await evaluate({ tasks: [], concurrency: 1, runEpisode })).toEqual([]);
  });
});
