// The tfjs model leaks no tensors, prints nothing and names a backend that is missing.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test, vi } from 'vitest';
import { randomBatch, randomWeights } from '../conformance/random-inputs.ts';
import { baseShape } from '../conformance/shapes.ts';
import { createTfjsModel } from './tfjs-language-model.ts';

const { config, lengths } = baseShape;
const loss = { type: 'cross-entropy', scale: 1 } as const;

describe('tfjs model', () => {
  test('holds four tensors a parameter, whatever is called, and none when disposed', async () => {
    const warning = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const weights = randomWeights(config, 1);
    const model = await createTfjsModel({ config, weights });
    const held = 4 * weights.length;
    expect(tf.memory().numTensors).toBe(held);
    const batch = randomBatch(config, lengths, 2);
    await model.score(batch);
    await model.accumulate(batch, loss);
    await model.step({ learningRate: 1e-3, maxGradientNorm: 1 });
    await model.restore(await model.state());
    const failing = model.accumulate(batch, {
      type: 'custom',
      evaluate: () => {
        throw new Error('in the loss');
      },
    });
    await expect(failing).rejects.toThrow('in the loss');
    const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 16 });
    const request = { maxTokens: 3, stop: [], temperature: 1, turn: 0 };
    await sampler.open(Int32Array.of(1, 2), [1, 2]).generate(request);
    await sampler.close();
    expect(tf.memory().numTensors).toBe(held);
    await model.dispose();
    expect(tf.memory().numTensors).toBe(0);
    expect(warning).not.toHaveBeenCalled();
  });

  test('a custom loss that throws leaves the gradients as they were', async () => {
    const model = await createTfjsModel({ config, seed: 3 });
    const batch = randomBatch(config, [5, 6, 2, 7], 4);
    await model.accumulate(batch, loss);
    const before = await model.gradients();
    let calls = 0;
    const evaluate = (chunk: { logProbs: Float32Array }) => {
      if (++calls === 2) throw new Error('second chunk');
      return { loss: 0, dLogProbs: chunk.logProbs };
    };
    await expect(model.accumulate(batch, { type: 'custom', evaluate })).rejects.toThrow('second');
    expect(await model.gradients()).toEqual(before);
    await model.dispose();
  });

  test('a backend that is not registered is an error that says so', async () => {
    await expect(createTfjsModel({ config, seed: 0, backend: 'abacus' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('backend abacus'),
    });
  });
});
