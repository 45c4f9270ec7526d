// What transformers computes in float64 for each family, compared with any LanguageModel. See golden/README.md.
import { describe, expect } from 'vitest';
import { parseDecoderConfig } from '../hugging-face-config.ts';
import type {
  AdamWOptions,
  GenerateResult,
  LanguageModel,
  PackedBatch,
} from '../language-model.ts';
import { adapterSpecs } from '../lora.ts';
import { loadModelFolder, type LoadedModel } from '../model-folder.ts';
import { parameterSpecs } from '../parameters.ts';
import { loadAdapterFolder, type LoadedAdapter } from '../peft-adapter.ts';
import { expectClose, expectGradients, forwardBound } from './bounds.ts';
import { goldenPath, readGoldenJson, readGoldenTensors } from './golden-files.ts';
import { Suite, type ConformanceOptions } from './suite.ts';

export interface Cases {
  sequences: { ids: number[]; mask: number[] }[];
  loss: { float64: number; maskedTokens: number };
  generation: { prompt: number[]; tokens: number[]; logprobs: number[] }[];
}

export interface AdamWCase {
  optimizer: { betas: [number, number]; eps: number; weight_decay: number; clip: number };
  decayed: string[];
  steps: { lr: number; loss: number; gradientNorm: number }[];
  lossAfterLastStep: number;
}

/**
 * Ten times that of rms_norm_eps is off by 6e-6, other features left out by 1e-3 and more; the
 * float32 run of transformers by 7e-7.
 */
const LOSS_BOUND = 3e-6;

/**
 * Adam makes full-sized steps of gradients that are nearly zero, so a trajectory spreads rounding
 * differences. PyTorch's own float32 run is off by 3.5e-6 in a loss, 3.3e-6 (relative) in a norm,
 * 4e-5 in a weight and 1.4e-4 in a key bias after eight steps; others get three times that, and
 * a norm, in which all weights meet, ten times.
 */
const trajectory = {
  loss: 3 * 3.5e-6,
  gradientNorm: 10 * 3.3e-6,
  weight: (name: string): number => 3 * (name.endsWith('k_proj.bias') ? 1.4e-4 : 4e-5),
};
/** Of a first gradient that is smaller, roundings are a tenth and more: a step of Adam may go anywhere with it. */
const UNSURE_GRADIENT = 3e-7;

export const families = ['tiny-qwen2', 'tiny-qwen3', 'tiny-llama3'] as const;

/** Every how many tokens of the vocabulary one is compared. */
const VOCABULARY_STRIDE = 7;

export interface Golden {
  readonly name: string;
  readonly model: LoadedModel;
  readonly cases: Cases;
  readonly tensors: ReadonlyMap<string, Float64Array>;
  /** Of log-probabilities and entropies. */
  readonly bound: number;
}

export function readGolden(name: string, weights = name): Golden {
  const model = loadModelFolder(goldenPath(weights));
  const cases = readGoldenJson<Cases>(`${name}/cases.json`);
  return {
    name,
    model,
    cases,
    tensors: readGoldenTensors(`${weights}/cases.safetensors`),
    bound: forwardBound(model.config, longestOf(cases), 10), // log-probabilities are above −10
  };
}

function longestOf({ sequences }: Cases): number {
  return Math.max(...sequences.map(({ ids }) => ids.length));
}

/** All sequences packed; labels are those of the mask, or all but the first tokens. */
export function packed({ sequences }: Cases, labels: 'masked' | 'all'): PackedBatch {
  return packSequences(
    sequences.map(({ ids, mask }) => ({
      ids,
      mask: labels === 'masked' ? mask : ids.map((_, t) => Math.min(t, 1)),
    })),
  );
}

function packSequences(sequences: readonly { ids: number[]; mask: number[] }[]): PackedBatch {
  const offsets = [0];
  for (const { ids } of sequences) offsets.push((offsets.at(-1) ?? 0) + ids.length);
  return {
    tokens: Int32Array.from(sequences.flatMap(({ ids }) => ids)),
    offsets: Int32Array.from(offsets),
    lossMask: Uint8Array.from(sequences.flatMap(({ mask }) => mask)),
  };
}

