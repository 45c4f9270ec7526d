import { describe, expect, test } from 'vitest';
import { formatDuration, Progress, progressLine } from './progress.ts';

/** Collects what is written; only what Progress touches. */
class FakeStream {
  readonly written: string[] = [];
  readonly columns = 80;
  readonly isTTY: boolean;
  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }
  write(text: string): boolean {
    this.written.push(text);
    return true;
  }
}

describe('progress', () => {
  test('shows rate and time left', () => {
    const state = {
      stage: 'sft',
      unit: 'steps',
      done: 120,
      doneHere: 120,
      total: 600,
      seconds: 40,
      note: 'loss 1',
    };
    expect(progressLine(state)).toBe('sft  120/600 steps  3.0/s  2m 40s left  loss 1');
    expect(progressLine({ ...state, total: undefined, note: '' })).toBe('sft  120 steps  3.0/s');
    expect(progressLine({ ...state, done: 0, doneHere: 0, seconds: 0, note: '' })).toBe(
      'sft  0/600 steps',
    );
  });

  test('writes a line every ten seconds where there is no terminal', () => {
    const stream = new FakeStream(false);
    let now = 0;
    const progress = new Progress({ stage: 'x', unit: 'steps', stream, now: () => now });
    for (; now <= 25_000; now += 1000) progress.update(now / 1000, 30);
    expect(stream.written).toEqual([
      'x  10/30 steps  1.0/s  20s left\n',
      'x  20/30 steps  1.0/s  10s left\n',
    ]);
  });

  test('does not count what an earlier process did in the rate', () => {
    const stream = new FakeStream(false);
    let now = 0;
    const progress = new Progress({ stage: 'x', unit: 'steps', stream, now: () => now });
    now = 1000;
    progress.update(101, 200);
    now = 10_000;
    progress.update(110, 200);
    expect(stream.written).toEqual(['x  110/200 steps  1.0/s  1m 30s left\n']);
  });

  test('rewrites one line on a terminal and removes it at the end', () => {
    const stream = new FakeStream(true);
    let now = 0;
    const progress = new Progress({ stage: 'x', unit: 'steps', stream, now: () => now });
    progress.update(1, 2);
    now = 50;
    progress.update(2, 2);
    progress.close();
    expect(stream.written).toHaveLength(2);
    expect(stream.written[0]).toMatch(/^\r.*x {2}1\/2 steps/);
    expect(stream.written[1]).toBe('\r\x1b[K');
  });

  test('formats durations', () => {
    expect([4.4, 140, 11_100].map(formatDuration)).toEqual(['4s', '2m 20s', '3h 05m']);
  });
});
