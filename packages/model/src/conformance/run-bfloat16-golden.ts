// A model in bfloat16 against the float64 golden files: within twice the error of a naive run in bfloat16. How far that run is
// off stands in golden/<family>/bfloat16.json.
import { describe, expect } from 'vitest';
import type { LanguageModel, NamedTensor } from '../language-model.ts';
import { adapterSpecs } from '../lora.ts';
import { parameterSpecs } from '../parameters.ts';
import { euclideanNorm } from './bounds.ts';
import { readGoldenJson, readGoldenTensors } from './golden-files.ts';
import {
  families,
  generateGreedily,
  packed,
  readAdapterGolden,
  readGolden,
  stepOptions,
  vocabularyCase,
  type AdamWCase,
  type Cases,
  type Golden,
} from './run-golden.ts';
import { Suite, type ConformanceOptions } from './suite.ts';

/** Times what the naive run is off. */
const FACTOR = 2;

interface NaiveErrors extends NaivePass {
  /** Root mean square over the tokens of the vocabulary after one prompt, in nats. */
  vocabulary: number;
  generation: {
    /** Root mean square over the greedy tokens of the float64 run, in nats. */
    logProbs: number;
    /** By prompt, how many of them a greedy run begins with. */
    agreeingTokens: number[];
  };
  adapter?: NaivePass;
  /** Root mean squares over the steps, and Euclidean norms of weights after the last. */
  adamW?: { loss: number; gradientNorm: number; weights: Record<string, number> };
}

interface NaivePass {
  /** Root mean squares over all tokens, in nats. */
  logProbs: number;
  entropies: number;
  /** Euclidean norms by parameter. */
  gradients: Record<string, number>;
}

/** Registers the golden tests of an implementation that stores in bfloat16. */
export function runBfloat16Golden(options: ConformanceOptions): void {
  describe(`${options.name} in bfloat16 against transformers`, () => {
    const suite = new Suite(options);
    for (const family of families) {
      const golden = readGolden(family);
      const naive = readGoldenJson<NaiveErrors>(`${family}/bfloat16.json`);
      scoreTests(suite, golden, naive);
      gradientTest(suite, golden, naive);
      generationTest(suite, golden, naive);
      if (naive.adapter !== undefined) adapterTest(suite, golden, naive.adapter);
      if (naive.adamW !== undefined) adamWTest(suite, golden, naive.adamW);
    }
    suite.checkSkips();
  });
}

function scoreTests(suite: Suite, golden: Golden, naive: NaiveErrors): void {
  const { name, model: start } = golden;
  suite.test(`${name}: log-probabilities and entropies`, async (create) => {
    await expectScores(await create(start), golden, naive);
  });

  suite.test(`${name}: logits after a prompt, across the vocabulary`, async (create) => {
    const { batch, expected, chosen } = vocabularyCase(golden);
    const { logProbs } = await (await create(start)).score(batch);
    const errors = chosen(logProbs).map((actual, i) => actual - (expected[i] ?? NaN));
    expectWithin(rootMeanSquare(errors), naive.vocabulary, 'vocabulary');
  });
}

function gradientTest(
  suite: Suite,
  { name, model: start, cases, tensors }: Golden,
  naive: NaivePass,
): void {
  suite.test(`${name}: loss and the gradient of every parameter`, async (create) => {
    const model = await create(start);
    const loss = await lossOf(model, cases);
    // A mean of log-probabilities is off by no more than they are.
    expectWithin(Math.abs(loss - cases.loss.float64), naive.logProbs, 'loss');
    const names = parameterSpecs(start.config).map((spec) => spec.name);
    expectTensors(await model.gradients(), {
      names,
      exact: exactGradients(tensors),
      naive: naive.gradients,
    });
  });
}

function generationTest(
  suite: Suite,
  { name, model: start, cases }: Golden,
  naive: NaiveErrors,
): void {
  suite.test(`${name}: greedy generation`, async (create) => {
    const model = await create(start);
    const errors: number[] = [];
    for (const { prompt, tokens, logprobs } of cases.generation) {
      const ids = [...prompt, ...tokens];
      const { logProbs } = await model.score({
        tokens: Int32Array.from(ids),
        offsets: Int32Array.of(0, ids.length),
        lossMask: Uint8Array.from(ids, (_, t) => (t < prompt.length ? 0 : 1)),
      });
      errors.push(...logprobs.map((exact, i) => (logProbs[prompt.length + i] ?? NaN) - exact));
    }
    expectWithin(rootMeanSquare(errors), naive.generation.logProbs, 'logProbs');
    const results = await generateGreedily(model, cases);
    const agreeing = results.map((result, i) => {
      const tokens = cases.generation[i]?.tokens ?? [];
      const first = tokens.findIndex((token, t) => token !== result.tokens[t]);
      return first < 0 ? tokens.length : first;
    });
    const bar = naive.generation.agreeingTokens;
    expect(agreeing.length).toBe(bar.length);
    agreeing.forEach((count, i) =>
      expect(count, `prompt ${i}`).toBeGreaterThanOrEqual(bar[i] ?? NaN),
    );
  });
}

