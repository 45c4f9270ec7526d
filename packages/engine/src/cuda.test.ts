// Device `cuda` from TypeScript: what is refused without a GPU, and, where the plug-in for the CPU
// emulator is built, a model on it against the CPU engine (bfloat16 against float32).
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, UnavailableError } from '@masksearch/core';
import { initializeWeights, type PackedBatch } from '@masksearch/model';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createNativeModel, type NativeModelOptions } from './create-native-model.ts';
import { planMemory } from './memory-plan.ts';

const PLUGIN_FOLDER = fileURLToPath(
  new URL('../../../native/engine/build/cuda/emulator/', import.meta.url),
);
const EMULATED_PLUGIN = `${PLUGIN_FOLDER}libmasksearch_cuda_emulated_plugin.so`;

const config = {
  vocabularySize: 40,
  width: 32,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 16,
  feedForwardWidth: 48,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  maxPositions: 128,
  attentionBias: true,
  tiedEmbeddings: true,
};

const onCuda: NativeModelOptions = {
  config,
  device: 'cuda',
  cuda: { memoryBytes: 96 * 2 ** 20, cacheFile: '' },
};

const batch: PackedBatch = {
  tokens: Int32Array.from({ length: 12 }, (_, t) => (7 * t) % 40),
  offsets: Int32Array.of(0, 5, 12),
  lossMask: Uint8Array.of(0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1),
};

afterEach(() => vi.unstubAllEnvs());

test('names the command that builds the plug-in where it is not built', async () => {
  vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', '/nowhere/libmasksearch_cuda.so');
  const made = createNativeModel(onCuda);
  await expect(made).rejects.toThrow(UnavailableError);
  await expect(made).rejects.toThrow(/plug-in at \/nowhere.*build:cuda/);
});

test('refuses options that do not fit', async () => {
  await expect(createNativeModel({ config, cuda: { passTokens: 1 } })).rejects.toThrow(
    "expected cuda only with device 'cuda'",
  );
  const gpu: object = { ...onCuda, device: 'gpu' };
  await expect(createNativeModel({ config, ...gpu })).rejects.toThrow(
    "expected device 'cpu' or 'cuda', received 'gpu'",
  );
  await expect(createNativeModel({ ...onCuda, cuda: { memoryBytes: 0.5 } })).rejects.toThrow(
    'cuda.memoryBytes to be a positive integer, received 0.5',
  );
});

test('plans the memory of a GPU where there is none', () => {
  const plan = planMemory(config, { device: 'cuda', memoryBytes: 2 ** 30, batchTokens: 64 });
  expect([plan.gradients, plan.moments]).toEqual([2 * plan.weights, 5 * plan.weights]);
  expect([plan.packed, plan.keyValues]).toEqual([0, 0]);
  expect(plan.activations).toBeGreaterThan(0);
});

test.each([
  [{ device: 'cuda' }, /expected memoryBytes with device 'cuda' alone, received undefined/],
  [{ memoryBytes: 1 }, /expected memoryBytes with device 'cuda' alone, received 1 with 'cpu'/],
  [{ device: 'cuda', memoryBytes: 0.5 }, /memoryBytes to be a positive integer, received 0\.5/],
  [{ device: 'cuda', memoryBytes: 1, dtype: 'float32' }, /dtype bfloat16 on device 'cuda'/],
] as const)('a plan of %j is refused', (use, message) => {
  expect(() => planMemory(config, use)).toThrow(InputError);
  expect(() => planMemory(config, use)).toThrow(message);
});

test('a plan of a model that the kernels do not take is refused', () => {
  const plan = () =>
    planMemory({ ...config, headWidth: 8 }, { device: 'cuda', memoryBytes: 2 ** 30 });
  expect(plan).toThrow(InputError);
  expect(plan).toThrow(/head_width to be a multiple of 16, received 8/);
});

const absent = existsSync(EMULATED_PLUGIN)
  ? ''
  : ' (skipped: native/engine/build/cuda has no emulated plug-in)';

