import { describe, expect, test } from 'vitest';
import type { DapoTokenLoss } from './language-model.ts';
import { evaluateTokenLoss } from './token-loss.ts';

const ratios = (...values: number[]) => ({
  positions: Int32Array.from(values, (_, i) => i),
  logProbs: Float64Array.from(values, Math.log),
  entropies: Float64Array.from(values, () => 0.5),
});

/** Old log-probabilities are 0, so that a token's ratio is its probability. */
const dapo = (advantages: number[], options: Partial<DapoTokenLoss> = {}): DapoTokenLoss => ({
  type: 'dapo',
  scale: 1,
  oldLogProbs: new Float32Array(advantages.length),
  advantages: Float32Array.from(advantages),
  clip: { low: 0.2, high: 0.28 },
  ...options,
});

describe('cross-entropy', () => {
  test('is the weighted sum of −log p, scaled', () => {
    const weights = Float32Array.of(9, 2, 9, 0);
    const tokens = {
      positions: Int32Array.of(1, 3),
      logProbs: Float64Array.of(-1, -2),
      entropies: Float64Array.of(0, 0),
    };
    expect(evaluateTokenLoss({ type: 'cross-entropy', scale: 0.5, weights }, tokens)).toMatchObject(
      {
        loss: 1,
        dLogProbs: Float64Array.of(-1, -0),
      },
    );
    expect(evaluateTokenLoss({ type: 'cross-entropy', scale: 0.5 }, tokens).loss).toBe(1.5);
  });
});

describe('dapo', () => {
  // ratio, advantage → loss, derivative by log p, by hand
  test.each<[string, number, number, number, number]>([
    ['inside the bounds, good', 1.1, 2, -2.2, -2.2],
    ['inside the bounds, bad', 0.9, -2, 1.8, 1.8],
    ['above, good: held at 1.28', 1.5, 2, -2.56, 0],
    ['above, bad: free', 1.5, -2, 3, 3],
    ['below, good: free', 0.5, 2, -1, -1],
    ['below, bad: held at 0.8', 0.5, -2, 1.6, 0],
    ['advantage 0', 1.5, 0, -0, -0],
  ])('%s', (_, ratio, advantage, loss, derivative) => {
    const result = evaluateTokenLoss(dapo([advantage]), ratios(ratio));
    expect(result.loss).toBeCloseTo(loss, 12);
    expect(result.dLogProbs[0]).toBeCloseTo(derivative, 12);
  });

  test('counts the tokens cut at each bound', () => {
    const loss = dapo([1, 1, 1, -1, -1, -1]);
    const result = evaluateTokenLoss(loss, ratios(0.5, 1, 1.5, 0.5, 1, 1.5));
    expect(result).toMatchObject({ clippedLow: 1, clippedHigh: 1 });
  });

  test('dual clip bounds a bad token at −A · c and stops its gradient', () => {
    const result = evaluateTokenLoss(dapo([-2, -2, 2], { dualClip: 3 }), ratios(4, 2, 4));
    expect(result.loss).toBeCloseTo(6 + 4 - 2.56, 12);
    expect([...result.dLogProbs]).toEqual([0, expect.closeTo(4, 12), 0]);
  });

  test('the log-ratio is clamped at ±20, where its gradient ends', () => {
    const far = { ...ratios(1), logProbs: Float64Array.of(30) };
    const result = evaluateTokenLoss(dapo([-1]), far);
    expect(result.loss).toBeCloseTo(Math.exp(20), 3);
    expect(result.dLogProbs[0]).toBe(0);
  });

  test('importance weights, scale and entropy bonus', () => {
    const options = {
      scale: 0.5,
      importanceWeights: Float32Array.of(0.25),
      entropyCoefficient: 0.1,
    };
    const result = evaluateTokenLoss(dapo([2], options), ratios(1));
    expect(result.loss).toBeCloseTo(0.5 * 0.25 * -2 - 0.5 * 0.1 * 0.5, 12);
    expect(result.dLogProbs[0]).toBeCloseTo(-0.25, 12);
    expect(result.dEntropies[0]).toBeCloseTo(-0.05, 12);
  });

  test('at ratio 1 the loss is −scale · Σ advantages', () => {
    const result = evaluateTokenLoss(dapo([1, -2, 4], { scale: 1 / 3 }), ratios(1, 1, 1));
    expect(result.loss).toBeCloseTo(-1, 12);
    expect(result).toMatchObject({ clippedLow: 0, clippedHigh: 0 });
  });
});

test('a custom loss whose gradient has another length is refused', () => {
  const evaluate = () => ({ loss: 0, dLogProbs: new Float32Array(3) });
  expect(() => evaluateTokenLoss({ type: 'custom', evaluate }, ratios(1))).toThrow(
    expect.objectContaining({ code: 'shape', message: expect.stringContaining('(n=1)') }),
  );
});
