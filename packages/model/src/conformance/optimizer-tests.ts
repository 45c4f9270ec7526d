// Conformance of the optimizer step and of saved state.
import { expect } from 'vitest';
import type {
  AdamWOptions,
  LanguageModel,
  NamedTensor,
  PackedBatch,
  RestorableState,
  StatePart,
} from '../language-model.ts';
import { parameterSpecs } from '../parameters.ts';
import { ReferenceAdamW, globalNorm, toReference } from '../reference/index.ts';
import { sourceOf, STATE_PARTS, type WeightSource } from '../weight-source.ts';
import { expectClose, expectSameTensors, largest } from './bounds.ts';
import { randomBatch, randomWeights } from './random-inputs.ts';
import { baseShape } from './shapes.ts';
import type { Suite } from './suite.ts';

const { config } = baseShape;
const loss = { type: 'cross-entropy', scale: 0.1 } as const;
const options: AdamWOptions = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxGradientNorm: 0.5,
};

const batchOf = (seed: number): PackedBatch => randomBatch(config, [9, 14, 5], seed);

async function train(model: LanguageModel, seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    await model.accumulate(batchOf(seed), loss);
    await model.step(options);
  }
}

/** The state as a checkpoint's files give it: read in pieces where the model can, then sources. */
export async function inPieces(model: LanguageModel): Promise<RestorableState> {
  const state = await model.state();
  const sourceIn = async (part: StatePart): Promise<WeightSource> => {
    for (const { name, data } of model.statePieces === undefined ? [] : state[part]) {
      let at = 0;
      for await (const piece of model.statePieces?.(part, name) ?? []) {
        expect(piece, name).toEqual(data.subarray(at, at + piece.length));
        at += piece.length;
      }
      expect(at, name).toBe(data.length);
    }
    return sourceOf(state[part]);
  };
  return {
    version: state.version,
    weights: await sourceIn('weights'),
    firstMoments: await sourceIn('firstMoments'),
    secondMoments: await sourceIn('secondMoments'),
  };
}

export function optimizerTests(suite: Suite): void {
  suite.test('step equals AdamW in float64 on the same gradients', async (create) => {
    const weights = randomWeights(config, 31);
    const model = await create({ config, weights });
    const reference = new ReferenceAdamW();
    const expected = toReference(weights);
    const decayed = new Set(
      parameterSpecs(config).flatMap((spec) => (spec.decayed ? [spec.name] : [])),
    );
    const isDecayed = (name: string): boolean => decayed.has(name);
    for (let step = 1; step <= 3; step++) {
      await model.accumulate(batchOf(32 + step), loss);
      const gradients = toReference(await model.gradients());
      const norm = reference.step(expected, gradients, { ...options, isDecayed });
      expect(norm).toBeGreaterThan(options.maxGradientNorm ?? 0);
      const { gradientNorm } = await model.step(options);
      expectClose([gradientNorm], [norm], 1e-5 * norm, 'gradient norm');
      expect(model.version).toBe(step);
      expect(largest((await model.gradients()).flatMap(({ data }) => [...data]))).toBe(0);
    }
    const state = await model.state();
    for (const { name, data } of state.weights) {
      const target = expected.get(name) as Float64Array;
      // Each step rounds the weight, its decay and its update a few times.
      const bound = 3 * 8 * 2 ** -24 * (largest(target) + options.learningRate);
      expectClose(data, target, bound, name);
    }
    for (const { name, data } of state.firstMoments) {
      const target = reference.firstMoments.get(name) as Float64Array;
      expectClose(data, target, 3 * 8 * 2 ** -24 * largest(target), `first moment of ${name}`);
    }
    for (const { name, data } of state.secondMoments) {
      const target = reference.secondMoments.get(name) as Float64Array;
      expectClose(data, target, 3 * 8 * 2 ** -24 * largest(target), `second moment of ${name}`);
    }
  });

  suite.test('without a limit the gradient is not clipped', async (create) => {
    const weights = randomWeights(config, 36);
    const { maxGradientNorm, ...unlimited } = options;
    const [clipped, free] = [await create({ config, weights }), await create({ config, weights })];
    for (const model of [clipped, free]) await model.accumulate(batchOf(37), loss);
    const norm = globalNorm(toReference(await free.gradients()));
    expect(norm).toBeGreaterThan(maxGradientNorm ?? 0);
    await clipped.step({ ...unlimited, maxGradientNorm: 2 * norm });
    await free.step(unlimited);
    expectSameTensors(await free.weights(), await clipped.weights());
  });

  stateTests(suite);
}

function stateTests(suite: Suite): void {
  suite.test('a restored state goes on bit for bit', async (create) => {
    const weights = randomWeights(config, 38);
    const straight = await create({ config, weights });
    await train(straight, [1, 2]);
    const saved = await straight.state();
    await train(straight, [3, 4]);
    const resumed = await create({ config, weights: randomWeights(config, 39) });
    await resumed.accumulate(batchOf(5), loss); // restore must drop these gradients
    await resumed.restore(saved);
    expect(resumed.version).toBe(2);
    await train(resumed, [3, 4]);
    const [left, right] = [await resumed.state(), await straight.state()];
    expect(left.version).toBe(right.version);
    expectSameTensors(left.weights, right.weights);
    expectSameTensors(left.firstMoments, right.firstMoments);
    expectSameTensors(left.secondMoments, right.secondMoments);
  });

  suite.test('a state that went through pieces goes on bit for bit', async (create) => {
    const weights = randomWeights(config, 43);
    const straight = await create({ config, weights });
    await train(straight, [1, 2]);
    const saved = await inPieces(straight);
    await train(straight, [3]);
    const resumed = await create({ config, weights: randomWeights(config, 44) });
    await resumed.accumulate(batchOf(5), loss); // restore must drop these gradients
    await resumed.restore(saved);
    await train(resumed, [3]);
    const [left, right] = [await resumed.state(), await straight.state()];
    expect(left.version).toBe(3);
    for (const part of STATE_PARTS) expectSameTensors(left[part], right[part]);
    const none = { shapes: new Map(), pieces: () => [] };
    await expect(resumed.restore({ ...saved, firstMoments: none })).rejects.toMatchObject({
      code: 'input',
    });
  });

  suite.test('restore refuses tensors that are missing, unknown or misshapen', async (create) => {
    const model = await create({ config, weights: randomWeights(config, 40) });
    const state = await model.state();
    const [first, ...rest] = state.weights as [NamedTensor, ...NamedTensor[]];
    const wrong: readonly (readonly NamedTensor[])[] = [
      rest,
      [...state.weights, { ...first, name: 'model.extra' }],
      [...state.weights, first],
      [{ ...first, shape: [1, first.data.length] }, ...rest],
      [{ ...first, data: first.data.slice(1) }, ...rest],
    ];
    for (const weights of wrong) {
      await expect(model.restore({ ...state, weights })).rejects.toMatchObject({ code: 'input' });
    }
    await expect(model.restore({ ...state, version: -1 })).rejects.toMatchObject({ code: 'input' });
    expectSameTensors(await model.weights(), state.weights);
  });

  suite.test('what it returns are copies', async (create) => {
    const weights = randomWeights(config, 41);
    const model = await create({ config, weights });
    const before = await model.score(batchOf(42));
    for (const { data } of [
      ...weights,
      ...(await model.weights()),
      ...(await model.state()).weights,
    ]) {
      data.fill(0);
    }
    expect(await model.score(batchOf(42))).toEqual(before);
  });
}
