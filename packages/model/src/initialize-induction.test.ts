import { RandomStream } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import type { DecoderConfig } from './decoder-config.ts';
import { initializeInduction } from './initialize-induction.ts';
import { initializeWeights } from './initialize-weights.ts';
import { createTfjsModel } from './tfjs/tfjs-language-model.ts';

const config: DecoderConfig = {
  vocabularySize: 256,
  width: 96,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 32,
  feedForwardWidth: 128,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 128,
  attentionBias: true,
  tiedEmbeddings: true,
};

/** Mean log-probability of the second occurrence of a random stretch, its first token left out. */
async function meanLogProbOfCopies(weights: ReturnType<typeof initializeWeights>): Promise<number> {
  const random = new RandomStream('copies', 5);
  const stretch = Array.from({ length: 24 }, () => random.below(config.vocabularySize));
  const tokens = Int32Array.from([...stretch, ...stretch]);
  const lossMask = Uint8Array.from(tokens, (_, t) => (t > stretch.length ? 1 : 0));
  const model = await createTfjsModel({ config, weights });
  try {
    const batch = { tokens, offsets: Int32Array.of(0, tokens.length), lossMask };
    const { logProbs } = await model.score(batch);
    return logProbs.reduce((sum, value) => sum + value, 0) / (stretch.length - 1);
  } finally {
    await model.dispose();
  }
}

describe('initializeInduction', () => {
  it('copies what followed the same token before, untrained; plain weights do not (seed 5)', async () => {
    const uniform = -Math.log(config.vocabularySize);
    const plain = await meanLogProbOfCopies(initializeWeights(config, 1));
    const induction = await meanLogProbOfCopies(initializeInduction(config, 1));
    // Plain weights know nothing: within 5 % of a uniform guess. The circuit must be clearly better.
    expect(Math.abs(plain - uniform)).toBeLessThan(0.05 * -uniform);
    expect(induction).toBeGreaterThan(uniform + 0.5);
  }, 60_000);

  it('is decided by config and seed', () => {
    expect(initializeInduction(config, 2)).toEqual(initializeInduction(config, 2));
    expect(initializeInduction(config, 2)).not.toEqual(initializeInduction(config, 3));
  });

  it.each([{ layers: 1 }, { attentionBias: false }])('refuses a decoder with %o', (change) => {
    expect(() => initializeInduction({ ...config, ...change }, 1)).toThrow(
      /at least 2 layers and attention biases/,
    );
  });
});
