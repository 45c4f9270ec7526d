// A model in bfloat16 against the float64 golden files: within twice the error of a naive run in bfloat16, gradients within
// three times. How far that run is off stands in golden/<family>/bfloat16.json.
import { describe, expect } from 'vitest';
import { parameterSpecs } from '../parameters.ts';
import { euclideanNorm } from './bounds.ts';
import { readGoldenJson } from './golden-files.ts';
import { families, packed, readGolden } from './run-golden.ts';
import { Suite, type ConformanceOptions } from './suite.ts';

interface NaiveErrors {
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
      const { model: start, cases, tensors } = readGolden(family);
      const naive = readGoldenJson<NaiveErrors>(`${family}/bfloat16.json`);

      suite.test(`${family}: log-probabilities and entropies`, async (create) => {
        const batch = packed(cases, 'all');
        const scores = await (await create(start)).score(batch);
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
          const error = euclideanNorm(errors[what]) / Math.sqrt(errors[what].length);
          expect(error, what).toBeLessThanOrEqual(2 * naive[what]);
          expect(error, `${what}: it is bfloat16 that was measured`).toBeGreaterThan(1e-4);
        }
      });

      suite.test(`${family}: loss and the gradient of every parameter`, async (create) => {
        const model = await create(start);
        const { loss } = await model.accumulate(packed(cases, 'masked'), {
          type: 'cross-entropy',
          scale: 1 / cases.loss.maskedTokens,
        });
        // A mean of log-probabilities is off by no more than they are.
        expect(Math.abs(loss - cases.loss.float64)).toBeLessThanOrEqual(2 * naive.logProbs);
        const gradients = await model.gradients();
        expect(gradients.map(({ name }) => name)).toEqual(
          parameterSpecs(start.config).map(({ name }) => name),
        );
        for (const { name, data } of gradients) {
          const exact = tensors.get(`grad.${name}`) ?? new Float64Array(0);
          const error = euclideanNorm(data.map((value, i) => value - (exact[i] ?? NaN)));
          expect(error, name).toBeLessThanOrEqual(3 * (naive.gradients[name] ?? NaN));
        }
      });
    }
    suite.checkSkips();
  });
}
