// An SFT and a DAPO run of a fraction of a second, the same in every process.
import { join } from 'node:path';
import { RandomStream } from '@masksearch/core';
import { constantSchedule, dapo, dapoRecipe, sft, type MetricsRow } from '../src/index.ts';
import { BigramModel } from './bigram-model.ts';
import { collectGame, GAME_TASKS, GAME_VOCABULARY } from './search-game.ts';

export interface TinyRun {
  /** Takes up where the folder's latest checkpoint ends; returns the final weights. */
  (folder: string, steps: number, onStep?: (row: MetricsRow) => void): Promise<Float32Array>;
}

export const tinySft: TinyRun = async (folder, steps, onStep) => {
  const model = new BigramModel(GAME_VOCABULARY);
  const random = new RandomStream('tiny-sft');
  const examples = Array.from({ length: 12 }, () => {
    const ids = Array.from({ length: 3 + random.below(6) }, () => random.below(GAME_VOCABULARY));
    return { ids, mask: ids.map((_, t) => (t < 2 ? 0 : 1)) };
  });
  await sft({
    model,
    phases: [{ name: 'all', examples, steps }],
    batchTokens: 20,
    microBatchTokens: 12,
    seed: 5,
    ...common(folder),
    ...(onStep ? { onStep } : {}),
  });
  return weightsOf(model);
};

export const tinyDapo: TinyRun = async (folder, steps, onStep) => {
  const model = new BigramModel(GAME_VOCABULARY);
  await dapo({
    model,
    tasks: GAME_TASKS,
    collect: collectGame(model),
    recipe: dapoRecipe({ maximumOversampling: 8 }), // leaves surplus groups to carry over
    config: { steps, samplesPerTask: 8, groupsPerStep: 2, microBatchTokens: 60, seed: 3 },
    ...common(folder),
    ...(onStep ? { onStep } : {}),
  });
  return weightsOf(model);
};

function common(folder: string) {
  return {
    schedule: constantSchedule(0.1),
    adamW: { maxGradientNorm: 1 },
    checkpoints: { folder: join(folder, 'checkpoints'), everySteps: 1, keep: 1 },
    metrics: join(folder, 'metrics.jsonl'),
  };
}

async function weightsOf(model: BigramModel): Promise<Float32Array> {
  return (await model.weights())[0]?.data ?? new Float32Array();
}
