import { describe, expect, test } from 'vitest';
import {
  brevity,
  briefRecall,
  exactMatch,
  tokenF1,
  tokenPrecision,
  tokenRecall,
} from './answer-metrics.ts';

const gold = (text: string, ...aliases: string[]) => ({ text, aliases });

describe('exactMatch', () => {
  test('compares normalised strings', () => {
    expect(exactMatch('the Eiffel-Tower', gold('EiffelTower'))).toBe(1);
    expect(exactMatch('Eiffel', gold('Eiffel Tower'))).toBe(0);
  });

  test('accepts an alias', () => {
    expect(exactMatch('nyc', gold('New York City', 'NYC'))).toBe(1);
  });
});

describe('token metrics', () => {
  // gold: 3 tokens; prediction: 4 tokens, 2 of them common ("x" once, though predicted twice).
  const expected = gold('x y z');
  const prediction = 'x x y w';

  test('count each token as often as both have it', () => {
    expect(tokenRecall(prediction, expected)).toBeCloseTo(2 / 3, 12);
    expect(tokenPrecision(prediction, expected)).toBeCloseTo(2 / 4, 12);
    expect(tokenF1(prediction, expected)).toBeCloseTo(4 / 7, 12);
  });

  test('take the best gold or alias, each metric on its own', () => {
    const several = gold('x y z w', 'x');
    expect(tokenPrecision('x y', several)).toBe(1);
    expect(tokenRecall('x y', several)).toBe(1);
    expect(tokenF1('x y', several)).toBeCloseTo(2 / 3, 12);
  });

  test('give 0 for nothing in common and for nothing at all', () => {
    for (const metric of [tokenRecall, tokenPrecision, tokenF1]) {
      expect(metric('q', expected)).toBe(0);
      expect(metric('', expected)).toBe(0);
      expect(metric('the', gold('the'))).toBe(0);
    }
  });

  test("give 0 to yes and no against anything else, as HotpotQA's script", () => {
    expect(tokenRecall('yes it is', gold('yes'))).toBe(0);
    expect(tokenF1('no', gold('no way'))).toBe(0);
    expect(tokenF1('yes', gold('Yes.'))).toBe(1);
  });
});

describe('brevity', () => {
  test.each([
    [2, 2, 1, 1],
    [4, 2, 1, 0.5],
    [4, 2, 2, 1],
    [5, 2, 2, 0.8],
    [1, 2, 1, 1],
    [0, 2, 1, 1],
  ])('%i predicted, %i expected tokens, c = %d: %d', (predicted, expected, allowance, factor) => {
    expect(brevity({ predicted, expected }, allowance)).toBe(factor);
  });
});

describe('briefRecall', () => {
  test('multiplies recall and brevity', () => {
    expect(briefRecall()('a x y q r', gold('x y'))).toBe(0.5);
    expect(briefRecall(2)('x y q r', gold('x y'))).toBe(1);
  });

  test('takes length and recall of the same alias', () => {
    // recall 1 with factor 1/3 for "x"; recall 1/6 with factor 1 for the long alias.
    expect(briefRecall()('x q r', gold('x', 'x b c d e f'))).toBeCloseTo(1 / 3, 12);
  });
});
