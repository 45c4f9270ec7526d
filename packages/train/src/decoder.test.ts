// SFT and DAPO on a real decoder (tfjs, CPU backend), where packing, caches and kernels are at stake.
import '../test/tfjs.ts';
import { describe, expect, test } from 'vitest';
import { createTfjsModel, type LanguageModel } from '@masksearch/model';
import { GAME_DECODER } from '../test/game-decoder.ts';
import { collectGameBySampler, GAME_TASKS, GAME_VOCABULARY } from '../test/search-game.ts';
import { RandomStream } from '@masksearch/core';
import { dapo } from './dapo/dapo.ts';
import { countLabels, packMicroBatches, type TrainingExample } from './packing.ts';
import type { MetricsRow } from './run/metrics-log.ts';
import { constantSchedule } from './schedule.ts';
import { sft } from './sft/sft.ts';

/** Eight sequences of 2 to 15 tokens. */
function raggedExamples(): TrainingExample[] {
  const random = new RandomStream('ragged');
  return [2, 3, 5, 7, 8, 11, 13, 15].map((length) => ({
    ids: Array.from({ length }, () => random.below(GAME_VOCABULARY)),
    mask: Array.from({ length }, (_, t) => (t > 0 && random.below(3) > 0 ? 1 : 0)),
  }));
}

async function gradientsOf(budgetTokens: number): Promise<Map<string, Float32Array>> {
  const model = await createTfjsModel({ config: GAME_DECODER, seed: 1 });
  const examples = raggedExamples();
  const scale = 1 / countLabels(examples);
  for (const { batch } of packMicroBatches(examples, budgetTokens)) {
    await model.accumulate(batch, { type: 'cross-entropy', scale });
  }
  const gradients = new Map((await model.gradients()).map(({ name, data }) => [name, data]));
  await model.dispose();
  return gradients;
}

function normOf(data: Iterable<number>): number {
  let squares = 0;
  for (const value of data) squares += value * value;
  return Math.sqrt(squares);
}

describe('training a decoder', { timeout: 30_000 }, () => {
  test('one pack of 8 = 8 packs of 1 = anything between: same gradients for ragged lengths', async () => {
    const packed = await gradientsOf(1000);
    const oneByOne = await gradientsOf(15);
    const between = await gradientsOf(30);
    for (const other of [oneByOne, between]) {
      for (const [name, gradient] of packed) {
        const received = other.get(name) ?? new Float32Array();
        const error = normOf(gradient.map((g, i) => g - (received[i] as number)));
        // Sums of up to 64 float32 terms in another order: 64 · 2^-24, with room for cancellation.
        expect(error, name).toBeLessThan(1e-5 * normOf(gradient) + 1e-9);
      }
    }
  });

  test('sft lowers the loss', async () => {
    const model = await createTfjsModel({ config: GAME_DECODER, seed: 1 });
    const losses: number[] = [];
    await sft({
      model,
      phases: [{ name: 'all', examples: raggedExamples().slice(0, 4), steps: 8 }],
      batchTokens: 64,
      microBatchTokens: 32,
      seed: 1,
      schedule: constantSchedule(0.05),
      onStep: (row) => void losses.push(Number(row['train/loss'])),
    });
    expect(losses[0]).toBeCloseTo(Math.log(GAME_VOCABULARY), 1);
    expect(losses.at(-1)).toBeLessThan(2);
    await model.dispose();
  });

  test("dapo: the sampler gives the trainer's log-probabilities, so ratios start at exactly 1", async () => {
    const run = async (): Promise<{ rows: MetricsRow[]; model: LanguageModel }> => {
      const model = await createTfjsModel({ config: GAME_DECODER, seed: 2 });
      const rows: MetricsRow[] = [];
      await dapo({
        model,
        tasks: GAME_TASKS,
        collect: collectGameBySampler(model),
        config: { steps: 3, samplesPerTask: 4, groupsPerStep: 2, maximumLagSteps: 0, seed: 1 },
        schedule: constantSchedule(0.01),
        onStep: (row) => void rows.push(row),
      });
      return { rows, model };
    };
    const { rows, model } = await run();
    expect(rows.map((row) => row['rollout/max_ratio_deviation'])).toEqual([0, 0, 0]);
    expect(rows.map((row) => row['actor/updates'])).toEqual([2, 2, 2]);
    const again = await run();
    expect(await again.model.weights()).toEqual(await model.weights());
    await model.dispose();
    await again.model.dispose();
  });
});
