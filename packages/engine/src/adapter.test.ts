// Adapters on the native engine: dropout equals the tfjs decoder's, and merged weights leave in pieces.
import {
  createTfjsModel,
  initializeAdapter,
  initializeWeights,
  joinPieces,
  type LoraConfig,
  type PackedBatch,
} from '@masksearch/model';
import { describe, expect, test } from 'vitest';
import { createNativeModel } from './create-native-model.ts';

const config = {
  vocabularySize: 50,
  width: 18,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 6,
  feedForwardWidth: 25,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 64,
  attentionBias: true,
  tiedEmbeddings: true,
};
const lora: LoraConfig = {
  rank: 4,
  alpha: 8,
  dropout: 0.3,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
};
const weights = initializeWeights(config, 1).map(({ name, shape, data }) => ({
  name,
  shape,
  data: data.map((value) => (shape.length === 2 ? 10 * value : value)),
}));
/** A and B both random. */
const adapter = {
  config: lora,
  seed: 9,
  weights: initializeAdapter(config, lora, 9).map(({ name, shape, data }) => ({
    name,
    shape,
    data: data.map((value, i) => (name.includes('lora_B') ? 0.1 * Math.sin(i) : value)),
  })),
};
const batch: PackedBatch = {
  tokens: Int32Array.from({ length: 40 }, (_, t) => (7 * t * t + 3) % 50),
  offsets: Int32Array.of(0, 23, 40),
  lossMask: Uint8Array.from({ length: 40 }, (_, t) => (t === 0 || t === 23 ? 0 : 1)),
};
const loss = { type: 'cross-entropy', scale: 1 / 38 } as const;

describe('adapters on the native engine', () => {
  test('drop what the tfjs decoder drops, step after step', async () => {
    const native = await createNativeModel({ config, weights, adapter, threads: 2 });
    const tfjs = await createTfjsModel({ config, weights, adapter });
    for (let step = 0; step < 2; step++) {
      for (let call = 0; call < 2; call++) {
        const [actual, expected] = [
          await native.accumulate(batch, loss),
          await tfjs.accumulate(batch, loss),
        ];
        for (const [t, logProb] of expected.logProbs.entries()) {
          expect(Math.abs((actual.logProbs[t] ?? NaN) - logProb), `token ${t}`).toBeLessThan(2e-5);
        }
      }
      const [ours, theirs] = [await native.gradients(), await tfjs.gradients()];
      for (const [i, { name, data }] of theirs.entries()) {
        const largest = Math.max(...data.map(Math.abs));
        const error = Math.max(...data.map((d, j) => Math.abs(d - (ours[i]?.data[j] ?? NaN))));
        expect(error, name).toBeLessThan(1e-4 * largest);
      }
      await native.step({ learningRate: 1e-4 });
      await tfjs.step({ learningRate: 1e-4 });
    }
    await Promise.all([native.dispose(), tfjs.dispose()]);
  });

  test('hand out merged weights in pieces as they do at once', async () => {
    const model = await createNativeModel({ config, weights, adapter, threads: 1 });
    for (const { name, data } of await model.weights()) {
      const pieces: Float32Array[] = [];
      for await (const piece of model.weightPieces(name)) pieces.push(piece);
      expect(joinPieces(pieces, data.length), name).toEqual(data);
    }
    await expect(model.weightPieces('model.extra').next()).rejects.toThrow('model.extra');
    await model.dispose();
  });
});
