// Conformance of the backward pass: the three kinds of loss, and gradients added up over micro-batches.
import { expect } from 'vitest';
import { evaluateTokenLoss } from '../token-loss.ts';
import { sequencesOf } from '../labels.ts';
import type { CustomTokenLoss, PackedBatch, TokenLoss } from '../language-model.ts';
import { referenceAccumulate, referenceScore, toReference } from '../reference/index.ts';
import { expectClose, expectGradients, forwardBound, largest } from './bounds.ts';
import {
  labelCount,
  randomBatch,
  randomCrossEntropy,
  randomDapo,
  randomWeights,
} from './random-inputs.ts';
import { baseShape, shapeGrid } from './shapes.ts';
import type { Suite } from './suite.ts';

export function gradientTests(suite: Suite): void {
  builtInLossTests(suite);
  customLossTests(suite);
  accumulationTests(suite);
}

function builtInLossTests(suite: Suite): void {
  for (const { name, config, lengths } of shapeGrid) {
    suite.test(
      `loss and gradients of cross-entropy equal the reference: ${name}`,
      async (create) => {
        const weights = randomWeights(config, 11);
        const batch = randomBatch(config, lengths, 12);
        const loss = randomCrossEntropy(batch, 13);
        const model = await create({ config, weights });
        const expected = referenceAccumulate(config, toReference(weights), batch, loss);
        const actual = await model.accumulate(batch, loss);
        const T = Math.max(...lengths);
        const bound = forwardBound(config, T, largest(expected.logProbs));
        expectClose(actual.logProbs, expected.logProbs, bound, 'logProbs');
        expectClose(actual.entropies, expected.entropies, bound, 'entropies');
        expectClose([actual.loss], [expected.loss], 2 * bound, 'loss'); // weights are at most 2
        expectGradients(await model.gradients(), expected.gradients, config, T);
      },
    );
  }

  suite.test('loss, gradients and clip counts of DAPO equal the reference', async (create) => {
    const { config } = baseShape;
    const lengths = [30, 17, 9];
    const weights = randomWeights(config, 14);
    const batch = randomBatch(config, lengths, 15);
    const { logProbs } = referenceScore(config, toReference(weights), batch);
    const loss = randomDapo(batch, logProbs, 16);
    const model = await create({ config, weights });
    const expected = referenceAccumulate(config, toReference(weights), batch, loss);
    expect(expected.clippedLow).toBeGreaterThan(0);
    expect(expected.clippedHigh).toBeGreaterThan(0);
    const actual = await model.accumulate(batch, loss);
    expect(actual.clippedLow).toBe(expected.clippedLow);
    expect(actual.clippedHigh).toBe(expected.clippedHigh);
    // A token's term changes by at most ratio · |advantage| · weight = 4 · 4 · 2 times its log-probability.
    const bound = 32 * forwardBound(config, 30, largest(expected.logProbs));
    expectClose([actual.loss], [expected.loss], bound, 'loss');
    expectGradients(await model.gradients(), expected.gradients, config, 30);
  });
}

function customLossTests(suite: Suite): void {
  suite.test(
    'a custom loss with the formula of a built-in one gives its loss and gradients',
    async (create) => {
      const { config } = baseShape;
      const weights = randomWeights(config, 17);
      const batch = randomBatch(config, [20, 11, 6], 18);
      const { logProbs } = referenceScore(config, toReference(weights), batch);
      const loss = randomDapo(batch, logProbs, 19);
      const positions: number[] = [];
      const model = await create({ config, weights });
      const actual = await model.accumulate(batch, asCustom(loss, positions));
      const expected = referenceAccumulate(config, toReference(weights), batch, loss);
      expectClose([actual.loss], [expected.loss], 1e-5, 'loss');
      expectGradients(await model.gradients(), expected.gradients, config, 20);
      const labels = sequencesOf(batch).flatMap(({ start, labels }) =>
        [...labels].map((t) => start + t),
      );
      expect(positions.sort((a, b) => a - b)).toEqual(labels);
    },
  );

  suite.test(
    'what a custom loss throws reaches the caller, and the model goes on',
    async (create) => {
      const { config, lengths } = baseShape;
      const model = await create({ config, weights: randomWeights(config, 20) });
      const batch = randomBatch(config, lengths, 21);
      const before = await model.score(batch);
      const problem = new RangeError('the loss itself failed');
      const failing: CustomTokenLoss = {
        type: 'custom',
        evaluate: () => {
          throw problem;
        },
      };
      await expect(model.accumulate(batch, failing)).rejects.toBe(problem);
      const misshapen: CustomTokenLoss = {
        type: 'custom',
        evaluate: () => ({ loss: 0, dLogProbs: new Float32Array(999) }),
      };
      await expect(model.accumulate(batch, misshapen)).rejects.toMatchObject({ code: 'shape' });
      expect(await model.score(batch)).toEqual(before);
    },
  );
}

function accumulationTests(suite: Suite): void {
  suite.test('eight micro-batches of one add up to one of eight', async (create) => {
    const { config } = baseShape;
    const lengths = [5, 2, 9, 1, 13, 3, 7, 4];
    const weights = randomWeights(config, 22);
    const whole = randomBatch(config, lengths, 23);
    const loss: TokenLoss = { type: 'cross-entropy', scale: 1 / labelCount(whole) };
    const [together, apart] = [
      await create({ config, weights }),
      await create({ config, weights }),
    ];
    const { loss: expected } = await together.accumulate(whole, loss);
    let sum = 0;
    for (const part of split(whole)) sum += (await apart.accumulate(part, loss)).loss;
    expectClose([sum], [expected], 1e-6, 'loss');
    const reference = toReference(await together.gradients());
    expectGradients(await apart.gradients(), reference, config, 13);
  });

  suite.test(
    'a batch without labels has loss 0 and leaves the gradients as they are',
    async (create) => {
      const { config, lengths } = baseShape;
      const model = await create({ config, weights: randomWeights(config, 24) });
      const batch = randomBatch(config, lengths, 25);
      await model.accumulate(batch, { type: 'cross-entropy', scale: 1 });
      const before = await model.gradients();
      const empty = { ...batch, lossMask: new Uint8Array(batch.tokens.length) };
      const result = await model.accumulate(empty, { type: 'cross-entropy', scale: 1 });
      expect(result.loss).toBe(0);
      expect(largest(result.logProbs) + largest(result.entropies)).toBe(0);
      expect(await model.gradients()).toEqual(before);
    },
  );
}

/** The same loss by way of the callback; notes which tokens it was asked for. */
function asCustom(loss: TokenLoss, positions: number[]): CustomTokenLoss {
  return {
    type: 'custom',
    evaluate: (chunk) => {
      positions.push(...chunk.positions);
      const result = evaluateTokenLoss(loss, chunk);
      return {
        loss: result.loss,
        dLogProbs: Float32Array.from(result.dLogProbs),
        dEntropies: Float32Array.from(result.dEntropies),
      };
    },
  };
}

function split(batch: PackedBatch): PackedBatch[] {
  return sequencesOf(batch).map(({ start, tokens }) => ({
    tokens,
    offsets: Int32Array.of(0, tokens.length),
    lossMask: batch.lossMask.slice(start, start + tokens.length),
  }));
}
