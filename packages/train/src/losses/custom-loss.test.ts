import '../../test/tfjs.ts';
import { log, memory, neg, sum, tensor1d, type Scalar, type Tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import type { PackedBatch, TokenLoss } from '@masksearch/model';
import { BigramModel } from '../../test/bigram-model.ts';
import { customLoss } from './custom-loss.ts';
import { dapoLoss } from './dapo-loss.ts';
import { entropyBonus } from './entropy-bonus.ts';
import { sftLoss } from './sft-loss.ts';

const T = 9;
const batch: PackedBatch = {
  tokens: Int32Array.of(0, 1, 2, 3, 0, 3, 2, 1, 0),
  offsets: Int32Array.of(0, 4, 9),
  lossMask: Uint8Array.of(0, 1, 0, 1, 0, 1, 1, 1, 1),
};
const labels = 6;
const oldLogProbs = Float32Array.from({ length: T }, (_, t) => -1.2 - t / 20);
const advantages = Float32Array.from({ length: T }, (_, t) => (t < 4 ? 0.7 : -1.1));

/** The gradient of a fresh model after one accumulate; the model cuts a batch into chunks of 3. */
async function gradientOf(loss: TokenLoss): Promise<{ loss: number; gradient: Float32Array }> {
  const model = new BigramModel(4);
  const result = await model.accumulate(batch, loss);
  return { loss: result.loss, gradient: (await model.gradients())[0]?.data ?? new Float32Array() };
}

describe('customLoss', { timeout: 30_000 }, () => {
  test('dapoLoss in tfjs, chunk by chunk, trains like the built-in loss', async () => {
    const clip = { low: 0.05, high: 0.1 };
    const at = (values: Float32Array, positions: Int32Array) =>
      tensor1d(Float32Array.from(positions, (t) => values[t] as number));
    const custom = customLoss(({ positions, logProbs }) =>
      dapoLoss({
        logProbs,
        oldLogProbs: at(oldLogProbs, positions),
        advantages: at(advantages, positions),
        lossMask: tensor1d(new Uint8Array(positions.length).fill(1), 'bool'),
        clip,
        denominator: labels,
      }),
    );
    const builtIn = { type: 'dapo', scale: 1 / labels, oldLogProbs, advantages, clip } as const;
    const expected = await gradientOf(builtIn);
    const actual = await gradientOf(custom);
    expect(actual.loss).toBeCloseTo(expected.loss, 6);
    expected.gradient.forEach((g, i) => expect(actual.gradient[i]).toBeCloseTo(g, 6));
    expect(expected.gradient.some((g) => Math.abs(g) > 0.01)).toBe(true);
  });

  test('passes gradients by entropies on', async () => {
    const custom = customLoss(({ entropies, positions }) => {
      const lossMask = tensor1d(new Uint8Array(positions.length).fill(1), 'bool');
      return entropyBonus({ entropies, lossMask, coefficient: 0.3, denominator: labels });
    });
    const builtIn: TokenLoss = {
      type: 'dapo',
      scale: 1 / labels,
      oldLogProbs: oldLogProbs,
      advantages: new Float32Array(T),
      clip: { low: 0.2, high: 0.2 },
      entropyCoefficient: 0.3,
    };
    const [actual, expected] = [await gradientOf(custom), await gradientOf(builtIn)];
    expect(actual.loss).toBeCloseTo(expected.loss, 6);
    expected.gradient.forEach((g, i) => expect(actual.gradient[i]).toBeCloseTo(g, 6));
  });

  test('leaks no tensors', () => {
    const loss = customLoss(({ logProbs }) => neg<Scalar>(sum(logProbs)));
    const chunk = {
      positions: Int32Array.of(1, 3),
      logProbs: Float32Array.of(-1, -2),
      entropies: Float32Array.of(1, 1),
    };
    const before = memory().numTensors;
    expect(loss.evaluate(chunk)).toEqual({
      loss: 3,
      dLogProbs: Float32Array.of(-1, -1),
      dEntropies: Float32Array.of(0, 0),
    });
    expect(memory().numTensors).toBe(before);
  });

  test('refuses a loss that is not a scalar or not finite', () => {
    const chunk = {
      positions: Int32Array.of(1, 3),
      logProbs: Float32Array.of(-1, -2),
      entropies: Float32Array.of(1, 1),
    };
    const perToken = customLoss(({ logProbs }) => neg(logProbs) as Tensor as Scalar);
    expect(() => perToken.evaluate(chunk)).toThrow(/scalar, received \(2\)/);
    const undefinedLoss = customLoss(({ logProbs }) => sum<Scalar>(log(logProbs)));
    expect(() => undefinedLoss.evaluate(chunk)).toThrow(/finite loss and gradient/);
  });

  test('sftLoss trains like the built-in cross-entropy', async () => {
    const custom = customLoss(({ logProbs, positions }) => {
      const lossMask = tensor1d(new Uint8Array(positions.length).fill(1), 'bool');
      return sftLoss({ logProbs, lossMask, denominator: labels });
    });
    const expected = await gradientOf({ type: 'cross-entropy', scale: 1 / labels });
    const actual = await gradientOf(custom);
    expected.gradient.forEach((g, i) => expect(actual.gradient[i]).toBeCloseTo(g, 6));
  });
});
