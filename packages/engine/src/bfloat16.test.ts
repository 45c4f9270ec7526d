// Models in bfloat16 on the CPU: accuracy, exact masters through a save, what is refused.
import { InputError } from '@masksearch/core';
import type { PackedBatch } from '@masksearch/model';
import { runBfloat16Golden } from '@masksearch/model/conformance';
import { describe, expect, test } from 'vitest';
import { createNativeModel, type NativeModelOptions } from './create-native-model.ts';
import { planMemory } from './memory-plan.ts';
import type { NativeLanguageModel } from './native-language-model.ts';

runBfloat16Golden({
  name: 'native',
  create: (options: NativeModelOptions) =>
    createNativeModel({ ...options, dtype: 'bfloat16', threads: 2 }),
  skip: [],
});

const config = {
  vocabularySize: 211,
  width: 48,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 16,
  feedForwardWidth: 96,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 512,
  attentionBias: true,
  tiedEmbeddings: true,
};
const T = 120;
const batch: PackedBatch = {
  tokens: Int32Array.from({ length: T }, (_, t) => (t * t + 5 * t) % config.vocabularySize),
  offsets: Int32Array.of(0, T),
  lossMask: Uint8Array.from({ length: T }, (_, t) => Math.min(t, 1)),
};

async function train(model: NativeLanguageModel, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    await model.accumulate(batch, { type: 'cross-entropy', scale: 1 / T });
    await model.step({ learningRate: 3e-4, weightDecay: 0.1, maxGradientNorm: 1 });
  }
}

describe('bfloat16 on the native engine', () => {
  test('says so', async () => {
    const model = await createNativeModel({ config, threads: 1, dtype: 'bfloat16' });
    expect(model.device).toMatch(/^native cpu \S+ bfloat16 1 thread$/);
    await model.dispose();
  });

  test('masters stay float32: a resumed run has the bits of one that was not interrupted', async () => {
    const create = (): Promise<NativeLanguageModel> =>
      createNativeModel({ config, seed: 4, threads: 1, dtype: 'bfloat16' });
    const whole = await create();
    await train(whole, 5);
    const first = await create();
    await train(first, 2);
    const saved = await first.state();
    await first.dispose();
    const resumed = await create();
    await resumed.restore(saved);
    await train(resumed, 3);
    expect(await resumed.state()).toEqual(await whole.state());
    expect(await resumed.score(batch)).toEqual(await whole.score(batch));
    const weights = await whole.weights();
    const low = weights.flatMap(({ data }) => [...new Uint32Array(data.slice().buffer)]);
    expect(low.some((bits) => (bits & 0xffff) !== 0)).toBe(true);
    await Promise.all([whole.dispose(), resumed.dispose()]);
  });

  test('is close to float32, and not equal to it', async () => {
    const models = await Promise.all(
      (['float32', 'bfloat16'] as const).map((dtype) =>
        createNativeModel({ config, seed: 4, threads: 1, dtype }),
      ),
    );
    const [exact, rounded] = await Promise.all(models.map((model) => model.score(batch)));
    const differences = exact?.logProbs.map((x, t) => Math.abs(x - (rounded?.logProbs[t] ?? NaN)));
    const largest = Math.max(...(differences ?? []));
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThan(0.05); // some ten roundings of 1/256 in a row, of logits around 1
    await Promise.all(models.map((model) => model.dispose()));
  });

  test('holds less than float32, master weights as much', () => {
    const use = { batchTokens: 512, sequences: 4, contextTokens: 512 };
    const narrow = planMemory(config, { ...use, dtype: 'bfloat16' });
    const wide = planMemory(config, use);
    expect(narrow.weights + narrow.gradients + narrow.moments).toBe(
      wide.weights + wide.gradients + wide.moments,
    );
    expect(narrow.activations).toBeLessThan(0.75 * wide.activations);
    expect(narrow.packed).toBeLessThan(0.75 * wide.packed);
  });

  test.each([
    [
      { dtype: 'float32', device: 'cuda' },
      "expected dtype bfloat16 on device 'cuda', received float32",
    ],
    [{ dtype: 'float16' }, "expected dtype float32 or bfloat16 on device 'cpu', received float16"],
  ])('refuses %j', async (options, message) => {
    const create = createNativeModel({ config, ...(options as object) });
    await expect(create).rejects.toThrow(InputError);
    await expect(create).rejects.toThrow(message);
  });
});
