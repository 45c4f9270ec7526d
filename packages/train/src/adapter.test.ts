// SFT and DAPO on an adapter: what is trained, resumption with dropout, and the frozen model as reference policy.
import '../test/tfjs.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RandomStream } from '@masksearch/core';
import { createTfjsModel, type LoraConfig } from '@masksearch/model';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GAME_DECODER } from '../test/game-decoder.ts';
import { collectGameBySampler, GAME_TASKS, GAME_VOCABULARY } from '../test/search-game.ts';
import { dapo, type DapoOptions } from './dapo/dapo.ts';
import type { TrainingExample } from './packing.ts';
import type { MetricsRow } from './run/metrics-log.ts';
import { constantSchedule } from './schedule.ts';
import { sft } from './sft/sft.ts';

const LORA: LoraConfig = {
  rank: 4,
  alpha: 8,
  dropout: 0,
  targets: ['q_proj', 'v_proj', 'up_proj'],
};

const create = (lora: LoraConfig, seed = 1) =>
  createTfjsModel({ config: GAME_DECODER, seed: 1, adapter: { config: lora, seed } });

function examples(): TrainingExample[] {
  const random = new RandomStream('adapter');
  return Array.from({ length: 6 }, () => ({
    ids: Array.from({ length: 9 }, () => random.below(GAME_VOCABULARY)),
    mask: Array.from({ length: 9 }, (_, t) => (t > 2 ? 1 : 0)),
  }));
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'adapter-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('training an adapter', { timeout: 60_000 }, () => {
  const trainSft = async (
    lora: LoraConfig,
    steps: number,
    checkpoints: string,
  ): Promise<Awaited<ReturnType<typeof create>>> => {
    const model = await create(lora);
    await sft({
      model,
      phases: [{ name: 'all', examples: examples(), steps }],
      batchTokens: 18,
      microBatchTokens: 9,
      seed: 1,
      schedule: constantSchedule(0.02),
      checkpoints: { folder: checkpoints, everySteps: 2 },
    });
    return model;
  };

  test('a run with dropout that stops and resumes gives the weights of one that does not', async () => {
    const dropping = { ...LORA, dropout: 0.3 };
    const straight = await trainSft(dropping, 4, join(folder, 'straight'));
    await (await trainSft(dropping, 4, join(folder, 'resumed'))).dispose();
    rmSync(join(folder, 'resumed', 'step-000004'), { recursive: true });
    const resumed = await trainSft(dropping, 4, join(folder, 'resumed'));
    expect(resumed.version).toBe(4);
    expect(await resumed.state()).toEqual(await straight.state());
    const other = trainSft({ ...dropping, alpha: 4 }, 4, join(folder, 'resumed'));
    await expect(other).rejects.toThrow('adapter.alpha was 8, is 4');
  });

  const trainDapo = async (
    lora: LoraConfig | undefined,
    config: Partial<DapoOptions<(typeof GAME_TASKS)[number]>['config']>,
  ): Promise<{ rows: MetricsRow[]; change: number }> => {
    const model =
      lora === undefined
        ? await createTfjsModel({ config: GAME_DECODER, seed: 1 })
        : await create(lora);
    const rows: MetricsRow[] = [];
    try {
      const before = (await model.weights()).map(({ data }) => data);
      await dapo({
        model,
        tasks: GAME_TASKS,
        collect: collectGameBySampler(model),
        config: {
          steps: 4,
          samplesPerTask: 4,
          groupsPerStep: 2,
          maximumLagSteps: 0,
          seed: 1,
          ...config,
        },
        schedule: constantSchedule(0.02),
        onStep: (row) => void rows.push(row),
      });
      const after = await model.weights();
      const change = after.reduce(
        (sum, { data }, i) =>
          sum + data.reduce((s, value, j) => s + (value - (before[i]?.[j] ?? NaN)) ** 2, 0),
        0,
      );
      return { rows, change };
    } finally {
      await model.dispose();
    }
  };

  test('dapo holds the policy near the frozen model the more, the larger klCoefficient', async () => {
    const free = await trainDapo(LORA, {});
    const held = await trainDapo(LORA, { klCoefficient: 10 });
    const key = 'actor/kl_to_reference';
    expect(free.rows.map((row) => row[key])).toEqual([undefined, undefined, undefined, undefined]);
    // The first mini-batch is at the reference, which the new adapter equals; the second is not.
    expect(held.rows.every((row) => Number(row[key]) >= 0)).toBe(true);
    expect(Number(held.rows.at(-1)?.[key])).toBeGreaterThan(0);
    expect(held.rows.map((row) => row['rollout/max_ratio_deviation'])).toEqual([0, 0, 0, 0]);
    expect(free.change).toBeGreaterThan(0);
    expect(held.change).not.toBe(free.change);
  });

  test('dapo penalises the distance and lost likelihood together', async () => {
    const { rows } = await trainDapo(LORA, { klCoefficient: 0.01, displacementCoefficient: 0.2 });
    for (const key of ['actor/kl_to_reference', 'actor/displacement']) {
      expect(Math.max(...rows.map((row) => Number(row[key]))), key).toBeGreaterThan(0);
    }
  });

  test('dapo refuses a reference that is not there, and dropout', async () => {
    await expect(trainDapo(undefined, { klCoefficient: 0.1 })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('with an adapter for klCoefficient 0.1'),
    });
    await expect(trainDapo({ ...LORA, dropout: 0.1 }, {})).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('without dropout'),
    });
  });
});