/** Registers the golden tests of one implementation with vitest. */
export function runGolden(options: ConformanceOptions): void {
  describe(`${options.name} against transformers`, () => {
    const suite = new Suite(options);
    for (const family of families) {
      const golden = readGolden(family);
      scoreTests(suite, golden);
      gradientTest(suite, golden);
      generationTest(suite, golden);
    }
    adamWTest(suite, readGolden('tiny-qwen2'));
    adapterTest(suite, readGolden('tiny-qwen2'));
    suite.test('tiny-qwen2 stored in BF16: log-probabilities and entropies', async (create) => {
      await expectScores(create, readGolden('tiny-qwen2', 'tiny-qwen2/model-bf16'));
    });
    suite.checkSkips();
  });
}

function scoreTests(suite: Suite, golden: Golden): void {
  const { name, model, bound } = golden;
  suite.test(`${name}: both forms of config.json give one config`, async () => {
    const old = readGoldenJson(`${name}/config-v4.json`);
    expect(parseDecoderConfig(old)).toEqual(model.config);
  });

  suite.test(`${name}: log-probabilities and entropies of every token`, (create) =>
    expectScores(create, golden),
  );

  suite.test(`${name}: logits after a prompt, across the vocabulary`, async (create) => {
    const { batch, expected, chosen } = vocabularyCase(golden);
    const { logProbs } = await (await create(model)).score(batch);
    // transformers' logits are of its float32 run, which is off by as much as ours.
    expectClose(chosen(logProbs), expected, 2 * bound, 'logits');
  });
}

/** Some of the vocabulary after the second sequence, each as a sequence of its own. */
export function vocabularyCase({ model, cases, tensors }: Golden): {
  readonly batch: PackedBatch;
  readonly expected: readonly number[];
  /** Of the scores of that batch, those that are compared. */
  readonly chosen: (logProbs: Float32Array) => number[];
} {
  const V = model.config.vocabularySize;
  const prompt = cases.sequences[1]?.ids ?? [];
  const logits = tensors.get('sequence.1.logits')?.slice(-V) ?? new Float64Array(0);
  const largestLogit = logits.reduce((max, logit) => Math.max(max, logit), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largestLogit), 0);
  const logSum = largestLogit + Math.log(sum);
  const candidates = Array.from({ length: Math.ceil(V / VOCABULARY_STRIDE) }, (_, i) => {
    return i * VOCABULARY_STRIDE;
  });
  return {
    batch: packSequences(
      candidates.map((token) => ({ ids: [...prompt, token], mask: [...prompt.map(() => 0), 1] })),
    ),
    expected: candidates.map((token) => (logits[token] ?? NaN) - logSum),
    chosen: (logProbs) =>
      candidates.map((_, i) => logProbs[(i + 1) * (prompt.length + 1) - 1] ?? NaN),
  };
}

async function expectScores(
  create: ConformanceOptions['create'],
  { model, cases, tensors, bound }: Golden,
): Promise<void> {
  const batch = packed(cases, 'all');
  const scores = await (await create(model)).score(batch);
  for (const [i, { ids }] of cases.sequences.entries()) {
    if (ids.length === 1) continue;
    const [first, end] = [(batch.offsets[i] ?? 0) + 1, batch.offsets[i + 1]];
    const logProbs = tensors.get(`sequence.${i}.logprobs`) ?? [];
    const entropies = tensors.get(`sequence.${i}.entropy`)?.slice(0, -1) ?? [];
    expectClose(scores.logProbs.slice(first, end), logProbs, bound, `logProbs of ${i}`);
    expectClose(scores.entropies.slice(first, end), entropies, bound, `entropies of ${i}`);
  }
}

function gradientTest(
  suite: Suite,
  { name, model: { config, weights }, cases, tensors }: Golden,
): void {
  suite.test(`${name}: loss and the gradient of every parameter`, async (create) => {
    const model = await create({ config, weights });
    const scale = 1 / cases.loss.maskedTokens;
    const { loss } = await model.accumulate(packed(cases, 'masked'), {
      type: 'cross-entropy',
      scale,
    });
    expectClose([loss], [cases.loss.float64], LOSS_BOUND, 'loss');
    const expected = parameterSpecs(config).map(
      (spec) => [spec.name, tensors.get(`grad.${spec.name}`) ?? new Float64Array(0)] as const,
    );
    expectGradients(await model.gradients(), new Map(expected), config, longestOf(cases));
  });
}

