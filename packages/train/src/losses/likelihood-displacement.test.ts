// Which turns are penalised, the penalty's value and gradient, and that nothing of the loss under it is lost.
import { evaluateTokenLoss, type DapoTokenLoss } from '@masksearch/model';
import { describe, expect, test } from 'vitest';
import { displacedTurns, withLikelihoodDisplacement } from './likelihood-displacement.ts';

const positions = Int32Array.of(1, 2, 4, 5);
const oldLogProbs = Float32Array.of(0, -1, -1, 0, -3, -1.5);
const base: DapoTokenLoss = {
  type: 'dapo',
  scale: 0.25,
  oldLogProbs,
  advantages: Float32Array.of(0, 1, 1, 0, -1, -1),
  clip: { low: 0.2, high: 0.28 },
};
const entropies = new Float32Array(4).fill(1);
const displacement = {
  coefficient: 0.2,
  scale: 0.25,
  oldLogProbs,
  weights: Float32Array.of(0, 1, 2, 0, 0, 1),
};

describe('withLikelihoodDisplacement', () => {
  test('adds λ · scale · Σ w max(0, log π_old − log π) and its gradient, and counts what was clipped', () => {
    const logProbs = Float32Array.of(-1.5, -0.75, -5, -2.25);
    const chunk = { positions, logProbs, entropies };
    const { loss, totals } = withLikelihoodDisplacement(base, displacement);
    const plain = evaluateTokenLoss(base, chunk);
    const result = loss.evaluate(chunk);
    // Lost: 0.5 (weight 1), −0.25 (gained), 2 (weight 0), 0.75 (weight 1).
    expect(result.loss).toBeCloseTo(plain.loss + 0.2 * 0.25 * (0.5 + 0.75), 6);
    const change = [...result.dLogProbs].map((d, i) => d - (plain.dLogProbs[i] as number));
    for (const [i, expected] of [-0.05, 0, 0, -0.05].entries()) {
      expect(change[i]).toBeCloseTo(expected, 6);
    }
    const { clippedLow, clippedHigh } = plain;
    expect(clippedLow + clippedHigh).toBeGreaterThan(0);
    expect(totals()).toEqual({ clippedLow, clippedHigh, displacement: 1.25 });
  });

  test('its gradient is that of its value, by central differences', () => {
    const at = [-1.5, -0.75, -5, -2.25];
    const penaltyAt = (logProbs: readonly number[]): number => {
      const none = { type: 'cross-entropy', scale: 0 } as const;
      const chunk = { positions, logProbs: Float32Array.from(logProbs), entropies };
      return withLikelihoodDisplacement(none, displacement).loss.evaluate(chunk).loss;
    };
    const none = { type: 'cross-entropy', scale: 0 } as const;
    const { dLogProbs } = withLikelihoodDisplacement(none, displacement).loss.evaluate({
      positions,
      logProbs: Float32Array.from(at),
      entropies,
    });
    const h = 2 ** -4; // exact in float32; the penalty is linear on both sides
    for (const i of at.keys()) {
      const slope = (penaltyAt(at.with(i, at[i]! + h)) - penaltyAt(at.with(i, at[i]! - h))) / 2 / h;
      expect(dLogProbs[i]).toBeCloseTo(slope, 6);
    }
  });

  test('is nothing where no likelihood was lost', () => {
    const chunk = { positions, logProbs: Float32Array.of(-1, -1, -3, -1.5), entropies };
    const result = withLikelihoodDisplacement(base, displacement).loss.evaluate(chunk);
    const plain = evaluateTokenLoss(base, chunk);
    expect(result.loss).toBe(plain.loss);
    expect([...result.dLogProbs]).toEqual([...plain.dLogProbs]);
  });
});

describe('displacedTurns', () => {
  const turns = (advantages: number[], logProbs: number[]) => [
    ...displacedTurns({ lossMask: [0, 1, 1, 0, 1, 0, 1], advantages, oldLogProbs: LOST, logProbs }),
  ];
  const LOST = new Array<number>(7).fill(-1);

  test('takes whole turns that lost likelihood, though a token of them gained', () => {
    const logProbs = [0, -2, -0.5, 0, -0.9, 0, -1.1];
    expect(turns(new Array<number>(7).fill(1), logProbs)).toEqual([0, 1, 1, 0, 0, 0, 1]);
  });

  test('leaves turns with a negative advantage alone, and takes those with none', () => {
    const logProbs = [0, -2, -2, 0, -2, 0, -2];
    expect(turns([0, -1, -1, 0, 0, 0, 1], logProbs)).toEqual([0, 0, 0, 0, 1, 0, 1]);
  });

  test('leaves unchanged turns and other tokens alone', () => {
    expect(turns(new Array<number>(7).fill(1), [-9, -1, -1, -9, -1, -9, -1])).toEqual(
      new Array<number>(7).fill(0),
    );
  });
});