describe.skipIf(absent !== '')(`on the emulated device${absent}`, () => {
  async function bothDevices(options: Partial<NativeModelOptions> = {}) {
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', EMULATED_PLUGIN);
    const weights = initializeWeights(options.config ?? config, 3);
    const cuda = await createNativeModel({ ...onCuda, weights, ...options });
    const cpu = await createNativeModel({ config, weights, threads: 1, ...options });
    return { cuda, cpu };
  }

  test('trains like the CPU, within bfloat16, and keeps exact weights', async () => {
    const { cuda, cpu } = await bothDevices();
    expect(cuda.device).toBe('native cuda emulated device');
    const start = await cuda.weights();
    expect(start).toEqual(await cpu.weights());
    const loss = { type: 'cross-entropy', scale: 1 / 8 } as const;
    const before = await cuda.accumulate(batch, loss);
    const expected = await cpu.accumulate(batch, loss);
    expect(before.loss).toBeCloseTo(expected.loss, 1);
    for (const [i, logProb] of expected.logProbs.entries())
      expect(Math.abs((before.logProbs[i] ?? 0) - logProb)).toBeLessThan(0.02);
    const { gradientNorm } = await cuda.step({ learningRate: 1e-2, maxGradientNorm: 1 });
    const cpuStep = await cpu.step({ learningRate: 1e-2, maxGradientNorm: 1 });
    expect(Math.abs(gradientNorm / cpuStep.gradientNorm - 1)).toBeLessThan(0.02);
    expect((await cuda.accumulate(batch, loss)).loss).toBeLessThan(before.loss);
    expect(await cuda.memory()).toContain('weights (bf16)');
    await Promise.all([cuda.dispose(), cpu.dispose()]);
  }, 60_000);

  test('trains by graphs as without them, bit for bit', async () => {
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', EMULATED_PLUGIN);
    const train = async (graphs: boolean) => {
      const model = await createNativeModel({
        ...onCuda,
        seed: 3,
        cuda: { ...onCuda.cuda, graphs },
      });
      const losses = [];
      for (let step = 0; step < 3; step++) {
        const { loss } = await model.accumulate(batch, { type: 'cross-entropy', scale: 1 / 8 });
        losses.push(loss);
        await model.step({ learningRate: 1e-2 / (step + 1), maxGradientNorm: 1 });
      }
      const weights = await model.weights();
      await model.dispose();
      return { losses, weights };
    };
    expect(await train(true)).toEqual(await train(false));
  }, 60_000);

  test('trains two models at once as one after the other, and both write one file of choices', async () => {
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', EMULATED_PLUGIN);
    const folder = await mkdtemp(join(tmpdir(), 'products-'));
    const cacheFile = join(folder, 'new', 'products.txt');
    const train = async (seed: number) => {
      const model = await createNativeModel({
        ...onCuda,
        seed,
        cuda: { ...onCuda.cuda, cacheFile },
      });
      const losses = [];
      for (let step = 0; step < 3; step++) {
        const { loss } = await model.accumulate(batch, { type: 'cross-entropy', scale: 1 / 8 });
        losses.push(loss);
        await model.step({ learningRate: 1e-2, maxGradientNorm: 1 });
      }
      expect(await model.memory()).not.toContain('choices of products are not kept');
      await model.dispose();
      return losses;
    };
    const together = await Promise.all([train(3), train(4)]);
    expect(together).toEqual([await train(3), await train(4)]);
    expect(await readdir(join(folder, 'new'))).toEqual(['products.txt']);
    await rm(folder, { recursive: true });
  }, 60_000);

  test('trains an adapter alone, on normalised heads, as the CPU does', async () => {
    const { cuda, cpu } = await bothDevices({
      config: { ...config, queryKeyNorm: true, attentionBias: false },
      adapter: {
        config: { rank: 3, alpha: 6, dropout: 0.25, targets: ['q_proj', 'v_proj', 'down_proj'] },
        seed: 5,
      },
    });
    const loss = { type: 'cross-entropy', scale: 1 / 8 } as const;
    const frozen = await cuda.score(batch, { adapter: 'off' });
    expect(await cuda.score(batch)).toEqual(frozen); // B starts as zeros
    for (let step = 0; step < 2; step++) {
      const trained = await cuda.accumulate(batch, loss);
      const expected = await cpu.accumulate(batch, loss);
      for (const [i, logProb] of expected.logProbs.entries())
        expect(Math.abs((trained.logProbs[i] ?? 0) - logProb)).toBeLessThan(0.02);
      const { gradientNorm } = await cuda.step({ learningRate: 1e-3 });
      const cpuStep = await cpu.step({ learningRate: 1e-3 });
      expect(Math.abs(gradientNorm / cpuStep.gradientNorm - 1)).toBeLessThan(0.03);
    }
    expect(await cuda.score(batch)).not.toEqual(frozen);
    expect(await cuda.score(batch, { adapter: 'off' })).toEqual(frozen);
    const state = await cuda.state();
    expect(state.weights.map(({ name }) => name)).toEqual(
      (await cpu.state()).weights.map(({ name }) => name),
    );
    await cuda.restore(state);
    expect(await cuda.state()).toEqual(state);
    expect(await cuda.memory()).toContain('frozen weights (bf16)');
    await Promise.all([cuda.dispose(), cpu.dispose()]);
  }, 60_000);

  test('samples, and finds its log-probabilities again', async () => {
    const { cuda, cpu } = await bothDevices();
    const sampler = cuda.sampler({ maxSequences: 2, maxContextTokens: 64 });
    const sequence = sampler.open(Int32Array.of(1, 2, 3), [7, 8]);
    const turn = await sequence.generate({ maxTokens: 6, stop: [], temperature: 1, turn: 0 });
    expect(turn.tokens).toHaveLength(6);
    const tokens = Int32Array.of(1, 2, 3, ...turn.tokens);
    const scored = await cuda.score({
      tokens,
      offsets: Int32Array.of(0, tokens.length),
      lossMask: Uint8Array.from(tokens, (_, t) => (t < 3 ? 0 : 1)),
    });
    for (const [i, logProb] of turn.logProbs.entries())
      expect(Math.abs((scored.logProbs[3 + i] ?? 0) - logProb)).toBeLessThan(0.05);
    await sampler.close();
    await Promise.all([cuda.dispose(), cpu.dispose()]);
  }, 60_000);

  test('draws from the nucleus and from allowed tokens alone', async () => {
    const { cuda, cpu } = await bothDevices();
    const sampler = cuda.sampler({ maxSequences: 1, maxContextTokens: 64 });
    const draw = async (limits: object) => {
      const sequence = sampler.open(Int32Array.of(1, 2, 3), [7, 8]);
      const turn = { maxTokens: 4, stop: [], temperature: 1, turn: 0, ...limits };
      const { tokens } = await sequence.generate(turn);
      sequence.close();
      return tokens;
    };
    expect(await draw({ topP: 1e-6 })).toEqual(await draw({ temperature: 0 }));
    expect(await draw({ allowed: Uint32Array.of(1 << 9, 0) })).toEqual(Int32Array.of(9, 9, 9, 9));
    await sampler.close();
    await Promise.all([cuda.dispose(), cpu.dispose()]);
  }, 60_000);

  test('says what a sampler that does not fit asked for', async () => {
    const { cuda, cpu } = await bothDevices();
    const small = await createNativeModel({
      ...onCuda,
      cuda: { memoryBytes: 65 * 2 ** 20, cacheFile: '' },
    });
    const sequence = small
      .sampler({ maxSequences: 64, maxContextTokens: 128 })
      .open(Int32Array.of(1), [0, 0]);
    const turn = sequence.generate({ maxTokens: 1, stop: [], temperature: 1, turn: 0 });
    await expect(turn).rejects.toThrow(/lower maxContextTokens or maxSequences/);
    await Promise.all([small.dispose(), cuda.dispose(), cpu.dispose()]);
  }, 60_000);

  test('refuses a model that the kernels do not take', async () => {
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', EMULATED_PLUGIN);
    const made = createNativeModel({ ...onCuda, config: { ...config, headWidth: 8 } });
    await expect(made).rejects.toThrow(InputError);
    await expect(made).rejects.toThrow(/head_width to be a multiple of 16, received 8/);
  }, 60_000);
});