function adapterTest(suite: Suite, golden: Golden, naive: NaivePass): void {
  const { name, model: start, cases } = golden;
  suite.test(`${name}: PEFT's adapter`, async (create) => {
    const { adapter, loss: exactLoss, tensors } = readAdapterGolden(name);
    const model = await create({ ...start, adapter });
    await expectScores(model, { ...golden, tensors }, naive);
    expectWithin(Math.abs((await lossOf(model, cases)) - exactLoss), naive.logProbs, 'loss');
    const names = adapterSpecs(start.config, adapter.config).map((spec) => spec.name);
    expectTensors(await model.gradients(), {
      names,
      exact: exactGradients(tensors),
      naive: naive.gradients,
    });
  });
}

function adamWTest(
  suite: Suite,
  { name, model: start, cases }: Golden,
  naive: NonNullable<NaiveErrors['adamW']>,
): void {
  suite.test(`${name}: eight steps of AdamW`, async (create) => {
    const model = await create(start);
    const adamW = readGoldenJson<AdamWCase>(`${name}/adamw.json`);
    const losses: number[] = [];
    const norms: number[] = [];
    for (const step of adamW.steps) {
      losses.push((await lossOf(model, cases)) - step.loss);
      const { gradientNorm } = await model.step(stepOptions(adamW, step));
      norms.push(gradientNorm - step.gradientNorm);
    }
    losses.push((await lossOf(model, cases)) - adamW.lossAfterLastStep);
    expectWithin(rootMeanSquare(losses), naive.loss, 'losses');
    expectWithin(rootMeanSquare(norms), naive.gradientNorm, 'gradient norms');
    const final = readGoldenTensors(`${name}/adamw.safetensors`);
    const names = parameterSpecs(start.config).map((spec) => spec.name);
    const exact = (parameter: string) => final.get(parameter);
    expectTensors(await model.weights(), { names, exact, naive: naive.weights });
  });
}

async function expectScores(
  model: LanguageModel,
  { cases, tensors }: Golden,
  naive: NaivePass,
): Promise<void> {
  const batch = packed(cases, 'all');
  const scores = await model.score(batch);
  const errors = { logProbs: [] as number[], entropies: [] as number[] };
  for (const [i, { ids }] of cases.sequences.entries()) {
    const first = (batch.offsets[i] ?? 0) + 1;
    const logProbs = tensors.get(`sequence.${i}.logprobs`) ?? [];
    const entropies = tensors.get(`sequence.${i}.entropy`) ?? [];
    for (let t = 0; t < ids.length - 1; t++) {
      errors.logProbs.push((scores.logProbs[first + t] ?? NaN) - (logProbs[t] ?? NaN));
      errors.entropies.push((scores.entropies[first + t] ?? NaN) - (entropies[t] ?? NaN));
    }
  }
  for (const what of ['logProbs', 'entropies'] as const) {
    const error = rootMeanSquare(errors[what]);
    expectWithin(error, naive[what], what);
    expect(error, `${what}: it is bfloat16 that was measured`).toBeGreaterThan(1e-4);
  }
}

/** Of the labels of all sequences; its gradient is added up. */
async function lossOf(model: LanguageModel, cases: Cases): Promise<number> {
  const scale = 1 / cases.loss.maskedTokens;
  const { loss } = await model.accumulate(packed(cases, 'masked'), {
    type: 'cross-entropy',
    scale,
  });
  return loss;
}

/** Every tensor, in order, by the Euclidean norm of its error. */
function expectTensors(
  actual: readonly NamedTensor[],
  expected: {
    readonly names: readonly string[];
    readonly exact: (name: string) => Float64Array | undefined;
    readonly naive: Readonly<Record<string, number>>;
  },
): void {
  expect(actual.map(({ name }) => name)).toEqual(expected.names);
  for (const { name, data } of actual) {
    const exact = expected.exact(name) ?? [];
    const error = euclideanNorm(data.map((value, i) => value - (exact[i] ?? NaN)));
    expectWithin(error, expected.naive[name] ?? NaN, name);
  }
}

function exactGradients(
  tensors: ReadonlyMap<string, Float64Array>,
): (name: string) => Float64Array | undefined {
  return (name) => tensors.get(`grad.${name}`);
}

function expectWithin(error: number, naive: number, what: string): void {
  expect(error, what).toBeLessThanOrEqual(FACTOR * naive);
}

function rootMeanSquare(values: readonly number[]): number {
  return euclideanNorm(values) / Math.sqrt(values.length);
}
