// Conformance of the forward pass: log-probabilities and entropies.
import { expect } from 'vitest';
import { referenceScore, toReference } from '../reference/index.ts';
import { expectClose, forwardBound, largest } from './bounds.ts';
import { randomBatch, randomWeights } from './random-inputs.ts';
import { baseShape, shapeGrid } from './shapes.ts';
import type { Suite } from './suite.ts';

export function scoreTests(suite: Suite): void {
  for (const { name, config, lengths } of shapeGrid) {
    suite.test(`scores equal the reference: ${name}`, async (create) => {
      const weights = randomWeights(config, 1);
      const batch = randomBatch(config, lengths, 2);
      const model = await create({ config, weights });
      const expected = referenceScore(config, toReference(weights), batch);
      const actual = await model.score(batch);
      const bound = forwardBound(config, Math.max(...lengths), largest(expected.logProbs));
      expectClose(actual.logProbs, expected.logProbs, bound, 'logProbs');
      expectClose(actual.entropies, expected.entropies, bound, 'entropies');
    });
  }

  suite.test('a packed batch scores bit for bit as its sequences do alone', async (create) => {
    const { config } = baseShape;
    const lengths = [33, 1, 7, 64, 2];
    const model = await create({ config, weights: randomWeights(config, 3) });
    const batch = randomBatch(config, lengths, 4);
    const packed = await model.score(batch);
    for (let b = 0; b < lengths.length; b++) {
      const [start, end] = [batch.offsets[b] ?? 0, batch.offsets[b + 1] ?? 0];
      const alone = await model.score({
        tokens: batch.tokens.slice(start, end),
        offsets: Int32Array.of(0, end - start),
        lossMask: batch.lossMask.slice(start, end),
      });
      expect(alone.logProbs).toEqual(packed.logProbs.slice(start, end));
      expect(alone.entropies).toEqual(packed.entropies.slice(start, end));
    }
  });

  suite.test('a score depends on no later token and no other sequence', async (create) => {
    const { config } = baseShape;
    const model = await create({ config, weights: randomWeights(config, 5) });
    const batch = randomBatch(config, [12, 12], 6);
    batch.lossMask.fill(1, 1, 12);
    const before = await model.score(batch);
    const tokens = batch.tokens.slice();
    for (let t = 8; t < 24; t++) tokens[t] = ((tokens[t] ?? 0) + 1) % config.vocabularySize;
    const after = await model.score({ ...batch, tokens });
    expect(after.logProbs.slice(0, 8)).toEqual(before.logProbs.slice(0, 8));
    expect(after.logProbs[8]).not.toBe(before.logProbs[8]);
  });

  suite.test('equal calls give equal bits', async (create) => {
    const { config, lengths } = baseShape;
    const model = await create({ config, weights: randomWeights(config, 7) });
    const batch = randomBatch(config, lengths, 8);
    expect(await model.score(batch)).toEqual(await model.score(batch));
  });
}
