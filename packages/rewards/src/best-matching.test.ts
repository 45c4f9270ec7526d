import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bestMatching } from './best-matching.ts';

/** The largest total over all ways to assign each of the first rows a column or none. */
function exhaustive(scores: readonly (readonly number[])[], used: ReadonlySet<number>): number {
  const [first, ...rest] = scores;
  if (!first) return 0;
  const totals = first.flatMap((score, c) =>
    used.has(c) ? [] : [score + exhaustive(rest, new Set([...used, c]))],
  );
  return Math.max(exhaustive(rest, used), ...totals);
}

describe('bestMatching', () => {
  test('finds what a greedy choice misses', () => {
    expect(
      bestMatching([
        [1, 0.9],
        [0.9, 0],
      ]),
    ).toEqual([1, 0]);
  });

  test('leaves rows without a column at -1', () => {
    expect(bestMatching([[0.2], [0.7], [0.5]])).toEqual([-1, 0, -1]);
    expect(bestMatching([[], []])).toEqual([-1, -1]);
    expect(bestMatching([])).toEqual([]);
  });

  test('equals an exhaustive search', () => {
    const matrix = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }))
      .chain(([rows, columns]) => {
        const row = fc.array(fc.integer({ min: 0, max: 8 }), {
          minLength: columns,
          maxLength: columns,
        });
        return fc.array(row, { minLength: rows, maxLength: rows });
      });
    fc.assert(
      fc.property(matrix, (scores) => {
        const columns = bestMatching(scores);
        const assigned = columns.filter((column) => column >= 0);
        expect(new Set(assigned).size).toBe(assigned.length);
        const total = columns.reduce((sum, column, r) => sum + (scores[r]?.[column] ?? 0), 0);
        expect(total).toBe(exhaustive(scores, new Set()));
      }),
    );
  });
});
