// Conformance of low-rank adapters: scores, gradients, what is trained and what is frozen, dropout.
import { RandomStream } from '@masksearch/core';
import { expect } from 'vitest';
import type { DecoderConfig } from '../decoder-config.ts';
import type { LanguageModel, NamedTensor } from '../language-model.ts';
import { adapterSpecs, mergeAdapter, type LoraConfig } from '../lora.ts';
import { loraTargets } from '../lora-targets.ts';
import { elementCount } from '../parameters.ts';
import { referenceAdapterAccumulate, toReference } from '../reference/index.ts';
import {
  expectClose,
  expectGradients,
  expectSameTensors,
  forwardBound,
  largest,
} from './bounds.ts';
import { inPieces } from './optimizer-tests.ts';
import { randomBatch, randomCrossEntropy, randomWeights } from './random-inputs.ts';
import { baseShape, shapeGrid } from './shapes.ts';
import type { Suite } from './suite.ts';

const all: LoraConfig = { rank: 3, alpha: 5, dropout: 0, targets: loraTargets };
const some: LoraConfig = { rank: 1, alpha: 2, dropout: 0, targets: ['v_proj', 'down_proj'] };
const dropping: LoraConfig = { ...all, dropout: 0.4 };
const adaptedShapes = ['base', 'odd', '33', 'qwen3', 'llama3', 'many short'];
const { config, lengths } = baseShape;
const step = { learningRate: 1e-2, maxGradientNorm: 0.5, weightDecay: 0.1 };

/** A and B both random, so that the adapter changes every result. */
export function randomAdapter(of: DecoderConfig, lora: LoraConfig, seed: number): NamedTensor[] {
  return adapterSpecs(of, lora).map(({ name, shape }) => {
    const random = new RandomStream('conformance-adapter', seed, name);
    const data = Float32Array.from({ length: elementCount(shape) }, () => 0.2 * random.normal());
    return { name, shape, data };
  });
}

const adapterOf = (lora: LoraConfig, seed = 1) => ({
  config: lora,
  weights: randomAdapter(config, lora, seed),
  seed,
});

export function adapterTests(suite: Suite): void {
  gradientTests(suite);
  frozenTests(suite);
  trainingTests(suite);
}

function gradientTests(suite: Suite): void {
  for (const { name, config: of, lengths: sizes } of shapeGrid) {
    if (!adaptedShapes.includes(name)) continue;
    for (const lora of [all, some]) {
      suite.test(
        `scores and gradients of an adapter equal the reference: ${name}, rank ${lora.rank}`,
        async (create) => {
          const weights = randomWeights(of, 101);
          const adapter = randomAdapter(of, lora, 102);
          const batch = randomBatch(of, sizes, 103);
          const loss = randomCrossEntropy(batch, 104);
          const model = await create({
            config: of,
            weights,
            adapter: { config: lora, weights: adapter },
          });
          const expected = referenceAdapterAccumulate(
            of,
            { weights: toReference(weights), lora, adapter: toReference(adapter) },
            batch,
            loss,
          );
          const actual = await model.accumulate(batch, loss);
          const T = Math.max(...sizes);
          const bound = forwardBound(of, T, largest(expected.logProbs));
          expectClose(actual.logProbs, expected.logProbs, bound, 'logProbs');
          expectClose(actual.entropies, expected.entropies, bound, 'entropies');
          expectGradients(await model.gradients(), expected.gradients, of, T);
          expect(await model.score(batch)).toEqual({
            logProbs: actual.logProbs,
            entropies: actual.entropies,
          });
        },
      );
    }
  }
}

