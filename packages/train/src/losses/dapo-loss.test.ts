import '../../test/tfjs.ts';
import { grad, tensor, tensor1d, tidy, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { referenceDapo, type ReferenceToken } from '../../test/reference-losses.ts';
import { boundsArbitrary, tokenArbitrary } from '../../test/token-arbitraries.ts';
import { dapoLoss, type DapoLossInputs } from './dapo-loss.ts';

const CLIP = { low: 0.2, high: 0.28 };

/** Loss of one token with a given ratio, and the derivative by its log-probability. */
function oneToken(advantage: number, ratio: number, options: Partial<DapoLossInputs> = {}) {
  const old = tensor1d([-1]);
  const lossOf = (logProbs: Tensor): Tensor =>
    dapoLoss({
      logProbs,
      oldLogProbs: old,
      advantages: tensor1d([advantage]),
      lossMask: tensor1d([true], 'bool'),
      clip: CLIP,
      ...options,
    });
  const logProbs = tensor1d([-1 + Math.log(ratio)]);
  return {
    loss: lossOf(logProbs).dataSync()[0] as number,
    gradient: grad(lossOf)(logProbs).dataSync()[0] as number,
  };
}

function tensorsOf(tokens: readonly ReferenceToken[]) {
  return {
    logProbs: tensor1d(tokens.map(({ logProb }) => logProb)),
    oldLogProbs: tensor1d(tokens.map(({ oldLogProb }) => oldLogProb)),
    advantages: tensor1d(tokens.map(({ advantage }) => advantage)),
    importanceWeights: tensor1d(tokens.map(({ weight }) => weight)),
    lossMask: tensor1d(
      tokens.map(({ mask }) => mask),
      'bool',
    ),
  };
}

describe('dapoLoss', { timeout: 30_000 }, () => {
  // Value of the objective at clip 0.2/0.28; the loss is its negative.
  test.each([
    [+1, 1.25, 1.25],
    [+1, 1.3, 1.28],
    [+1, 2, 1.28],
    [+1, 0.5, 0.5],
    [-1, 0.5, -0.8],
    [-1, 0.8, -0.8],
    [-1, 1.3, -1.3],
    [-1, 2, -2],
  ])('objective for A = %d, ratio %d is %d', (advantage, ratio, objective) => {
    expect(oneToken(advantage, ratio).loss).toBeCloseTo(-objective, 6);
  });

  test.each([
    [+1, 1.25, -1.25],
    [+1, 1.3, 0], // beyond the upper bound: no push further up
    [+1, 0.5, -0.5],
    [-1, 0.5, 0], // beyond the lower bound: no push further down
    [-1, 2, 2],
  ])('gradient for A = %d, ratio %d is %d', (advantage, ratio, gradient) => {
    expect(oneToken(advantage, ratio).gradient).toBeCloseTo(gradient, 5);
  });

  test('dual clip bounds the loss of negative advantages only', () => {
    expect(oneToken(-1, 5, { dualClip: 3 })).toEqual({ loss: 3, gradient: 0 });
    expect(oneToken(-1, 2.5, { dualClip: 3 }).loss).toBeCloseTo(2.5, 5);
    expect(oneToken(1, 5, { dualClip: 3 }).loss).toBeCloseTo(-1.28, 6);
  });

  test('importance weights scale the loss and are constants in its gradient', () => {
    const weighted = oneToken(1, 1, { importanceWeights: tensor1d([0.5]) });
    expect(weighted.loss).toBeCloseTo(-0.5, 6);
    expect(weighted.gradient).toBeCloseTo(-0.5, 6);
  });

  test('log-ratios are bounded: no overflow however far apart the policies are', () => {
    const { loss, gradient } = oneToken(-1, Math.exp(60));
    expect(loss).toBeCloseTo(Math.exp(20), -3);
    expect(gradient).toBe(0);
  });

  test('old log-probabilities are constants, even if they are the same tensor as the new ones', () => {
    const logProbs = tensor1d([-1, -2]);
    const lossOf = (l: Tensor): Tensor =>
      dapoLoss({
        logProbs: l,
        oldLogProbs: l,
        advantages: tensor1d([1, -1]),
        lossMask: tensor1d([true, true], 'bool'),
        clip: CLIP,
      });
    expect([...grad(lossOf)(logProbs).dataSync()]).toEqual([-0.5, 0.5]);
  });

  test('two samples of 10 and 100 tokens: every token weighs 1/110', () => {
    const lengths = [10, 100];
    const mask = lengths.map((length) => Array.from({ length: 100 }, (_, t) => t < length));
    const zeros = tensor(new Float32Array(200), [2, 100]);
    const gradient = grad((logProbs: Tensor) =>
      dapoLoss({
        logProbs,
        oldLogProbs: zeros,
        advantages: tensor(new Float32Array(200).fill(1), [2, 100]),
        lossMask: tensor(mask, [2, 100], 'bool'),
        clip: CLIP,
      }),
    )(zeros).dataSync();
    expect(gradient[0]).toBeCloseTo(-1 / 110, 7);
    expect(gradient[100]).toBeCloseTo(-1 / 110, 7);
    expect(gradient[10]).toBe(0);
  });

  test('equals the float64 reference on random tokens', () => {
    fc.assert(
      fc.property(
        boundsArbitrary.chain((bounds) =>
          fc.tuple(fc.constant(bounds), fc.array(tokenArbitrary(bounds), { maxLength: 40 })),
        ),
        ([bounds, tokens]) => {
          fc.pre(tokens.some(({ mask }) => mask));
          const { dualClip, ...clip } = bounds;
          const actual = dapoLoss({
            ...tensorsOf(tokens),
            clip,
            ...(dualClip === undefined ? {} : { dualClip }),
          }).dataSync()[0] as number;
          const expected = referenceDapo(tokens, bounds);
          // Terms reach 3 · 2 · e²; a log-ratio of two float32 numbers up to 10 is off by 2^-20.
          expect(Math.abs(actual - expected)).toBeLessThan(45 * 2 ** -19);
        },
      ),
      { numRuns: 60, seed: 41 },
    );
  });

  test('its gradient is the central difference of the float64 reference', () => {
    fc.assert(
      fc.property(
        boundsArbitrary.chain((bounds) =>
          fc.tuple(
            fc.constant(bounds),
            fc.array(tokenArbitrary(bounds), { minLength: 1, maxLength: 12 }),
          ),
        ),
        ([bounds, tokens]) => {
          fc.pre(tokens.some(({ mask }) => mask));
          const { dualClip, ...clip } = bounds;
          const { logProbs, ...rest } = tensorsOf(tokens);
          const gradient = grad((l: Tensor) =>
            dapoLoss({
              logProbs: l,
              ...rest,
              clip,
              ...(dualClip === undefined ? {} : { dualClip }),
            }),
          )(logProbs).dataSync();
          const h = 1e-4;
          tokens.forEach((token, t) => {
            const moved = (step: number): number =>
              referenceDapo(tokens.with(t, { ...token, logProb: token.logProb + step }), bounds);
            const difference = (moved(h) - moved(-h)) / (2 * h);
            expect(Math.abs((gradient[t] as number) - difference)).toBeLessThan(45 * 2 ** -19);
          });
        },
      ),
      { numRuns: 40, seed: 42 },
    );
  });

  test('ratio 1 → loss = −mean advantage', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround), { minLength: 1 }),
        (advantages) => {
          const logProbs = tensor1d(advantages.map((_, t) => -1 - t / 7));
          const loss = dapoLoss({
            logProbs,
            oldLogProbs: logProbs,
            advantages: tensor1d(advantages),
            lossMask: tensor1d(
              advantages.map(() => true),
              'bool',
            ),
            clip: CLIP,
          }).dataSync()[0] as number;
          const mean = advantages.reduce((a, b) => a + b) / advantages.length;
          expect(Math.abs(loss + mean)).toBeLessThan(3 * 2 ** -22);
        },
      ),
      { numRuns: 50, seed: 43 },
    );
  });

  test('ignores whatever stands outside the mask, NaN and infinity too, in value and gradient', () => {
    const mask = [true, false, true, false];
    const run = (junk: number): { loss: number; gradient: number[] } => {
      const fill = (values: readonly number[]): Tensor =>
        tensor1d(values.map((value, t) => (mask[t] ? value : junk)));
      const lossOf = (logProbs: Tensor): Tensor =>
        dapoLoss({
          logProbs,
          oldLogProbs: fill([-1.2, 0, -0.4, 0]),
          advantages: fill([1, 0, -1, 0]),
          importanceWeights: fill([1, 0, 0.5, 0]),
          lossMask: tensor1d(mask, 'bool'),
          clip: CLIP,
        });
      const logProbs = fill([-1, 0, -0.5, 0]);
      const loss = lossOf(logProbs).dataSync()[0] as number;
      return { loss, gradient: [...grad(lossOf)(logProbs).dataSync()] };
    };
    const clean = run(0);
    expect(clean.gradient[1]).toBe(0);
    for (const junk of [1e6, -1e6, Number.NaN, Infinity]) expect(run(junk)).toEqual(clean);
  });

  test('micro-batches with the step-wide denominator add up to the whole batch', () => {
    const tokens = fc.sample(tokenArbitrary(CLIP), { numRuns: 30, seed: 44 });
    const labels = tokens.filter(({ mask }) => mask).length;
    const lossOf = (part: readonly ReferenceToken[], denominator?: number): number =>
      dapoLoss({
        ...tensorsOf(part),
        clip: CLIP,
        ...(denominator === undefined ? {} : { denominator }),
      }).dataSync()[0] as number;
    const parts = [tokens.slice(0, 3), tokens.slice(3, 20), tokens.slice(20)];
    const sum = parts.reduce((total, part) => total + lossOf(part, labels), 0);
    expect(sum).toBeCloseTo(lossOf(tokens), 5);
  });

  test('refuses tensors of different shapes, an empty mask and impossible bounds', () => {
    const inputs: DapoLossInputs = {
      logProbs: tensor1d([-1, -1]),
      oldLogProbs: tensor1d([-1, -1]),
      advantages: tensor1d([1, 1]),
      lossMask: tensor1d([true, true], 'bool'),
      clip: CLIP,
    };
    const refuses = (more: Partial<DapoLossInputs>, code: string, message: RegExp): void => {
      let error: unknown;
      tidy(() => {
        try {
          dapoLoss({ ...inputs, ...more });
        } catch (caught) {
          error = caught;
        }
      });
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
    };
    refuses({ advantages: tensor1d([1]) }, 'shape', /advantages to be \(2\).*received \(1\)/);
    refuses({ lossMask: tensor1d([false, false], 'bool') }, 'empty-batch', /at least one token/);
    refuses({ clip: { low: 1.2, high: 0.2 } }, 'config', /low in \[0, 1\)/);
    refuses({ dualClip: 1.1 }, 'config', /dualClip/);
    refuses({ denominator: 0 }, 'config', /denominator > 0/);
  });
});
