import '../../test/tfjs.ts';
import { grad, tensor1d, type Tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { entropyBonus } from './entropy-bonus.ts';
import { sftLoss } from './sft-loss.ts';

const logProbs = tensor1d([-9, -1, -2, -3, Number.NaN]);
const lossMask = tensor1d([false, true, true, true, false], 'bool');

describe('sftLoss', { timeout: 30_000 }, () => {
  test('is the mean negative log-probability of masked-in tokens', () => {
    expect(sftLoss({ logProbs, lossMask }).dataSync()[0]).toBeCloseTo(2, 6);
  });

  test('prompt and tool tokens have no gradient', () => {
    const gradient = grad((l: Tensor) => sftLoss({ logProbs: l, lossMask }))(logProbs).dataSync();
    [0, -1 / 3, -1 / 3, -1 / 3, 0].forEach((g, t) => expect(gradient[t]).toBeCloseTo(g, 6));
  });

  test('weights tokens and divides by the count of the whole step', () => {
    const weights = tensor1d([1, 2, 0, 1, 1]);
    const loss = sftLoss({ logProbs, lossMask, weights, denominator: 10 }).dataSync()[0];
    expect(loss).toBeCloseTo((1 * 2 + 2 * 0 + 3 * 1) / 10, 6);
  });

  test('refuses a batch without labels', () => {
    const none = tensor1d([0, 0, 0, 0, 0], 'bool');
    expect(() => sftLoss({ logProbs, lossMask: none })).toThrow(/at least one token/);
  });
});

describe('entropyBonus', { timeout: 30_000 }, () => {
  test('lowers the loss by coefficient times mean entropy', () => {
    const entropies = tensor1d([5, 1, 2, 3, Number.NaN]);
    const bonus = entropyBonus({ entropies, lossMask, coefficient: 0.1 });
    expect(bonus.dataSync()[0]).toBeCloseTo(-0.2, 6);
  });
});