function adapterTest(suite: Suite, { name, model: start, cases }: Golden): void {
  suite.test("PEFT's adapter: log-probabilities, entropies, loss and gradients", async (create) => {
    const { adapter, loss: exactLoss, tensors } = readAdapterGolden(name);
    const { config } = start;
    const bound = forwardBound(config, longestOf(cases), 12); // log-probabilities are above −12
    await expectScores((options) => create({ ...options, adapter }), {
      name,
      model: start,
      cases,
      tensors,
      bound,
    });
    const model = await create({ ...start, adapter });
    const scale = 1 / cases.loss.maskedTokens;
    const batch = packed(cases, 'masked');
    const { loss } = await model.accumulate(batch, { type: 'cross-entropy', scale });
    expectClose([loss], [exactLoss], LOSS_BOUND, 'loss');
    const expected = adapterSpecs(config, adapter.config).map(
      (spec) => [spec.name, tensors.get(`grad.${spec.name}`) ?? new Float64Array(0)] as const,
    );
    expectGradients(await model.gradients(), new Map(expected), config, longestOf(cases));
  });
}

/** PEFT's adapter of a model, and what the adapted model gives for the model's own sequences. */
export function readAdapterGolden(name: string): {
  readonly adapter: LoadedAdapter;
  readonly loss: number;
  readonly tensors: ReadonlyMap<string, Float64Array>;
} {
  return {
    adapter: loadAdapterFolder(goldenPath(`${name}/lora`)),
    loss: readGoldenJson<Pick<Cases, 'loss'>>(`${name}/lora/cases.json`).loss.float64,
    tensors: readGoldenTensors(`${name}/lora/cases.safetensors`),
  };
}

function adamWTest(suite: Suite, golden: Golden): void {
  const { name, cases, tensors } = golden;
  const { config, weights } = golden.model;
  suite.test('eight steps of AdamW', async (create) => {
    const model = await create({ config, weights });
    const adamW = readGoldenJson<AdamWCase>(`${name}/adamw.json`);
    const decayed = parameterSpecs(config).filter((spec) => spec.decayed);
    expect(decayed.map((spec) => spec.name).sort()).toEqual(adamW.decayed.sort());
    const batch = packed(cases, 'masked');
    const loss = { type: 'cross-entropy', scale: 1 / cases.loss.maskedTokens } as const;
    for (const [i, step] of adamW.steps.entries()) {
      const result = await model.accumulate(batch, loss);
      expectClose([result.loss], [step.loss], trajectory.loss, `loss of step ${i + 1}`);
      const { gradientNorm } = await model.step(stepOptions(adamW, step));
      const normBound = trajectory.gradientNorm * step.gradientNorm;
      expectClose([gradientNorm], [step.gradientNorm], normBound, `norm of step ${i + 1}`);
    }
    const final = readGoldenTensors(`${name}/adamw.safetensors`);
    const wrongStep = 2 * Math.max(...adamW.steps.map((step) => step.lr));
    for (const { name: parameter, data } of await model.weights()) {
      const firstGradient = tensors.get(`grad.${parameter}`);
      const isUnsure = (i: number) => Math.abs(firstGradient?.[i] ?? NaN) < UNSURE_GRADIENT;
      const boundAt = (i: number) => (isUnsure(i) ? wrongStep : trajectory.weight(parameter));
      expectClose(data, final.get(parameter) ?? [], boundAt, parameter);
    }
  });
}

/** The settings of one step of that trajectory. */
export function stepOptions(
  { optimizer }: AdamWCase,
  { lr }: AdamWCase['steps'][number],
): AdamWOptions {
  const { betas, eps, weight_decay: weightDecay, clip } = optimizer;
  return {
    learningRate: lr,
    beta1: betas[0],
    beta2: betas[1],
    epsilon: eps,
    weightDecay,
    maxGradientNorm: clip,
  };
}

function generationTest(suite: Suite, { name, model: start, cases, bound }: Golden): void {
  suite.test(`${name}: greedy generation`, async (create) => {
    const results = await generateGreedily(await create(start), cases);
    for (const [i, result] of results.entries()) {
      const { tokens, logprobs } = cases.generation[i] ?? { tokens: [], logprobs: [] };
      expect([...result.tokens]).toEqual(tokens);
      expectClose(result.logProbs, logprobs, bound, `logProbs of prompt ${i}`);
    }
  });
}

/** Every prompt's turn, at temperature 0 and of the length that the golden run has. */
export async function generateGreedily(
  model: LanguageModel,
  { generation }: Cases,
): Promise<GenerateResult[]> {
  const sampler = model.sampler({ maxSequences: 2, maxContextTokens: 64 });
  const turns = generation.map(({ prompt, tokens }) =>
    sampler.open(Int32Array.from(prompt), [0, 0]).generate({
      maxTokens: tokens.length,
      stop: [],
      temperature: 0,
      turn: 0,
    }),
  );
  const results = await Promise.all(turns);
  await sampler.close();
  return results;
}
