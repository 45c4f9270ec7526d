import { describe, expect, test } from 'vitest';
import {
  checkLedger,
  TASK_STREAM_START,
  TaskStream,
  type CurriculumPhase,
  type TaskStreamState,
} from './task-stream.ts';

const TASKS = Array.from({ length: 10 }, (_, i) => ({ id: `t${i}`, group: i < 6 ? 'k1' : 'k2' }));
const CURRICULUM: readonly CurriculumPhase[] = [
  { name: 'easy', groups: ['k1'], steps: 2 },
  { name: 'both', groups: ['k1', 'k2'], steps: 2 },
];

function streamFrom(state: TaskStreamState, curriculum = CURRICULUM, seed = 1) {
  return new TaskStream({ tasks: TASKS, curriculum, seed, state });
}

describe('TaskStream', () => {
  test('every task once an epoch, in an order of its own each epoch', () => {
    const stream = streamFrom(TASK_STREAM_START, []);
    const first = stream.take(10, 0).map(({ task }) => task.id);
    const second = stream.take(10, 0).map(({ task }) => task.id);
    expect(first.toSorted()).toEqual(TASKS.map(({ id }) => id).toSorted());
    expect(second.toSorted()).toEqual(first.toSorted());
    expect(second).not.toEqual(first);
  });

  test('serials are unique over the run, also for a task that comes again', () => {
    const stream = streamFrom(TASK_STREAM_START, []);
    const serials = stream.take(35, 0).map(({ serial }) => serial);
    expect(serials).toEqual(Array.from({ length: 35 }, (_, i) => i));
  });

  test('goes on exactly where a saved state ends', () => {
    const whole = streamFrom(TASK_STREAM_START);
    const expected = [0, 1, 2, 3, 4].map((step) => whole.take(5, step));
    let state: TaskStreamState = TASK_STREAM_START;
    const resumed = [0, 1, 2, 3, 4].map((step) => {
      const stream = streamFrom(state);
      const visits = stream.take(5, step);
      state = stream.state;
      return visits;
    });
    expect(resumed).toEqual(expected);
  });

  test('phases choose the groups; the last one goes on', () => {
    const stream = streamFrom(TASK_STREAM_START);
    const groupsAt = (step: number): string[] => [
      ...new Set(stream.take(10, step).map(({ task }) => task.group)),
    ];
    expect(groupsAt(0)).toEqual(['k1']);
    expect(groupsAt(1)).toEqual(['k1']);
    expect(groupsAt(2).toSorted()).toEqual(['k1', 'k2']);
    expect(groupsAt(99).toSorted()).toEqual(['k1', 'k2']);
    expect([0, 2, 99].map((step) => stream.phaseName(step))).toEqual(['easy', 'both', 'both']);
  });

  test('the order depends on the seed', () => {
    const ids = (seed: number): string[] =>
      streamFrom(TASK_STREAM_START, [], seed)
        .take(10, 0)
        .map(({ task }) => task.id);
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
  });

  test('accounts for every visit, through a change of phase too', () => {
    const stream = streamFrom(TASK_STREAM_START);
    stream.take(4, 0);
    expect(stream.state.ledger).toMatchObject({ enqueued: 6, queued: 2, inflight: 4 });
    stream.settle('accepted', 2);
    stream.settle('rejected', 1);
    stream.settle('failed', 1);
    stream.expire(1);
    stream.take(3, 2); // two of phase "easy" are never visited
    expect(stream.state.ledger).toEqual({
      enqueued: 4 + 10,
      queued: 7,
      inflight: 3,
      accepted: 1,
      rejected: 1,
      failed: 1,
      expired: 1,
    });
  });

  test('a visit booked twice or lost is an error', () => {
    const stream = streamFrom(TASK_STREAM_START);
    stream.take(1, 0);
    expect(() => stream.settle('accepted', 2)).toThrow(/counts >= 0/);
    const { ledger } = stream.state;
    expect(() => checkLedger({ ...ledger, accepted: 1 })).toThrow(/add up to 6/);
  });
});
