// Rounds: who plays which task, how trajectories are merged, what the table says.
import type { QuestionTask, Trajectory } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { roundOf } from './divide-tasks.ts';
import { mergeTrajectories } from './merge-trajectories.ts';
import { roundTable, type RoundSummary } from './round-table.ts';

function question(id: string): QuestionTask {
  return {
    version: 1,
    type: 'qa',
    id,
    group: 'hop1',
    difficulty: 0,
    excludedPassages: [],
    question: `${id}?`,
    golds: [{ text: 'a', aliases: [] }],
    supporting: [],
    steps: [],
  };
}

function trajectory(taskId: string, answer: string): Trajectory {
  return {
    version: 1,
    taskId,
    group: 'hop1',
    messages: [
      { author: 'user', text: `${taskId}?` },
      { author: 'policy', text: answer },
    ],
    searches: [],
    answer: [answer],
    finishReason: 'answer',
    verdict: { accepted: true, reason: 'accepted' },
    teacher: 'test',
    cost: { policyTokens: 1, searches: 0 },
  };
}

describe('roundOf', () => {
  it('gives every round its share of the questions, each question one round, whatever others there are', () => {
    const rounds = Array.from({ length: 600 }, (_, i) => roundOf(question(`q${i}`), 1, 2));
    for (const round of [0, 1, 2]) {
      expect(rounds.filter((each) => each === round).length).toBeGreaterThan(150);
    }
    expect(roundOf(question('q7'), 1, 2)).toBe(rounds[7]);
    expect(Array.from({ length: 50 }, (_, i) => roundOf(question(`q${i}`), 2, 2))).not.toEqual(
      rounds.slice(0, 50),
    );
  });

  it('keeps all masks of a document in one round', () => {
    const task = {
      ...question('x'),
      type: 'ramp' as const,
      documentId: 'd',
      passageId: 'd#0',
      title: 't',
      text: 'a b',
      masked: '[mask] b',
      slots: [{ start: 0, end: 1, text: 'a', kind: 'k', aliases: [] }],
      k: 1,
      retrievable: [true],
    };
    const others = ['d#1', 'd#2', 'd#3'].map((id) => roundOf({ ...task, id, passageId: id }, 1, 5));
    expect(new Set([roundOf(task, 1, 5), ...others]).size).toBe(1);
  });
});

describe('mergeTrajectories', () => {
  it('keeps one of those that say the same about a task, the earlier first', () => {
    const earlier = [trajectory('a', '1'), trajectory('b', '1')];
    const fresh = [trajectory('a', '1'), trajectory('a', '2'), trajectory('a', '2')];
    const { pool, duplicates } = mergeTrajectories(earlier, fresh);
    expect(pool).toEqual([...earlier, fresh[1]]);
    expect(duplicates).toBe(2);
  });
});

describe('roundTable', () => {
  it('has a row per round and a column per group that any round has', () => {
    const summary: RoundSummary = {
      round: 0,
      kept: { k1: 0.5 },
      made: 4,
      pool: 2,
      searchesPerTask: 1.5,
      heldout: { hop1: 0.25 },
      outcome: { mean: 0.1, low: 0, high: 0.2 },
    };
    const table = roundTable([summary, { ...summary, round: 1, kept: { k2: 1 } }]);
    const [head, , first, second] = table.split('\n');
    expect(head).toContain('| kept k1 | kept k2 | held out hop1 |');
    expect(first).toBe('| 0 | 4 | 2 | 1.50 | 50.0 % |  | 25.0 % | 10.0 % (0.0 % to 20.0 %) |');
    expect(second).toContain('|  | 100.0 % |');
  });
});