function frozenTests(suite: Suite): void {
  suite.test('an adapter that is off, or has just begun, is the frozen model', async (create) => {
    const weights = randomWeights(config, 105);
    const batch = randomBatch(config, lengths, 106);
    const plain = await create({ config, weights });
    const expected = await plain.score(batch);
    const random = await create({ config, weights, adapter: adapterOf(all) });
    expect(await random.score(batch, { adapter: 'off' })).toEqual(expected);
    expect(await random.score(batch)).not.toEqual(expected);
    const fresh = await create({ config, weights, adapter: { config: all, seed: 3 } });
    expect((await fresh.score(batch)).logProbs).toEqual(expected.logProbs);
    await expect(plain.score(batch, { adapter: 'off' })).rejects.toMatchObject({
      code: 'input',
      message: expect.stringContaining('adapter to switch off'),
    });
  });

  suite.test(
    'weights are those of the merged model, state is the adapter alone',
    async (create) => {
      const weights = randomWeights(config, 107);
      const adapter = adapterOf(all);
      const model = await create({ config, weights, adapter });
      expect(model.adapter?.config).toEqual(all);
      expectSameTensors(await model.weights(), mergeAdapter(weights, all, adapter.weights));
      expectSameTensors((await model.adapter?.weights()) ?? [], adapter.weights);
      const state = await model.state();
      const names = adapterSpecs(config, all).map(({ name }) => name);
      for (const tensors of [state.weights, state.firstMoments, state.secondMoments]) {
        expect(tensors.map(({ name }) => name)).toEqual(names);
      }
      const merged = await create({ config, weights: await model.weights() });
      const batch = randomBatch(config, lengths, 108);
      const [on, plain] = [await model.score(batch), await merged.score(batch)];
      const bound = 2 * forwardBound(config, Math.max(...lengths), largest(on.logProbs));
      expectClose(plain.logProbs, on.logProbs, bound, 'logProbs of the merged model');
    },
  );

  suite.test('refuses adapters that do not fit, by name', async (create) => {
    const weights = randomWeights(config, 109);
    const wrong: readonly (readonly [LoraConfig, string])[] = [
      [{ ...all, rank: 0 }, 'rank'],
      [{ ...all, alpha: NaN }, 'alpha'],
      [{ ...all, dropout: 1 }, 'dropout'],
      [{ ...all, targets: [] }, 'targets'],
    ];
    for (const [lora, message] of wrong) {
      await expect(create({ config, weights, adapter: { config: lora } })).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining(message),
      });
    }
    const adapter = { config: all, weights: randomAdapter(config, some, 1) };
    await expect(create({ config, weights, adapter })).rejects.toMatchObject({ code: 'input' });
  });
}

function trainingTests(suite: Suite): void {
  const train = async (model: LanguageModel, seeds: readonly number[]): Promise<void> => {
    for (const seed of seeds) {
      const loss = { type: 'cross-entropy', scale: 0.1 } as const;
      await model.accumulate(randomBatch(config, [9, 14, 5], seed), loss);
      await model.accumulate(randomBatch(config, [3, 4], seed + 100), loss);
      await model.step(step);
    }
  };

  suite.test(
    'training moves the adapter and leaves the rest, and sampling follows',
    async (create) => {
      const weights = randomWeights(config, 110);
      const batch = randomBatch(config, lengths, 111);
      const model = await create({ config, weights, adapter: adapterOf(all) });
      const [on, off] = [await model.score(batch), await model.score(batch, { adapter: 'off' })];
      await train(model, [1, 2]);
      expect(await model.score(batch, { adapter: 'off' })).toEqual(off);
      expect(await model.score(batch)).not.toEqual(on);
      const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 32 });
      const prompt = Int32Array.of(3, 1, 4);
      const request = { maxTokens: 6, stop: [], temperature: 1, turn: 0 };
      const { tokens, logProbs } = await sampler.open(prompt, [1, 2]).generate(request);
      await sampler.close();
      const ids = Int32Array.of(...prompt, ...tokens);
      const lossMask = Uint8Array.from(ids, (_, t) => (t < prompt.length ? 0 : 1));
      const scores = await model.score({
        tokens: ids,
        offsets: Int32Array.of(0, ids.length),
        lossMask,
      });
      const bound = forwardBound(config, ids.length, largest(logProbs));
      expectClose(scores.logProbs.slice(prompt.length), logProbs, bound, 'sampled logProbs');
    },
  );

  suite.test(
    'dropout is of the seed, the step and the call, and absent from scores',
    async (create) => {
      const weights = randomWeights(config, 112);
      const batch = randomBatch(config, lengths, 113);
      const loss = { type: 'cross-entropy', scale: 1 } as const;
      const model = await create({ config, weights, adapter: adapterOf(dropping) });
      const first = await model.accumulate(batch, loss);
      expect(await model.score(batch)).not.toEqual(first);
      expect((await model.accumulate(batch, loss)).logProbs).not.toEqual(first.logProbs);
      const same = await create({ config, weights, adapter: adapterOf(dropping) });
      expect(await same.accumulate(batch, loss)).toEqual(first);
      const other = await create({ config, weights, adapter: { ...adapterOf(dropping), seed: 7 } });
      expect((await other.accumulate(batch, loss)).logProbs).not.toEqual(first.logProbs);
      const none = await create({ config, weights, adapter: adapterOf(all) });
      expect(await none.score(batch)).toEqual(await model.score(batch));
    },
  );

  suite.test('a restored adapter with dropout goes on bit for bit', async (create) => {
    const weights = randomWeights(config, 114);
    const straight = await create({ config, weights, adapter: adapterOf(dropping) });
    await train(straight, [1, 2]);
    const saved = await inPieces(straight);
    await train(straight, [3]);
    const resumed = await create({ config, weights, adapter: { config: dropping, seed: 1 } });
    await resumed.accumulate(randomBatch(config, [4], 5), { type: 'cross-entropy', scale: 1 });
    await resumed.restore(saved);
    await train(resumed, [3]);
    const [left, right] = [await resumed.state(), await straight.state()];
    expect(left.version).toBe(3);
    expectSameTensors(left.weights, right.weights);
    expectSameTensors(left.secondMoments, right.secondMoments);
  });
}
