// The penalty's value and gradient, and that nothing of the loss under it is lost.
import { evaluateTokenLoss, type DapoTokenLoss } from '@masksearch/model';
import { expect, test } from 'vitest';
import { withReferenceKl } from './reference-kl.ts';

const positions = Int32Array.of(1, 3, 4);
const base: DapoTokenLoss = {
  type: 'dapo',
  scale: 0.5,
  oldLogProbs: Float32Array.of(0, -1, 0, -3, -1.5),
  advantages: Float32Array.of(0, 1, 0, -1, 2),
  clip: { low: 0.2, high: 0.28 },
};
const kl = {
  coefficient: 0.1,
  scale: 0.5,
  referenceLogProbs: Float32Array.of(0, -1.5, 0, -0.5, -0.7),
  weights: Float32Array.of(0, 1, 0, 2, 0.5),
};
const logProbs = Float32Array.of(-1, -2, -0.7);
const entropies = Float32Array.of(1, 1, 1);

test('adds β · scale · Σ w (e^Δ − Δ − 1) and its gradient, and counts what was clipped', () => {
  const { loss, totals } = withReferenceKl(base, kl);
  const plain = evaluateTokenLoss(base, { positions, logProbs, entropies });
  const result = loss.evaluate({ positions, logProbs, entropies });
  const deltas = [-0.5, 1.5, 0];
  const weights = [1, 2, 0.5];
  const estimates = deltas.map((delta) => Math.exp(delta) - delta - 1);
  const penalty = estimates.reduce((sum, k, i) => sum + 0.05 * (weights[i] ?? 0) * k, 0);
  expect(result.loss).toBeCloseTo(plain.loss + penalty, 6);
  for (const [i, delta] of deltas.entries()) {
    const expected = (plain.dLogProbs[i] ?? 0) + 0.05 * (weights[i] ?? 0) * (1 - Math.exp(delta));
    expect(result.dLogProbs[i]).toBeCloseTo(expected, 6);
  }
  const { clippedLow, clippedHigh } = plain;
  expect(clippedLow + clippedHigh).toBeGreaterThan(0);
  expect(totals()).toMatchObject({ clippedLow, clippedHigh });
  expect(totals().kl).toBeCloseTo(
    estimates.reduce((sum, k) => sum + k, 0),
    5,
  );
});

test('at the reference the penalty and its gradient are 0; far from it they stay finite', () => {
  const at = (reference: number) => {
    const referenceLogProbs = new Float32Array(5).fill(reference);
    const penalised = withReferenceKl(
      { type: 'cross-entropy', scale: 0 },
      { ...kl, referenceLogProbs },
    );
    const chunk = { positions: Int32Array.of(1), logProbs: Float32Array.of(-2), entropies };
    return penalised.loss.evaluate(chunk);
  };
  expect(at(-2)).toMatchObject({ loss: 0 });
  expect(at(-2).dLogProbs[0]).toBe(0);
  expect(Number.isFinite(at(-1000).loss)).toBe(true);
});
