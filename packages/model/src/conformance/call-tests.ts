// Conformance of calls as such: order without awaiting, refusal of malformed input, disposal.
import { expect } from 'vitest';
import type { AdamWOptions, PackedBatch, TokenLoss } from '../language-model.ts';
import { expectSameTensors } from './bounds.ts';
import { randomBatch, randomWeights } from './random-inputs.ts';
import { baseShape } from './shapes.ts';
import type { Suite } from './suite.ts';

const { config, lengths } = baseShape;
const loss: TokenLoss = { type: 'cross-entropy', scale: 1 };

export function callTests(suite: Suite): void {
  orderTests(suite);
  refusalTests(suite);
  disposalTests(suite);
}

function orderTests(suite: Suite): void {
  suite.test('calls that are not awaited run in order', async (create) => {
    const weights = randomWeights(config, 71);
    const batch = randomBatch(config, lengths, 72);
    const options = { learningRate: 0.01 };
    const awaited = await create({ config, weights });
    await awaited.accumulate(batch, loss);
    await awaited.step(options);
    const expected = await awaited.score(batch);
    const model = await create({ config, weights });
    const [, , scores, state] = await Promise.all([
      model.accumulate(batch, loss),
      model.step(options),
      model.score(batch),
      model.state(),
      model.step(options),
    ]);
    expect(scores).toEqual(expected);
    expect(state.version).toBe(1);
    expectSameTensors(state.weights, await awaited.weights());
    expect(model.version).toBe(2);
  });

  suite.test('two models live side by side', async (create) => {
    const batch = randomBatch(config, lengths, 77);
    const [a, b] = [randomWeights(config, 78), randomWeights(config, 79)];
    const first = await create({ config, weights: a });
    const expected = await first.score(batch);
    const second = await create({ config, weights: b });
    const [again, other] = await Promise.all([first.score(batch), second.score(batch)]);
    expect(again).toEqual(expected);
    expect(other).not.toEqual(expected);
  });
}

function refusalTests(suite: Suite): void {
  suite.test('refuses malformed batches by name', async (create) => {
    const model = await create({ config, weights: randomWeights(config, 73) });
    const batch = randomBatch(config, lengths, 74);
    const long = config.maxPositions + 1;
    const wrong: readonly (readonly [Partial<PackedBatch>, string, string])[] = [
      [{ offsets: Int32Array.of(0, 9, 10) }, 'shape', 'offsets'],
      [{ offsets: Int32Array.of(1, 9, 15) }, 'shape', 'offsets'],
      [{ offsets: Int32Array.of(0, 9, 9, 15) }, 'shape', 'strictly increasing'],
      [{ offsets: Int32Array.of(0, 16, 9, 15) }, 'shape', 'strictly increasing'],
      [{ tokens: new Int32Array(0), offsets: Int32Array.of(0) }, 'shape', 'offsets'],
      [{ lossMask: new Uint8Array(3) }, 'shape', 'lossMask'],
      [{ lossMask: new Uint8Array(15).fill(1) }, 'input', 'first token'],
      [{ lossMask: new Uint8Array(15).fill(2, 1, 2) }, 'input', '0 or 1'],
      [{ tokens: new Int32Array(15).fill(config.vocabularySize) }, 'input', 'token ids'],
      [{ tokens: new Int32Array(15).fill(-1) }, 'input', 'token ids'],
      [
        {
          tokens: new Int32Array(long),
          offsets: Int32Array.of(0, long),
          lossMask: new Uint8Array(long),
        },
        'input',
        'at most 128 tokens',
      ],
    ];
    for (const [change, code, message] of wrong) {
      const refusal = { code, message: expect.stringContaining(message) };
      await expect(model.score({ ...batch, ...change })).rejects.toMatchObject(refusal);
      await expect(model.accumulate({ ...batch, ...change }, loss)).rejects.toMatchObject(refusal);
    }
  });

  suite.test('refuses malformed losses and options by name', async (create) => {
    const model = await create({ config, weights: randomWeights(config, 75) });
    const batch = randomBatch(config, lengths, 76);
    const perToken = new Float32Array(batch.tokens.length);
    const dapo = {
      type: 'dapo',
      scale: 1,
      oldLogProbs: perToken,
      advantages: perToken,
      clip: { low: 0.2, high: 0.28 },
    } as const;
    const losses: readonly (readonly [TokenLoss, string, string])[] = [
      [{ type: 'cross-entropy', scale: NaN }, 'input', 'scale'],
      [
        { ...loss, type: 'cross-entropy', scale: 1, weights: new Float32Array(2) },
        'shape',
        'weights',
      ],
      [{ ...dapo, oldLogProbs: new Float32Array(2) }, 'shape', 'oldLogProbs'],
      [{ ...dapo, advantages: perToken.slice().fill(NaN) }, 'input', 'advantages'],
      [{ ...dapo, clip: { low: 1.5, high: 0 } }, 'input', 'clip'],
      [{ ...dapo, dualClip: 0.5 }, 'input', 'dualClip'],
    ];
    for (const [wrong, code, message] of losses) {
      const refusal = { code, message: expect.stringContaining(message) };
      await expect(model.accumulate(batch, wrong)).rejects.toMatchObject(refusal);
    }
    const options: readonly AdamWOptions[] = [
      { learningRate: NaN },
      { learningRate: -1 },
      { learningRate: 1, beta1: 1 },
      { learningRate: 1, epsilon: 0 },
      { learningRate: 1, maxGradientNorm: 0 },
    ];
    for (const wrong of options) {
      await expect(model.step(wrong)).rejects.toMatchObject({ code: 'input' });
    }
    expect(model.version).toBe(0);
  });
}

function disposalTests(suite: Suite): void {
  suite.test('a disposed model refuses calls; disposing twice is harmless', async (create) => {
    const model = await create({ config, weights: randomWeights(config, 80) });
    const batch = randomBatch(config, lengths, 81);
    const pending = model.score(batch);
    await model.dispose();
    await model.dispose();
    expect((await pending).logProbs).toHaveLength(15);
    await expect(model.score(batch)).rejects.toMatchObject({ code: 'input' });
    await expect(model.weights()).rejects.toThrow('disposed');
  });

  suite.test(
    'disposing ends turns, after which closing and aborting are harmless',
    async (create) => {
      const roomy = { ...config, maxPositions: 2 ** 17 };
      const model = await create({ config: roomy, weights: randomWeights(config, 82) });
      const sampler = model.sampler({ maxSequences: 1, maxContextTokens: roomy.maxPositions });
      const sequence = sampler.open(Int32Array.of(1, 2), [1, 2]);
      const controller = new AbortController();
      const { signal } = controller;
      const turn = sequence.generate({ maxTokens: 1e5, stop: [], temperature: 1, turn: 0, signal });
      await model.dispose();
      expect(await turn).toMatchObject({ reason: 'cancelled' });
      controller.abort();
      sequence.close();
      await sampler.close();
    },
  );
}
