// The reference decoder against transformers in float64, and its backward pass against its forward pass.
import { describe, expect, test } from 'vitest';
import { goldenPath, readGoldenJson, readGoldenTensors } from '../conformance/golden-files.ts';
import {
  randomBatch,
  randomCrossEntropy,
  randomDapo,
  randomWeights,
} from '../conformance/random-inputs.ts';
import { shapeGrid } from '../conformance/shapes.ts';
import type { PackedBatch, TokenLoss } from '../language-model.ts';
import { loadModelFolder } from '../model-folder.ts';
import { ReferenceAdamW } from './reference-adamw.ts';
import { referenceAccumulate, referenceScore, toReference } from './reference-decoder.ts';

describe.each(['tiny-qwen2', 'tiny-qwen3', 'tiny-llama3'])(
  'the reference decoder equals transformers in float64: %s',
  (name) => {
    const { config, weights } = loadModelFolder(goldenPath(name));
    const { sequences, loss } = readGoldenJson<{
      sequences: { ids: number[]; mask: number[] }[];
      loss: { float64: number; maskedTokens: number };
    }>(`${name}/cases.json`);
    const golden = readGoldenTensors(`${name}/cases.safetensors`);
    const crossEntropy = { type: 'cross-entropy', scale: 1 / loss.maskedTokens } as const;
    const offsets = [0];
    for (const { ids } of sequences) offsets.push((offsets.at(-1) ?? 0) + ids.length);
    const batch: PackedBatch = {
      tokens: Int32Array.from(sequences.flatMap(({ ids }) => ids)),
      offsets: Int32Array.from(offsets),
      lossMask: Uint8Array.from(sequences.flatMap(({ mask }) => mask)),
    };

    test('log-probabilities, entropies, loss and gradients', () => {
      const result = referenceAccumulate(config, toReference(weights), batch, crossEntropy);
      expect(Math.abs(result.loss - loss.float64)).toBeLessThan(1e-12);
      sequences.forEach(({ mask }, i) => {
        mask.forEach((flag, t) => {
          if (flag === 0) return;
          const at = (offsets[i] ?? 0) + t;
          const logProb = golden.get(`sequence.${i}.logprobs`)?.[t - 1] ?? NaN;
          const entropy = golden.get(`sequence.${i}.entropy`)?.[t - 1] ?? NaN;
          expect(Math.abs((result.logProbs[at] ?? NaN) - logProb)).toBeLessThan(1e-12);
          expect(Math.abs((result.entropies[at] ?? NaN) - entropy)).toBeLessThan(1e-12);
        });
      });
      for (const [name, gradient] of result.gradients) {
        const expected = golden.get(`grad.${name}`) as Float64Array; // rounded to float32
        const error = Math.max(
          ...gradient.map((d, i) => Math.abs(d - Math.fround(expected[i] ?? NaN))),
        );
        const scale = Math.max(...expected.map(Math.abs));
        expect(error, name).toBeLessThan(2 ** -24 * scale + 1e-12);
      }
    });

    test.runIf(name === 'tiny-qwen2')('eight steps of AdamW', { timeout: 30_000 }, () => {
      const { steps, decayed } = readGoldenJson<{
        steps: { lr: number; loss: number; gradientNorm: number }[];
        decayed: string[];
      }>('tiny-qwen2/adamw.json');
      const trained = toReference(weights);
      const optimizer = new ReferenceAdamW();
      for (const { lr, loss, gradientNorm } of steps) {
        const result = referenceAccumulate(config, trained, batch, crossEntropy);
        expect(Math.abs(result.loss - loss)).toBeLessThan(1e-10);
        const norm = optimizer.step(trained, result.gradients, {
          learningRate: lr,
          weightDecay: 0.1,
          maxGradientNorm: 1,
          isDecayed: (name) => decayed.includes(name),
        });
        expect(Math.abs(norm - gradientNorm)).toBeLessThan(1e-10);
      }
      for (const [name, expected] of readGoldenTensors('tiny-qwen2/adamw.safetensors')) {
        const error = Math.max(
          ...expected.map((value, i) => Math.abs(value - (trained.get(name)?.[i] ?? NaN))),
        );
        expect(error, name).toBeLessThan(2 ** -24 * 4 + 1e-9); // the file is rounded to float32
      }
    });
  },
);

const families = shapeGrid.filter(({ name }) => ['base', 'qwen3', 'llama3'].includes(name));

describe.each(families)('gradients of the reference equal central differences: $name', (shape) => {
  const { config, lengths } = shape;
  const weights = toReference(randomWeights(config, 91));
  const batch = randomBatch(config, lengths, 92);
  const { logProbs } = referenceScore(config, weights, batch);
  const losses: [string, TokenLoss][] = [
    ['cross-entropy', randomCrossEntropy(batch, 93)],
    ['dapo', randomDapo(batch, logProbs, 94)],
  ];

  test.each(losses)('%s, seed 91', (_, loss) => {
    const { gradients } = referenceAccumulate(config, weights, batch, loss);
    const lossAt = (): number => referenceAccumulate(config, weights, batch, loss).loss;
    const step = 1e-5;
    for (const [name, data] of weights) {
      // Three elements of each parameter; truncation error is of the order of step² times third derivatives.
      for (const i of [0, data.length >> 1, data.length - 1]) {
        const before = data[i] as number;
        data[i] = before + step;
        const above = lossAt();
        data[i] = before - step;
        const below = lossAt();
        data[i] = before;
        const difference = (above - below) / (2 * step);
        const gradient = gradients.get(name)?.[i] ?? NaN;
        expect(Math.abs(difference - gradient), `${name}[${i}]`).toBeLessThan(1e-8);
      }
    }
  });
});
