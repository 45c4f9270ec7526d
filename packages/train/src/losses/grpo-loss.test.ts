import '../../test/tfjs.ts';
import { cast, grad, tensor1d, tensor2d, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { referenceGrpo, type ReferenceToken } from '../../test/reference-losses.ts';
import { tokenArbitrary } from '../../test/token-arbitraries.ts';
import { grpoLoss } from './grpo-loss.ts';

const SYMMETRIC = { low: 0.2, high: 0.2 };

function inputsOf(rows: readonly (readonly ReferenceToken[])[]) {
  const column = (value: (token: ReferenceToken) => number): Tensor2D =>
    tensor2d(rows.map((row) => row.map(value)));
  return {
    logProbs: column(({ logProb }) => logProb),
    oldLogProbs: column(({ oldLogProb }) => oldLogProb),
    advantages: column(({ advantage }) => advantage),
    lossMask: cast(
      column(({ mask }) => (mask ? 1 : 0)),
      'bool',
    ),
  };
}

describe('grpoLoss', { timeout: 30_000 }, () => {
  test('two samples of 10 and 100 tokens: a token weighs 1/20 and 1/200', () => {
    const row = (length: number) =>
      Array.from({ length: 100 }, (_, t) => ({
        logProb: -1,
        oldLogProb: -1,
        advantage: 1,
        weight: 1,
        mask: t < length,
      }));
    const { logProbs, ...rest } = inputsOf([row(10), row(100)]);
    const gradient = grad((l: Tensor) => grpoLoss({ logProbs: l as Tensor2D, ...rest, clip: 0.2 }))(
      logProbs,
    ).dataSync();
    expect(gradient[0]).toBeCloseTo(-0.05, 7);
    expect(gradient[100]).toBeCloseTo(-0.005, 7);
  });

  test('equals the float64 reference on random rows', () => {
    const rowsArbitrary = fc.integer({ min: 1, max: 9 }).chain((T) =>
      fc.array(fc.array(tokenArbitrary(SYMMETRIC), { minLength: T, maxLength: T }), {
        minLength: 1,
        maxLength: 6,
      }),
    );
    fc.assert(
      fc.property(rowsArbitrary, (rows) => {
        const unweighted = rows.map((row) => row.map((token) => ({ ...token, weight: 1 })));
        fc.pre(unweighted.flat().some(({ mask }) => mask));
        const actual = grpoLoss({ ...inputsOf(unweighted), clip: 0.2 }).dataSync()[0] as number;
        expect(Math.abs(actual - referenceGrpo(unweighted, SYMMETRIC))).toBeLessThan(23 * 2 ** -19);
      }),
      { numRuns: 40, seed: 51 },
    );
  });

  test('a row without labels adds nothing and still counts', () => {
    const token = { logProb: -1, oldLogProb: -1, advantage: 1, weight: 1, mask: true };
    const silent = { ...token, mask: false };
    const loss = grpoLoss({ ...inputsOf([[token], [silent]]), clip: 0.2 }).dataSync()[0];
    expect(loss).toBeCloseTo(-0.5, 6);
  });

  test('refuses tensors that are not rows of samples', () => {
    const flat = tensor1d([1]) as Tensor as Tensor2D;
    const inputs = { logProbs: flat, oldLogProbs: flat, advantages: flat, lossMask: flat };
    expect(() => grpoLoss({ ...inputs, clip: 0.2 })).toThrow(/rank 2/);
  });
});
