// What only the native engine promises: equal bits on any number of threads, and calls that overlap.
import { setImmediate } from 'node:timers/promises';
import type { NamedTensor, PackedBatch } from '@masksearch/model';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNativeModel } from './create-native-model.ts';
import type { NativeLanguageModel } from './native-language-model.ts';

const config = {
  vocabularySize: 300,
  width: 64,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 16,
  feedForwardWidth: 160,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 2 ** 17,
  attentionBias: true,
  tiedEmbeddings: true,
};

function batchOf(lengths: readonly number[]): PackedBatch {
  const offsets = [0];
  for (const length of lengths) offsets.push((offsets.at(-1) ?? 0) + length);
  const T = offsets.at(-1) ?? 0;
  const lossMask = new Uint8Array(T).fill(1);
  for (const offset of offsets.slice(0, -1)) lossMask[offset] = 0;
  return {
    tokens: Int32Array.from({ length: T }, (_, t) => (t * t + 3 * t) % config.vocabularySize),
    offsets: Int32Array.from(offsets),
    lossMask,
  };
}

const batch = batchOf([100, 1, 67, 300, 5, 33]);
const loss = { type: 'cross-entropy', scale: 1 / 500 } as const;
const request = { maxTokens: 20, stop: [], temperature: 1, turn: 0 };

/** Everything that a model can tell after two steps of training. */
async function everything(model: NativeLanguageModel): Promise<unknown[]> {
  const results: unknown[] = [];
  for (let step = 0; step < 2; step++) {
    results.push(await model.accumulate(batch, loss));
    results.push(await model.gradients());
    results.push(await model.step({ learningRate: 1e-3, weightDecay: 0.1, maxGradientNorm: 0.5 }));
  }
  results.push(await model.state(), await model.score(batch));
  const sampler = model.sampler({ maxSequences: 8, maxContextTokens: 512 });
  const turns = Array.from({ length: 20 }, (_, i) =>
    sampler.open(batch.tokens.slice(0, 1 + 13 * i), [i, 7]).generate(request),
  );
  results.push(await Promise.all(turns));
  await sampler.close();
  return results;
}

describe.each(['float32', 'bfloat16'] as const)('threads in %s', (dtype) => {
  const models: NativeLanguageModel[] = [];
  beforeAll(async () => {
    for (const threads of [1, 2, 3])
      models.push(await createNativeModel({ config, seed: 1, threads, dtype }));
  });
  afterAll(() => Promise.all(models.map((model) => model.dispose())));

  test('any number of them gives the same bits: scores, gradients, steps, samples', async () => {
    const [one, two, three] = await Promise.all(models.map(everything));
    expect(two).toEqual(one);
    expect(three).toEqual(one);
  });

  test('the device says how many', () => {
    expect(models.map(({ device }) => device)).toEqual([
      expect.stringMatching(/^native cpu [\w -]+ 1 thread/),
      expect.stringMatching(/^native cpu [\w -]+ 2 threads/),
      expect.stringMatching(/^native cpu [\w -]+ 3 threads/),
    ]);
  });
});

describe('overlapping calls', () => {
  let model: NativeLanguageModel;
  beforeAll(async () => {
    model = await createNativeModel({ config, seed: 2, threads: 2 });
  });
  afterAll(() => model.dispose());

  test('scores and gradients between the tokens of turns change neither', async () => {
    const expected = await model.score(batch);
    const sampler = model.sampler({ maxSequences: 8, maxContextTokens: 512 });
    const generate = () =>
      Promise.all(
        Array.from({ length: 12 }, (_, i) =>
          sampler
            .open(batch.tokens.slice(0, 10 + i), [i, 1])
            .generate({ ...request, maxTokens: 60 }),
        ),
      );
    const alone = await generate();
    const turns = generate();
    for (let i = 0; i < 5; i++) {
      expect(await model.score(batch)).toEqual(expected);
      await model.accumulate(batch, loss);
    }
    expect(await turns).toEqual(alone);
    await sampler.close();
  });

  test('a turn that starts later joins those in progress', async () => {
    const sampler = model.sampler({ maxSequences: 2, maxContextTokens: config.maxPositions });
    const controller = new AbortController();
    const { signal } = controller;
    const long = sampler.open(Int32Array.of(1), [1, 1]);
    const endless = long.generate({ ...request, maxTokens: 100_000, signal });
    await setImmediate();
    for (let i = 0; i < 3; i++) {
      const { reason } = await sampler.open(Int32Array.of(2), [2, i]).generate(request);
      expect(reason).toBe('length');
    }
    controller.abort();
    const { reason, tokens, logProbs } = await endless;
    expect(reason).toBe('cancelled');
    expect(tokens.length).toBeGreaterThanOrEqual(20);
    expect(logProbs.length).toBe(tokens.length);
    expect(long.length).toBe(1 + tokens.length);
    await sampler.close();
  });
});

test('weights that have diverged fail a turn with an error that says so', async () => {
  const model = await createNativeModel({ config, seed: 3, threads: 1 });
  const weights: NamedTensor[] = await model.weights();
  weights[0]?.data.fill(NaN);
  await model.writeWeights(weights);
  const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 64 });
  const turn = sampler.open(Int32Array.of(1), [1, 1]).generate(request);
  await expect(turn).rejects.toMatchObject({
    code: 'native',
    message: expect.stringContaining('diverged'),
  });
  await sampler.close();
  await model.dispose();
});

test('refuses a number of threads or a config that cannot be', async () => {
  await expect(createNativeModel({ config, threads: 0 })).rejects.toMatchObject({ code: 'input' });
  await expect(createNativeModel({ config, threads: 1.5 })).rejects.toThrow('threads in 1..1024');
  await expect(createNativeModel({ config: { ...config, headWidth: 5 } })).rejects.toMatchObject({
    code: 'config',
  });
  await expect(createNativeModel({ config, weights: [] })).rejects.toMatchObject({ code: 'input' });
});
