import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endsWithStop, inverseCdf, mostProbable, uniformAt } from './draw-token.ts';

describe('uniformAt', () => {
  test('depends on key, turn and position, and lies in [0, 1)', () => {
    const draw = { key: [1, 2], turn: 3, position: 4 } as const;
    const changes = [
      { key: [2, 2] as const },
      { key: [1, 3] as const },
      { turn: 4 },
      { position: 5 },
    ];
    const values = [{}, ...changes].map((change) => uniformAt({ ...draw, ...change }));
    expect(new Set(values).size).toBe(5);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(uniformAt(draw)).toBe(values[0]);
  });
});

describe('inverseCdf', () => {
  const logProbs = Float32Array.of(
    -Infinity,
    Math.log(0.25),
    Math.log(0.5),
    -Infinity,
    Math.log(0.25),
  );

  test('takes the first token whose cumulated probability exceeds the uniform', () => {
    const drawn = [0, 0.2, 0.26, 0.7, 0.76, 0.999].map((uniform) => inverseCdf(logProbs, uniform));
    expect(drawn).toEqual([1, 1, 2, 2, 4, 4]);
  });

  test('never draws a token of probability 0', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (uniform) => {
        expect(logProbs[inverseCdf(logProbs, uniform)]).toBeGreaterThan(-Infinity);
      }),
    );
  });
});

test('mostProbable takes the first of equal tokens', () => {
  expect(mostProbable(Float32Array.of(-2, -1, -1))).toBe(1);
});

test('endsWithStop compares the last tokens', () => {
  expect(endsWithStop([1, 2, 3], [[9], [2, 3]])).toBe(true);
  expect(
    endsWithStop(
      [1, 2, 3],
      [
        [1, 2],
        [0, 1, 2, 3],
      ],
    ),
  ).toBe(false);
  expect(endsWithStop([], [[1]])).toBe(false);
});
