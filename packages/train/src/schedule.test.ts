import { describe, expect, test } from 'vitest';
import { constantSchedule, cosineSchedule, linearSchedule, warmUpSchedule } from './schedule.ts';

const at = (schedule: (step: number, total: number) => number, total = 14): number[] =>
  Array.from({ length: total }, (_, step) => schedule(step, total));

describe('schedules', () => {
  test('constant', () => {
    expect(at(constantSchedule(3), 3)).toEqual([3, 3, 3]);
  });

  test('warm-up rises linearly, never from 0, and stays', () => {
    expect(at(warmUpSchedule({ peak: 4, warmUpSteps: 4 }), 6)).toEqual([1, 2, 3, 4, 4, 4]);
    expect(at(warmUpSchedule({ peak: 4, warmUpSteps: 0 }), 2)).toEqual([4, 4]);
  });

  test('cosine falls from peak over half-way to the floor', () => {
    const rates = at(cosineSchedule({ peak: 1, warmUpSteps: 4, floor: 0.2 }));
    expect(rates[3]).toBe(1);
    expect(rates[4]).toBe(1);
    expect(rates[9]).toBeCloseTo(0.6, 12); // half of the ten steps after the warm-up
    expect(rates[13]).toBeCloseTo(0.2 + (0.8 * (1 + Math.cos(0.9 * Math.PI))) / 2, 12);
    expect(rates.slice(4)).toEqual(rates.slice(4).toSorted((a, b) => b - a));
  });

  test('linear falls evenly', () => {
    const rates = at(linearSchedule({ peak: 1, warmUpSteps: 4 }));
    expect(rates[9]).toBeCloseTo(0.5, 12);
    expect(rates[13]).toBeCloseTo(0.1, 12);
  });

  test('stays at the floor past the last step', () => {
    expect(linearSchedule({ peak: 1, warmUpSteps: 0, floor: 0.1 })(50, 10)).toBeCloseTo(0.1, 12);
  });

  test('refuses rates and steps out of range', () => {
    expect(() => constantSchedule(-1)).toThrow(/learning rate >= 0/);
    expect(() => warmUpSchedule({ peak: 1, warmUpSteps: 1.5 })).toThrow(/warmUpSteps/);
    expect(() => cosineSchedule({ peak: Number.NaN, warmUpSteps: 0 })).toThrow(/learning rate/);
  });
});
